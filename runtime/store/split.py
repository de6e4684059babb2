"""What a tar stream has beside the contents of its files, kept so that it can be written again.

A layer's id is the hash of its tar stream, and two programs never write the same tar of the same
files: order, padding, pax headers differ.  So the stream is kept without what the unpacked files
have anyway, about 0.1 % of it.  The file is gzip; in it, records one after the other:
``b"R" size:u64 length:u32`` and *length* bytes, that many bytes of the stream (*size* = *length*)
``b"Z" size:u64 length:u32``: *size* zero bytes (*length* is 0)
``b"F" size:u64 length:u32 offset:u64`` and *length* bytes, a path: *size* bytes of that file
"""

from __future__ import annotations

import os
import struct
import zlib
from bisect import bisect_right

from runtime.linux import beneath, record_files
from supervise.linux import regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

_RECORD = struct.Struct("<cQI")
_OFFSET = struct.Struct("<Q")
_BATCH = 1 << 18  # bytes to compress at once; about the longest R record
_READ = 1 << 18  # bytes of a file at once
_ZEROS = bytes(1 << 16)
_GZIP_FORMAT = 31


class SplitWriter:
    """Writes the split of one stream while it is unpacked."""

    def __init__(self, path: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)
        self._stream = zlib.compressobj(1, zlib.DEFLATED, _GZIP_FORMAT)
        self._raw: list[bytes] = []
        self._raw_size = 0
        self._out: list[bytes] = []
        self._out_size = 0
        self.files = 0  # F records so far

    def raw(self, pieces: list[bytes]) -> None:
        """Add bytes of the stream as they are."""
        self._raw += pieces
        self._raw_size += sum(map(len, pieces))
        if self._raw_size >= _BATCH:
            self._end_raw()

    def zeros(self, size: int) -> None:
        """Add *size* zero bytes."""
        self._end_raw()
        self._add(_RECORD.pack(b"Z", size, 0))

    def file(self, path: bytes, offset: int, size: int) -> None:
        """Add *size* bytes that are the file *path*'s, from *offset*."""
        self._end_raw()
        self._add(_RECORD.pack(b"F", size, len(path)) + _OFFSET.pack(offset) + path)
        self.files += 1

    def finish(self) -> None:
        """Write the rest and close the file."""
        self._end_raw()
        self._flush()
        self._write(self._stream.flush())
        self.close()

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _end_raw(self) -> None:
        if self._raw:
            self._add(_RECORD.pack(b"R", self._raw_size, self._raw_size))
            for piece in self._raw:
                self._add(piece)
            self._raw, self._raw_size = [], 0

    def _add(self, data: bytes) -> None:
        self._out.append(data)
        self._out_size += len(data)
        if self._out_size >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        self._write(self._stream.compress(b"".join(self._out)))
        self._out, self._out_size = [], 0

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]


class SplitError(Exception):
    """The unpacked files no longer give the stream; says which one."""


def assemble(layer: str, kept: Sequence[tuple[bytes, int]]) -> Iterator[bytes]:
    """Yield the tar stream of the unpacked layer in directory *layer*.

    *kept* are the files that a later entry of the same stream replaced, in that order, as
    (path, F records before the replacement); number n lies in ``kept/n``.

    Raises:
        SplitError: a file is missing or has become shorter.
    """
    root = os.open(f"{layer}/diff", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        number = 0
        moved_away = Kept(kept)
        for kind, size, offset, data in _records(f"{layer}/split.gz"):
            if kind == b"R":
                yield data
            elif kind == b"Z":
                yield from _zeros(size)
            else:
                moved = moved_away.find(data, number)
                yield from _contents(root, layer, data, moved, offset=offset, size=size)
                number += 1
    finally:
        os.close(root)


class Kept:
    """What lies in kept/, found by path: an archive may replace its own files a million times."""

    def __init__(self, kept: Sequence[tuple[bytes, int]]) -> None:
        self._found: dict[bytes, tuple[list[int], list[int]]] = {}  # path → (before, place), rising
        for place, (path, before) in enumerate(kept):
            limits, places = self._found.setdefault(path, ([], []))
            limits.append(before)
            places.append(place)

    def find(self, path: bytes, number: int) -> tuple[int, bytes] | None:
        """Return (number in kept/, path below it) of F record *number*, None: it is in diff/."""
        best: tuple[int, bytes] | None = None
        end = len(path) if self._found else -1
        while end >= 0:  # the path and all directories above it: the first to go took it along
            limits, places = self._found.get(path[:end], ((), ()))
            at = bisect_right(limits, number)
            if at < len(places) and (best is None or places[at] < best[0]):
                best = places[at], path[end + 1 :]
            end = path.rfind(b"/", 0, end)
        return best


def _contents(
    root: int, layer: str, path: bytes, moved: tuple[int, bytes] | None, *, offset: int, size: int
) -> Iterator[bytes]:
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        if moved is None:
            object_fd = beneath.open_in_root(root, path, flags)
        else:
            place, inner = moved
            inside = f"{'/' if inner else ''}{os.fsdecode(inner)}"
            object_fd = os.open(f"{layer}/kept/{place}{inside}", flags)
        try:
            fd = regular.reopen(object_fd, os.O_RDONLY)
        finally:
            os.close(object_fd)
    except OSError as error:
        raise SplitError(f"'{os.fsdecode(path)}': {error.strerror}") from error
    try:
        end = offset + size
        while offset < end:
            data = os.pread(fd, min(_READ, end - offset), offset)
            if not data:
                raise SplitError(f"'{os.fsdecode(path)}' has become shorter")
            offset += len(data)
            yield data
    except OSError as error:  # a FIFO, a directory
        raise SplitError(f"'{os.fsdecode(path)}': {error.strerror}") from error
    finally:
        os.close(fd)


def _zeros(size: int) -> Iterator[bytes]:
    while size > 0:
        yield _ZEROS[:size]
        size -= len(_ZEROS)


def _records(path: str) -> Iterator[tuple[bytes, int, int, bytes]]:
    """Yield (kind, size, offset, bytes or path) of each record."""
    fd = record_files.open_file(path)
    if fd < 0:
        raise SplitError(f"'{path}' is missing")
    try:
        with open(fd, "rb") as file:
            take = _Unzipped(file).take
            while head := take(_RECORD.size):
                kind, size, length = _RECORD.unpack(head)
                offset = _OFFSET.unpack(take(_OFFSET.size))[0] if kind == b"F" else 0
                yield kind, size, offset, take(length)
    except (zlib.error, struct.error) as error:
        raise SplitError(f"'{path}' is damaged: {error}") from error


class _Unzipped:
    """The bytes of a gzip file, taken in the sizes that are needed, and no more in memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._stream = zlib.decompressobj(_GZIP_FORMAT)
        self._ready = b""
        self._at = 0

    def take(self, count: int) -> bytes:
        if len(self._ready) - self._at < count:
            self._fill(count)
        found = self._ready[self._at : self._at + count]
        self._at += len(found)
        return found

    def _fill(self, count: int) -> None:
        pieces = [self._ready[self._at :]]
        size = len(pieces[0])
        while size < count and not self._stream.eof:
            packed = self._stream.unconsumed_tail or self._file.read(_READ)
            more = self._stream.decompress(packed, _READ)
            if not more and not packed:
                break
            pieces.append(more)
            size += len(more)
        self._ready, self._at = b"".join(pieces), 0
