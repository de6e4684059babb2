"""Digests of files' contents, remembered as long as a file has not changed.

A file whose inode, size, mtime and ctime are what they were is not read again.  What changed less
than a moment before it was read is not remembered: it could change again within one tick of the
file system's clock.  `tree` asks, `select` makes keys of the answers.
"""

from __future__ import annotations

import hashlib
import os
import time

from runtime.store import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_CHUNK = 1 << 18
_HEAD = b"runtime content digests 1\n"
_FRESH_NS = 2_000_000_000  # FAT's clock ticks every two seconds, the coarsest there is


class DigestCache:
    """The digests known for the files of one directory; kept in one file of the store."""

    def __init__(self, path: str = "") -> None:
        """Read what *path* has; empty: remember nothing.  A damaged file counts as none."""
        self._path = path
        self._known: dict[bytes, bytes] = {}  # "device inode size mtime ctime" → hex digits
        self._used: dict[bytes, bytes] = {}
        self.read_files = 0  # files whose contents had to be read
        data = files.read(path) if path else None
        if data is not None and data.startswith(_HEAD):
            for line in data[len(_HEAD) :].splitlines():
                key, _, digits = line.rpartition(b" ")
                self._known[key] = digits

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            # What would have been asked for is not known.
            self._used = {**self._known, **self._used}
        self.save()

    def of(self, fd: int, status: os.stat_result) -> bytes:
        """Return the SHA-256 (hexadecimal digits) of the open file, whose state is *status*.

        Raises:
            OSError: it cannot be read.
        """
        key = b"%d %d %d %d %d" % (
            *(status.st_dev, status.st_ino, status.st_size),
            *(status.st_mtime_ns, status.st_ctime_ns),
        )
        digits = self._used.get(key) or self._known.get(key)
        if digits is None:
            digits = _hash(fd)
            self.read_files += 1
            newest = max(status.st_mtime_ns, status.st_ctime_ns)
            if newest > time.time_ns() - _FRESH_NS:
                return digits
        self._used[key] = digits
        return digits

    def save(self) -> None:
        """Write what was asked for since it was read; what was not has changed or is gone."""
        if not self._path or self._used == self._known:
            return
        lines = b"".join(b"%s %s\n" % pair for pair in self._used.items())
        files.make_directories(os.path.dirname(self._path))
        files.write(self._path, _HEAD + lines, sync=False)
        self._known = dict(self._used)


def _hash(fd: int) -> bytes:
    found = hashlib.sha256()
    at = 0
    while data := os.pread(fd, _CHUNK, at):
        found.update(data)
        at += len(data)
    return found.hexdigest().encode()
