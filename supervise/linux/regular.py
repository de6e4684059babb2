"""Files that somebody else laid out, opened and read only if they are regular ones.

A path in an image, a container or a build context may name a device, a FIFO or a link to one:
opening it waits for ever, or does something to the machine; reading it never ends.  Callers read
what an image says of users, and copy what is in a container.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class RawReader(Protocol):
        """What is read in pieces: a raw file, a buffered one."""

        def read(self, size: int, /) -> bytes | None:
            """Return at most *size* bytes, nothing at the end."""


MOST = 1 << 22  # bytes of a file that is read whole
_CHUNK = 1 << 16
# O_NONBLOCK: it could become a FIFO after the first look.  O_NOCTTY: or a terminal.
_CAREFUL = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
}


class NotRegularError(OSError):
    """What is there is not a regular file; the text says what it is."""


class TooLargeError(OSError):
    """The file holds more than the caller reads."""


def check(status: os.stat_result, name: str | bytes | None = None) -> None:
    """Raise NotRegularError unless *status* is a regular file's."""
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise NotRegularError(errno.EINVAL, f"it is {kind}, not a regular file", name)


def open_path(path: str | bytes) -> int:
    """Return the regular file *path*, opened to be read, where /proc may not be: in a container.

    It is looked at first: opening a device may already do something.  Whoever exchanges the file
    between the two looks gains one open(2) that does not wait and is given back unread; outside
    of a container, where that could reach a device of the machine, `open_at` leaves no such gap.

    Raises:
        NotRegularError: it is something else.
        OSError: as open(2).
    """
    check(os.stat(path), path)
    fd = os.open(path, os.O_RDONLY | _CAREFUL)
    try:
        check(os.fstat(fd), path)
    except NotRegularError:
        os.close(fd)
        raise
    return fd


def open_at(directory_fd: int, name: str | bytes, flags: int = os.O_RDONLY) -> int:
    """Return the regular file *name*, one component that is not followed; raises as `reopen`."""
    object_fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory_fd)
    try:
        return reopen(object_fd, flags, name)
    finally:
        os.close(object_fd)


def reopen(object_fd: int, flags: int, name: str | bytes | None = None) -> int:
    """Return the regular file that *object_fd* (O_PATH) holds, opened as *flags* say.

    Nothing but a regular file is ever opened, whoever changes names meanwhile: the descriptor
    holds the object itself.  Needs /proc of this machine.

    Raises:
        NotRegularError: it is something else.
        OSError: as open(2).
    """
    check(os.fstat(object_fd), name)
    return os.open(f"/proc/self/fd/{object_fd}", flags | _CAREFUL)


def read(fd: int, most: int = MOST) -> bytes:
    """Return all that is in the file *fd*, read from its beginning.

    Raises:
        TooLargeError: that is more than *most* bytes.
    """
    data = bytearray()
    while chunk := os.pread(fd, min(_CHUNK, most + 1 - len(data)), len(data)):
        data += chunk
        if len(data) > most:
            raise TooLargeError(errno.EFBIG, f"it is larger than {most >> 20} MiB")
    return bytes(data)


def read_path(path: str | bytes, most: int = MOST) -> bytes:
    """Return the contents of the regular file *path*; raises as `open_path` and `read`."""
    fd = open_path(path)
    try:
        return read(fd, most)
    except TooLargeError as error:
        error.filename = path
        raise
    finally:
        os.close(fd)


def read_given(path: str | bytes, most: int = MOST) -> bytes:
    """Return what is in the file *path* that a person named: a pipe of the shell's serves too.

    Only for names of the caller's own, never for those in what somebody else laid out.

    Raises:
        TooLargeError: that is more than *most* bytes; a device may have no end.
        OSError: as open(2).
    """
    with open(path, "rb", buffering=0) as file:
        return read_stream(file, most, path)


def read_stream(file: RawReader, most: int = MOST, name: str | bytes | None = None) -> bytes:
    """Return what *file* holds up to its end; raises as `read_given`."""
    data = bytearray()
    while chunk := file.read(min(_CHUNK, most + 1 - len(data))):
        data += chunk
        if len(data) > most:
            raise TooLargeError(errno.EFBIG, f"it is larger than {most >> 20} MiB", name)
    return bytes(data)
