"""Fill a fresh volume with what the image has at its place, as docker does.

Runs inside the container after pivot_root(2), as root: links lead to places in the image.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

_CHUNK = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def fill(volume_fd: int, place_fd: int) -> None:
    """Copy the directory *place_fd* into the volume if that is empty; both may be O_PATH."""
    target_fd = os.open(f"/proc/self/fd/{volume_fd}", _DIRECTORY)
    try:
        if os.listdir(target_fd):
            return
        source_fd = os.open(f"/proc/self/fd/{place_fd}", _DIRECTORY)
        links: dict[tuple[int, int], int] = {}
        try:
            _copy_tree(source_fd, target_fd, links)
        finally:
            for fd in (source_fd, *links.values()):
                os.close(fd)
    finally:
        os.close(target_fd)


def _copy_tree(source_fd: int, target_fd: int, links: dict[tuple[int, int], int]) -> None:
    """Copy all of one directory; *links* are open files with several names, by (device, inode)."""
    pending = [(os.dup(source_fd), os.dup(target_fd))]
    while pending:
        from_fd, to_fd = pending.pop()
        try:
            for name in os.listdir(from_fd):
                pending += _copy_entry(from_fd, to_fd, name, links)
            _copy_attributes(from_fd, to_fd)
        finally:
            os.close(from_fd)
            os.close(to_fd)


def _copy_entry(
    from_fd: int, to_fd: int, name: str, links: dict[tuple[int, int], int]
) -> list[tuple[int, int]]:
    """Copy one entry; return the two descriptors of a directory that is still to be walked."""
    found = os.stat(name, dir_fd=from_fd, follow_symlinks=False)
    kind = stat.S_IFMT(found.st_mode)
    if kind == stat.S_IFDIR:
        os.mkdir(name, 0o700, dir_fd=to_fd)
        flags = _DIRECTORY | os.O_NOFOLLOW
        return [(os.open(name, flags, dir_fd=from_fd), os.open(name, flags, dir_fd=to_fd))]
    first = links.get((found.st_dev, found.st_ino)) if found.st_nlink > 1 else None
    if first is not None:
        # Through the descriptor: a tree that is attached nowhere has no paths.
        os.link(f"/proc/self/fd/{first}", name, dst_dir_fd=to_fd, follow_symlinks=True)
        return []
    if kind == stat.S_IFLNK:
        os.symlink(os.readlink(name, dir_fd=from_fd), name, dir_fd=to_fd)
        os.chown(name, found.st_uid, found.st_gid, dir_fd=to_fd, follow_symlinks=False)
    elif kind == stat.S_IFREG:
        _copy_file(from_fd, to_fd, name)
    elif kind != stat.S_IFSOCK:
        os.mknod(name, found.st_mode, found.st_rdev, dir_fd=to_fd)
        os.chown(name, found.st_uid, found.st_gid, dir_fd=to_fd)
    if found.st_nlink > 1 and kind == stat.S_IFREG:
        flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
        links[found.st_dev, found.st_ino] = os.open(name, flags, dir_fd=to_fd)
    return []


def _copy_file(from_fd: int, to_fd: int, name: str) -> None:
    source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=from_fd)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        target = os.open(name, flags, 0o600, dir_fd=to_fd)
        try:
            while os.sendfile(target, source, None, _CHUNK):
                pass
            _copy_attributes(source, target)
        finally:
            os.close(target)
    finally:
        os.close(source)


def _copy_attributes(source: int, target: int) -> None:
    """Copy owner, mode, times and extended attributes between open files."""
    found = os.fstat(source)
    os.fchown(target, found.st_uid, found.st_gid)
    os.fchmod(target, stat.S_IMODE(found.st_mode))
    with suppress(OSError):  # ENOTSUP: a file system without them, on either side
        for name in os.listxattr(source):
            if not name.startswith("trusted.overlay."):
                os.setxattr(target, name, os.getxattr(source, name))
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
