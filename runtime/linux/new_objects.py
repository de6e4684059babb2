"""Links and nodes made in directories that somebody else may write to, held from then on.

Neither can be opened, so owner, mode and times would be set by name: on whatever has the name by
then.  chmod(2) even follows a link, in the root directory of this machine.  What was made is held
(O_PATH) and looked at instead, and everything after that is done to what is held.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_OBJECT = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_FIRST_MODE = 0o600  # of a node, until it has its owner


@contextmanager
def make_node(parent_fd: int, name: bytes, kind: int, device: int = 0) -> Iterator[int]:
    """Make a FIFO or a device (*kind* is an S_IF… of both) and hold it; only its owner may use it.

    Raises:
        OSError: as mknod(2); ESTALE: something else has its name already.
    """
    os.mknod(name, kind | _FIRST_MODE, device, dir_fd=parent_fd)
    fd = os.open(name, _OBJECT, dir_fd=parent_fd)
    try:
        found = os.fstat(fd)
        # A fresh node has one name and none but these bits, whatever the umask and default ACLs.
        if (
            stat.S_IFMT(found.st_mode) != kind
            or found.st_nlink != 1
            or stat.S_IMODE(found.st_mode) & ~_FIRST_MODE
            or (kind != stat.S_IFIFO and found.st_rdev != device)
        ):
            raise _exchanged(name)
        yield fd
    finally:
        os.close(fd)


@contextmanager
def make_link(parent_fd: int, name: bytes, target: bytes) -> Iterator[int]:
    """Make a symbolic link and hold it.

    Raises:
        OSError: as symlink(2); ESTALE: something else has its name already.
    """
    os.symlink(target, name, dir_fd=parent_fd)
    fd = os.open(name, _OBJECT, dir_fd=parent_fd)
    try:
        found = os.fstat(fd)
        if not stat.S_ISLNK(found.st_mode) or found.st_nlink != 1:
            raise _exchanged(name)
        if os.readlink(b"", dir_fd=fd) != target:
            raise _exchanged(name)
        yield fd
    finally:
        os.close(fd)


def decorate(
    object_fd: int,
    owner: tuple[int, int],
    mode: int | None = None,
    times: tuple[int, int] | None = None,
) -> None:
    """Set the owner, the mode (None: a link, which has none) and the times of what is held.

    *times* are those of access and of change, nanoseconds; None: they stay.  Needs /proc of this
    machine: a link of /proc/self/fd leads to the object itself, which may be a symbolic link.

    Raises:
        OSError: as chown(2), chmod(2) and utimensat(2).
    """
    place = held(object_fd)
    os.chown(place, *owner)
    if mode is not None:
        os.chmod(place, mode)  # after chown, which takes set-user-id away
    if times is not None:
        os.utime(place, ns=times)


def held(object_fd: int) -> str:
    """Return a path that leads to what *object_fd* holds, and to nothing else."""
    return f"/proc/self/fd/{object_fd}"


def _exchanged(name: bytes) -> OSError:
    return OSError(errno.ESTALE, "something else was put in its place meanwhile", name)
