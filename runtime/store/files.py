"""Small files that are never seen half-written: read, write, replace.

A temporary file is called ``.tmp-…``; one that a killed process left may be removed.
"""

from __future__ import annotations

import errno
import os
import stat

from runtime.linux import beneath, record_files
from runtime.linux.record_files import (
    NO_ROOM,
    TEMPORARY,
    write,
    write_all,
)
from runtime.model import jsontext
from runtime.model.contexts import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["TEMPORARY", "write", "write_all"]  # written there, for the networks have them too
_BLOCK = 512  # bytes: stat(2), whatever the file system's own


def read(path: str) -> bytes | None:
    """Return the whole file, None when there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        data = os.read(fd, os.fstat(fd).st_size + 1)
        while more := os.read(fd, 1 << 16):
            data += more
        return data
    finally:
        os.close(fd)


def open_log(path: str, mode: int) -> int:
    """Return a descriptor of the file at *path* to append lines to, made when it is missing.

    A line that a power failure cut is ended.  Otherwise as `record_files.open_to_write`.
    """
    fd = record_files.open_to_write(path, os.O_RDWR | os.O_APPEND, mode)
    size = os.fstat(fd).st_size
    if size and os.pread(fd, 1, size - 1) != b"\n":
        with suppress(OSError):  # a full disk: the two lines are one
            os.write(fd, b"\n")
    return fd


def overwrite(path: str, data: bytes) -> None:
    """Put *data* into the file at *path*, which is there, in the room that it takes already.

    For a disk that is full: no block is allocated.  Filled up with spaces, so that a reader sees
    no rest of what was there.

    Raises:
        OSError: ENOSPC: *data* needs more room; and what write(2) says.
    """
    flags = os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    fd = os.open(path, flags)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or len(data) > status.st_blocks * _BLOCK:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        write_all(fd, data.ljust(status.st_size))
    finally:
        os.close(fd)


def is_no_room(error: OSError) -> bool:
    """Return whether *error* says that the disk is full or takes no more writes."""
    return error.errno in NO_ROOM


def write_json(path: str, value: Any, *, mode: int = 0o600, sync: bool = True) -> None:
    """Put *value* as JSON at *path*; as `write`."""
    write(path, jsontext.dumps(value).encode() + b"\n", mode=mode, sync=sync)


def make_directories(path: str, mode: int = 0o700) -> None:
    """Make the directory *path* and those above it; one that is there is fine."""
    if os.path.isdir(path):
        return
    make_directories(os.path.dirname(path), mode)
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        return  # another process was faster


def remove_tree(path: str) -> None:
    """Remove *path* and all below it, at any depth.  Idempotent.

    Never follows a symbolic link and never enters a mount point.

    Raises:
        OSError: EXDEV or EBUSY: something is mounted in there; and what unlink(2) says.
    """
    parent, name = os.path.split(path)
    try:
        fd = os.open(parent or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        remove_at(fd, os.fsencode(name))
    finally:
        os.close(fd)


def remove_at(parent_fd: int, name: bytes) -> None:
    """Remove *name*, one component, in the open directory *parent_fd*; as `remove_tree`."""
    try:
        os.unlink(name, dir_fd=parent_fd)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        _remove_directory(parent_fd, name)


def _remove_directory(parent_fd: int, name: bytes) -> None:
    # One descriptor and no recursion: a hostile layer nests directories thousands deep.  What is
    # missing another process removed, which was the goal.
    try:
        fd = beneath.open_child_directory(parent_fd, name)
    except FileNotFoundError:
        return
    path = [(name, _clear(fd))]  # from the top down: (name, directories still in it)
    try:
        while path:
            _, inner = path[-1]
            if inner:
                child = inner.pop()
                try:
                    below = beneath.open_child_directory(fd, child)
                except FileNotFoundError:
                    continue
                path.append((child, _clear(below)))
            else:
                try:
                    below = os.open("..", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
                except FileNotFoundError:  # a directory that was removed has no parent
                    return
                with suppress(FileNotFoundError):
                    os.rmdir(path.pop()[0], dir_fd=below)
            os.close(fd)
            fd = below
    finally:
        os.close(fd)


def _clear(fd: int) -> list[bytes]:
    """Remove all but directories from the open directory, and return the names of those."""
    with os.scandir(fd) as entries:
        listed = [(os.fsencode(e.name), e.is_dir(follow_symlinks=False)) for e in entries]
    for name, is_directory in listed:
        if not is_directory:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=fd)
    return [name for name, is_directory in listed if is_directory]
