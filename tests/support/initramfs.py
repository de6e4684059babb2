"""Archives in the format a kernel unpacks as its first root: cpio, "newc"."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path


class Archive:
    """Files at absolute paths; the directories above them come by themselves."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._paths: set[str] = set()

    def add_file(self, path: str, data: bytes, mode: int = 0o755, mtime: int = 0) -> None:
        """Add a regular file."""
        self._add(path, stat.S_IFREG | mode, data, mtime)

    def add_link(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        self._add(path, stat.S_IFLNK | 0o777, target.encode())

    def add(self, path: Path) -> None:
        """Add a file of this machine at the path it has here, links followed."""
        found = path.stat()
        # Python compares the time of a source file with the one in its compiled form.
        self.add_file(
            str(path), path.read_bytes(), stat.S_IMODE(found.st_mode), int(found.st_mtime)
        )

    def add_tree(self, top: Path, left_out: Collection[str] = ()) -> None:
        """Add a directory of this machine, but those named *left_out*."""
        for directory, inner, files in os.walk(top):
            inner[:] = sorted(name for name in inner if name not in left_out)
            for name in sorted(files):
                self.add(Path(directory, name))

    def data(self) -> bytes:
        """Return the archive."""
        self._parts.append(_member("TRAILER!!!", 0, b"", 0))
        return b"".join(self._parts)

    def _add(self, path: str, mode: int, data: bytes, mtime: int = 0) -> None:
        name = path.strip("/")
        if name in self._paths:
            return
        above = os.path.dirname(name)
        if above and above not in self._paths:
            self._add(above, stat.S_IFDIR | 0o755, b"")
        self._paths.add(name)
        self._parts.append(_member(name, mode, data, mtime))


def _member(name: str, mode: int, data: bytes, mtime: int) -> bytes:
    encoded = name.encode() + b"\0"
    # inode 0 for all: none of them has a second name.
    fields = (0, mode, 0, 0, 1, mtime, len(data), 0, 0, 0, 0, len(encoded), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + encoded) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
