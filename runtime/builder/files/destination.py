"""Where a copy goes: paths of an image's root, resolved and made as a process in it would see them.

`copy` and `unpack` write below it.  No process of the image runs meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat

from runtime.linux import beneath
from runtime.model.contexts import suppress
from runtime.model.errors import RuntimeFailure

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 255  # as continuity's RootPath; the kernel's 40 is for what is there
_MADE_MODE = 0o755


def is_directory(destination: str) -> bool:
    """Return whether a destination, as written, can only be a directory."""
    return destination in ("", ".", "..") or destination.endswith(("/", "/.", "/.."))


def resolve(root_fd: int, path: bytes, followed: list[bytes] | None = None) -> bytes:
    """Return *path* with every symbolic link followed, even to what is not there (yet).

    The result is relative to the root, has no ``.`` or ``..``, and no link on its way.  The places
    of the links are added to *followed*.

    Raises:
        RuntimeFailure: links go round in a circle.
    """
    done: list[bytes] = []
    todo = path.split(b"/")[::-1]
    links = 0
    while todo:
        name = todo.pop()
        if name in (b"", b"."):
            continue
        if name == b"..":
            del done[-1:]
            continue
        done.append(name)
        try:
            target = os.readlink(b"/".join(done), dir_fd=root_fd)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR):
                continue
            raise
        links += 1
        if followed is not None:
            followed.append(b"/".join(done))
        if links > _MOST_LINKS:
            raise RuntimeFailure(
                f"cannot use '{os.fsdecode(path)}': its links go round in a circle"
            )
        del done[-1:]
        if target.startswith(b"/"):
            done.clear()
        todo += target.split(b"/")[::-1]
    return b"/".join(done)


def state(root_fd: int, path: bytes) -> os.stat_result | None:
    """Return the state of the resolved *path*, None when nothing is there."""
    try:
        return os.stat(path or b".", dir_fd=root_fd, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None


def open_directory(root_fd: int, path: bytes) -> int:
    """Return the directory *path*, resolved, open."""
    return beneath.open_in_root(root_fd, path, _DIRECTORY)


def make_directories(root_fd: int, path: bytes, owner: tuple[int, int] | None) -> int:
    """Return the directory *path*, resolved, open; it and those above it are made where missing.

    What is made has mode 0755 and belongs to *owner*, None for root.

    Raises:
        RuntimeFailure: there is something else in the way.
    """
    fd = os.open(".", _DIRECTORY, dir_fd=root_fd)
    walked = b""
    for name in path.split(b"/") if path else ():
        walked += b"/" + name
        try:
            deeper = _step(fd, name, walked, owner)
        finally:
            os.close(fd)
        fd = deeper
    return fd


def _step(above_fd: int, name: bytes, walked: bytes, owner: tuple[int, int] | None) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=above_fd)
    except FileNotFoundError:
        os.mkdir(name, _MADE_MODE, dir_fd=above_fd)
        fd = os.open(name, _DIRECTORY, dir_fd=above_fd)
        os.fchown(fd, *(owner or (0, 0)))
        os.fchmod(fd, _MADE_MODE)
        return fd
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        raise RuntimeFailure(
            f"cannot make the directory '{os.fsdecode(walked)}': a file is there in the image",
            "choose another destination, or remove the file in a step before",
        ) from None


def clear_for_file(parent_fd: int, name: bytes, shown: bytes) -> None:
    """Remove what has the name *name*, so that a file can be made; nothing there is fine.

    Raises:
        RuntimeFailure: a directory has it; *shown* is its path for the message.
    """
    with suppress(FileNotFoundError):
        status = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            raise RuntimeFailure(
                f"cannot copy a file over '/{os.fsdecode(shown)}': that is a directory in the image",
                "end the destination with a slash to copy into it",
            )
        os.unlink(name, dir_fd=parent_fd)
