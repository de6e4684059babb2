"""Advisory locks on files and directories: flock(2), held by a descriptor, gone with the process.

A lock file may be removed by its holder: each new holder makes sure that the path still leads
to what it locked, and tries again otherwise.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from runtime.model.contexts import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class Lock:
    """One lock held; `release` or the end of a ``with`` gives it back."""

    def __init__(self, owned_fd: int, path: str) -> None:
        self.fd = owned_fd
        self.path = path

    def release(self) -> None:
        """Give the lock back. Idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def share(self) -> None:
        """Turn an exclusive lock into a shared one; between the two another may hold it."""
        fcntl.flock(self.fd, fcntl.LOCK_SH)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def lock(path: str, *, shared: bool = False) -> Lock:
    """Wait for the lock file *path*, made with its directory when missing, and hold it.

    Raises:
        OSError: it may not be made there.
    """
    _make_directory(path)
    held = _acquire(path, os.O_RDWR | os.O_CREAT, _operation(shared=shared))
    assert held is not None  # without LOCK_NB flock(2) waits
    return held


def try_lock(path: str, *, shared: bool = False) -> Lock | None:
    """Hold the lock file *path*, made when missing; None when another process holds it."""
    _make_directory(path)
    operation = _operation(shared=shared) | fcntl.LOCK_NB
    return _acquire(path, os.O_RDWR | os.O_CREAT, operation)


def lock_existing(path: str, *, shared: bool = False, wait: bool = True) -> Lock | None:
    """Hold the file or directory *path*; None when another holds it and we shall not *wait*.

    Raises:
        FileNotFoundError: it is not there, or was removed while we waited.
    """
    operation = _operation(shared=shared) | (0 if wait else fcntl.LOCK_NB)
    return _acquire(path, os.O_RDONLY, operation)


def _make_directory(path: str) -> None:
    """Make the parent directories of *path*, accessible to us alone."""
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        _make_directory(directory)
        with suppress(FileExistsError):  # another process was faster
            os.mkdir(directory, 0o700)


def _operation(*, shared: bool) -> int:
    return fcntl.LOCK_SH if shared else fcntl.LOCK_EX


def _acquire(path: str, flags: int, operation: int) -> Lock | None:
    while True:
        fd = _open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(fd, operation)
        except BlockingIOError:
            os.close(fd)
            return None
        except BaseException:
            os.close(fd)
            raise
        if _leads_to(path, fd):
            return Lock(fd, path)
        os.close(fd)


def _open(path: str, flags: int) -> int:
    try:
        return os.open(path, flags, 0o600)
    except OSError as error:
        if not flags & os.O_CREAT:
            raise
        if error.errno == errno.EROFS:  # flock(2) needs no right to write
            return os.open(path, flags & ~(os.O_CREAT | os.O_ACCMODE))
        if error.errno not in (errno.EISDIR, errno.ELOOP, errno.ENXIO):
            raise
        _move_aside(path)
        return os.open(path, flags, 0o600)


def _move_aside(path: str) -> None:
    """Make room for a lock file where something else lies: a directory, a link, a socket.

    Under a lock of the directory, so that a lock file that another process made there meanwhile,
    and holds, stays.
    """
    directory_fd = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory_fd, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):  # another process did it
            if not stat.S_ISREG(os.lstat(path).st_mode):
                os.rename(path, f"{path}.damaged-{os.getpid()}")
    finally:
        os.close(directory_fd)


def _leads_to(path: str, fd: int) -> bool:
    """Return whether *path* still names what *fd* has open."""
    try:
        named = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    opened = os.fstat(fd)
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)
