"""Digests of files' contents, remembered as long as a file has not changed.

A file whose inode, size, mtime and ctime are what they were is not read again.  What changed less
than a moment before it was read is not remembered: it could change again within one tick of the
file system's clock.  `tree` asks, `select` makes keys of the answers.

Several processes of one build, and several builds, write to one file: each appends what it learnt,
in one call, and a line that is not whole counts as none.
"""

from __future__ import annotations

import hashlib
import os
import time

from runtime.linux import record_files
from runtime.model.errors import DamagedFailure
from runtime.store import files

_CHUNK = 1 << 18
_FRESH_NS = 2_000_000_000  # FAT's clock ticks every two seconds, the coarsest there is
_LARGEST = 64 << 20  # bytes of the file: what is gone for long is forgotten with all else
_DIGITS = 64


class DigestCache:
    """The digests known for the files of one directory; kept in one file of the store."""

    def __init__(self, path: str = "") -> None:
        """Read what *path* has; empty: remember nothing."""
        self._path = path
        # b"device inode" → b"size mtime ctime digest"
        self._known: dict[bytes, bytes] = _read(path) if path else {}
        self._learnt: dict[bytes, bytes] = {}
        self.read_files = 0  # files whose contents had to be read

    def of(self, fd: int, status: os.stat_result) -> bytes:
        """Return the SHA-256 (hexadecimal digits) of the open file, whose state is *status*.

        Raises:
            OSError: it cannot be read.
        """
        digits = self.known(status)
        if digits:
            return digits
        digits = _hash(fd)
        self.read_files += 1
        if max(status.st_mtime_ns, status.st_ctime_ns) <= time.time_ns() - _FRESH_NS:
            inode = _inode(status)
            self._known[inode] = self._learnt[inode] = _state(status) + digits
        return digits

    def known(self, status: os.stat_result) -> bytes:
        """Return the digits for a file in that state, nothing when they are not known."""
        state = _state(status)
        found = self._known.get(_inode(status), b"")
        return found[len(state) :] if found.startswith(state) else b""

    def save(self) -> None:
        """Add what was learnt since the last time to the file."""
        if not self._path or not self._learnt:
            return
        data = b"".join(b"%s %s\n" % pair for pair in self._learnt.items())
        self._learnt.clear()
        files.make_directories(os.path.dirname(self._path))
        fd = files.open_log(self._path, 0o600)
        try:
            files.write_all(fd, data)
        finally:
            os.close(fd)


def _inode(status: os.stat_result) -> bytes:
    return b"%d %d" % (status.st_dev, status.st_ino)


def _state(status: os.stat_result) -> bytes:
    return b"%d %d %d " % (status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _read(path: str) -> dict[bytes, bytes]:
    """Return what the file has, the last line of an inode counting."""
    try:
        data = record_files.read(path, largest=_LARGEST) or b""
    except DamagedFailure:  # too large, or no file: all is read anew
        files.remove_tree(path)
        return {}
    known = {}
    for line in data.splitlines():
        words = line.split(b" ")
        if len(words) == 6 and len(words[5]) == _DIGITS:
            known[b" ".join(words[:2])] = b" ".join(words[2:])
    return known


def _hash(fd: int) -> bytes:
    found = hashlib.sha256()
    at = 0
    while data := os.pread(fd, _CHUNK, at):
        found.update(data)
        at += len(data)
    return found.hexdigest().encode()
