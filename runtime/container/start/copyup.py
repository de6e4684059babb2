"""Fill a fresh volume with what the image has at its place, as docker does.

Runs inside the container after pivot_root(2), as root: links lead to places in the image.
"""

from __future__ import annotations

import os
import stat

from runtime.linux import beneath
from runtime.model.contexts import suppress
from supervise.linux import regular

_CHUNK = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def fill(volume_fd: int, place_fd: int, proc_fd: int, shift: int = 0) -> None:
    """Copy the directory *place_fd* into the volume if that is empty; both may be O_PATH.

    *proc_fd* is a procfs that shows our own descriptors: a path may lead to another one.

    The owners in the image are seen *shift* higher than they are to be in the volume.
    """
    target_fd = os.open(".", _DIRECTORY, dir_fd=volume_fd)
    try:
        if os.listdir(target_fd):
            return
        source_fd = os.open(".", _DIRECTORY, dir_fd=place_fd)
        copy = _Copy(source_fd, target_fd, proc_fd, shift)
        try:
            copy.run()
        finally:
            copy.close()
            os.close(source_fd)
    finally:
        os.close(target_fd)


class _Copy:
    """One copy of a tree."""

    def __init__(self, source_fd: int, target_fd: int, proc_fd: int, shift: int) -> None:
        self._source = source_fd
        self._target = target_fd
        self._proc = proc_fd
        self._shift = shift
        self._links: dict[tuple[int, int], int] = {}  # (device, inode) → the copy, open

    def run(self) -> None:
        """Copy everything, a directory after the other."""
        pending = [b"."]
        while pending:
            path = pending.pop()
            from_fd = beneath.open_in_root(self._source, path, _DIRECTORY)
            to_fd = beneath.open_in_root(self._target, path, _DIRECTORY)
            try:
                inner = [n for n in os.listdir(from_fd) if self._entry(from_fd, to_fd, n)]
                pending += [path + b"/" + os.fsencode(name) for name in inner]
                self._attributes(from_fd, to_fd)
            finally:
                os.close(from_fd)
                os.close(to_fd)

    def close(self) -> None:
        """Let go of the files with several names."""
        while self._links:
            os.close(self._links.popitem()[1])

    def _entry(self, from_fd: int, to_fd: int, name: str) -> bool:
        """Copy one entry; return whether it is a directory, which is made but still empty."""
        found = os.stat(name, dir_fd=from_fd, follow_symlinks=False)
        kind = stat.S_IFMT(found.st_mode)
        if kind == stat.S_IFDIR:
            os.mkdir(name, 0o700, dir_fd=to_fd)
            return True
        first = self._links.get((found.st_dev, found.st_ino))
        if first is not None:
            # Through the descriptor: a tree that is attached nowhere has no paths.
            link = f"{os.getpid()}/fd/{first}"
            os.link(link, name, src_dir_fd=self._proc, dst_dir_fd=to_fd, follow_symlinks=True)
            return False
        if kind == stat.S_IFREG:
            self._file(from_fd, to_fd, name)
        elif kind == stat.S_IFLNK:
            os.symlink(os.readlink(name, dir_fd=from_fd), name, dir_fd=to_fd)
        elif kind != stat.S_IFSOCK:
            os.mknod(name, found.st_mode, found.st_rdev, dir_fd=to_fd)
        if kind not in (stat.S_IFREG, stat.S_IFSOCK):
            owner = found.st_uid - self._shift, found.st_gid - self._shift
            os.chown(name, *owner, dir_fd=to_fd, follow_symlinks=False)
        if kind == stat.S_IFREG and found.st_nlink > 1:
            flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
            self._links[found.st_dev, found.st_ino] = os.open(name, flags, dir_fd=to_fd)
        return False

    def _file(self, from_fd: int, to_fd: int, name: str) -> None:
        source = regular.open_at(from_fd, name)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            target = os.open(name, flags, 0o600, dir_fd=to_fd)
            try:
                while os.sendfile(target, source, None, _CHUNK):
                    pass
                self._attributes(source, target)
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _attributes(self, source: int, target: int) -> None:
        """Copy owner, mode, times and extended attributes between open files."""
        found = os.fstat(source)
        os.fchown(target, found.st_uid - self._shift, found.st_gid - self._shift)
        os.fchmod(target, stat.S_IMODE(found.st_mode))
        with suppress(OSError):  # ENOTSUP: a file system without them, on either side
            for name in os.listxattr(source):
                if not name.startswith("trusted.overlay."):
                    os.setxattr(target, name, os.getxattr(source, name))
        os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
