"""Small files that are never seen half-written: read, write, replace.

A temporary file is called ``.tmp-…``; one that a killed process left is nobody's and may go.
"""

from __future__ import annotations

import os

from runtime.linux import beneath
from runtime.model import jsontext
from runtime.model.contexts import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TEMPORARY = ".tmp-"


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


def read_json(path: str) -> Any:
    """Return the JSON value in the file, None when there is no file.

    Raises:
        ValueError: it holds something else; names the file.
    """
    data = read(path)
    if data is None:
        return None
    try:
        return jsontext.loads(data)
    except ValueError as error:
        raise ValueError(f"cannot read '{path}': {error}") from error


def write(path: str, data: bytes, *, mode: int = 0o600, sync: bool = True) -> None:
    """Put *data* at *path* so that a reader sees all of it or what was there before.

    With *sync* it also survives a power failure once this returns.

    Raises:
        OSError: ENOSPC and so on; *path* is as it was.
    """
    directory, name = os.path.split(path)
    temporary = f"{directory}/{TEMPORARY}{name}-{os.getpid()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        try:
            write_all(fd, data)
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_json(path: str, value: Any, *, mode: int = 0o600, sync: bool = True) -> None:
    """Put *value* as JSON at *path*; as `write`."""
    write(path, jsontext.dumps(value).encode() + b"\n", mode=mode, sync=sync)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of *data*, however many calls it takes."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


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
    """Remove *path* and all below it, however deep; nothing there is fine.

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
