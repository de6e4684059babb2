"""What a container's mounts leave in its upper directory: places made for them, to be taken out.

A mount needs something to be mounted on.  Where the image had nothing there, the container's
start made an empty file or directory, and those above it; what RUN itself made stays.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from runtime.container.files.upper_changes import seen_below
from runtime.linux import beneath

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_OURS = ("/dev", "/proc", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
_MOST_LINKS = 40  # MAXSYMLINKS of the kernel
_WITHIN = beneath.RESOLVE_BENEATH | beneath.RESOLVE_NO_SYMLINKS
_PLACE = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def clear(directory: str, lowers: Sequence[str], targets: Iterable[str]) -> None:
    """Take the places of our mounts, and of those at *targets*, out of ``upper``.

    *directory* is the step's, *lowers* are the directories below it, top first.
    """
    upper = f"{directory}/upper"
    root_fd = os.open(upper, _PLACE)
    try:
        for target in (*_OURS, *targets):
            place = _resolved([upper, *lowers], target)
            if place:
                _clear_one(root_fd, list(lowers), place)
    finally:
        os.close(root_fd)


def _resolved(layers: list[str], path: str) -> str:
    """Return where *path* lies when the links of the image are followed; no slash in front.

    Empty when they go round in circles.  *layers* are the directories that are seen as one, top first.
    """
    done: list[str] = []
    todo = path.split("/")[::-1]
    links = 0
    while todo:
        name = todo.pop()
        if name in ("", "."):
            continue
        if name == "..":
            del done[-1:]
            continue
        done.append(name)
        found = _seen(layers, "/".join(done))
        if found and os.path.islink(found[0]):
            links += 1
            if links > _MOST_LINKS:
                return ""
            target = os.readlink(found[0])
            del done[-1:]
            if target.startswith("/"):
                done.clear()
            todo += target.split("/")[::-1]
    return "/".join(done)


def _clear_one(root_fd: int, lowers: list[str], path: str) -> None:
    """Remove *path* and the directories above it as long as they are empty and were not there."""
    above, _, name = path.rpartition("/")
    try:
        parent_fd = beneath.openat2(root_fd, os.fsencode(above or "."), _PLACE, _WITHIN)
    except OSError:  # it is not there, or a link leads elsewhere
        return
    try:
        if not _remove(parent_fd, name, _seen(lowers, path)):
            return
    finally:
        os.close(parent_fd)
    if above:
        _clear_one(root_fd, lowers, above)


def _remove(parent_fd: int, name: str, below: list[str]) -> bool:
    """Remove *name* if it is a place that was made for a mount; return whether it is gone."""
    try:
        found = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    if stat.S_ISREG(found.st_mode):
        if not below and found.st_size == 0:
            os.unlink(name, dir_fd=parent_fd)
            return True
        return False
    if not stat.S_ISDIR(found.st_mode) or (below and not _is_same(found, below[0])):
        return False
    with suppress(OSError):  # ENOTEMPTY: something was put there
        os.rmdir(name, dir_fd=parent_fd)
        return True
    return False


def _is_same(found: os.stat_result, below: str) -> bool:
    """Return whether a directory was copied up only because something was made in it."""
    there = os.lstat(below)
    return (found.st_mode, found.st_uid, found.st_gid) == (
        there.st_mode,
        there.st_uid,
        there.st_gid,
    )


def _seen(lowers: list[str], path: str) -> list[str]:
    """Return the places of *path* in the directories below, top first; none: it is not there."""
    for name in path.split("/"):
        # A link is an end: the host would follow it out of the image.
        lowers = seen_below([each for each in lowers if not os.path.islink(each)], name)
    return lowers
