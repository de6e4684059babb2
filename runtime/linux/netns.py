"""Network namespaces: open another process's, step into it and back.

Only for processes with one thread: setns(2) moves the calling thread alone.
"""

from __future__ import annotations

import os

from supervise.linux import prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

CLONE_NEWNET = 0x40000000


def open_of(pid: int) -> int:
    """Return a descriptor of the network namespace of *pid*; the caller owns it.

    Raises:
        OSError: ENOENT: no such process; EACCES: another user's.
    """
    return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def setns(fd: int) -> None:
    """Make the system call of that name, for a network namespace; see `man 2 setns`.

    Needs CAP_SYS_ADMIN.  What was opened before (sockets, files of /proc) stays where it was.
    """
    prctl.check(prctl.libc().setns(fd, CLONE_NEWNET), "setns")


class Inside:
    """``with Inside(fd):`` runs its body in the namespace *fd*, which stays the caller's."""

    def __init__(self, fd: int) -> None:
        self._there = fd
        self._here = -1

    def __enter__(self) -> Self:
        self._here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(self._there)
        except OSError:
            os.close(self._here)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            setns(self._here)
        finally:
            os.close(self._here)
