"""A compressed stream as its bytes: read, decompressed and hashed in a thread of its own.

`Feed` is what an unpacker reads from.  Hashing and decompressing release the interpreter's lock,
so that they overlap with making files: the import of a 248 MB tar takes what the slower takes.
"""

from __future__ import annotations

import os
import threading
from queue import SimpleQueue

from runtime.model.image import digest as digests
from runtime.store import compression

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Protocol, Self

    class ReadableStream(Protocol):
        """Anything with a read method: a file, a socket's file, a part of an archive."""

        def read(self, size: int, /) -> bytes:
            """Return up to *size* bytes, none at the end."""


_CHUNK = 1 << 18  # bytes; what was hashed should still be in the cache when it is written
_AHEAD = 16  # chunks


class Slice:
    """The bytes of one range of an open file, which others may read too: pread(2)."""

    def __init__(self, fd: int, offset: int, size: int) -> None:
        self._fd = fd
        self._at = offset
        self._end = offset + size

    def read(self, size: int, /) -> bytes:
        """Return up to *size* bytes, none at the end of the range."""
        data = os.pread(self._fd, min(size, self._end - self._at), self._at)
        self._at += len(data)
        return data


class Chunks:
    """The bytes of an iterator, to be read like a file's."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""

    def read(self, size: int, /) -> bytes:
        """Return up to *size* bytes, none at the end."""
        parts, length = [self._left], len(self._left)
        while length < size and (chunk := next(self._chunks, b"")):
            parts.append(chunk)
            length += len(chunk)
        whole = b"".join(parts)
        self._left = whole[size:]
        return whole[:size]


class Feed:
    """The uncompressed bytes of *source*, in order, with a digest of them and of the source."""

    def __init__(self, source: ReadableStream, *, hash_source: bool = False) -> None:
        self._source = source
        self._hash = digests.new_hash()
        self._source_hash = digests.new_hash() if hash_source else None
        self.compression = ""  # gzip | zstd | bzip2 | xz, empty for none; known at the first byte
        self.size = 0  # uncompressed bytes so far
        self.source_size = 0
        self._queue: SimpleQueue[bytes | BaseException] = SimpleQueue()
        self._room = threading.Semaphore(_AHEAD)
        self._stopped = False
        self._chunk = memoryview(b"")
        self._at = 0
        self._ended = False
        self._thread = threading.Thread(target=self._produce, name="feed", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped = True
        self._room.release()
        self._thread.join()

    def take(self, count: int) -> bytes:
        """Return exactly the next *count* bytes, fewer only at the end."""
        end = self._at + count
        if end <= len(self._chunk):
            found = self._chunk[self._at : end]
            self._at = end
            return bytes(found)
        return b"".join(self.pieces(count))

    def pieces(self, count: int) -> Iterator[memoryview]:
        """Yield the next *count* bytes as they come, fewer only at the end."""
        while count:
            if self._at == len(self._chunk) and not self._next():
                return
            piece = self._chunk[self._at : self._at + count]
            self._at += len(piece)
            count -= len(piece)
            yield piece

    def rest(self) -> Iterator[memoryview]:
        """Yield all that is left."""
        while self._at < len(self._chunk) or self._next():
            piece = self._chunk[self._at :]
            self._at = len(self._chunk)
            yield piece

    def digest(self) -> str:
        """Return the digest of the uncompressed bytes; call it when all have been taken."""
        return digests.PREFIX + self._hash.hexdigest()

    def source_digest(self) -> str:
        """Return the digest of the bytes read, empty when it was not asked for."""
        return digests.PREFIX + self._source_hash.hexdigest() if self._source_hash else ""

    def _next(self) -> bool:
        if self._ended:
            return False
        item = self._queue.get()
        self._room.release()
        if isinstance(item, BaseException):
            self._ended = True
            raise item
        if not item:
            self._ended = True
            return False
        self._chunk, self._at = memoryview(item), 0
        return True

    # In the thread.

    def _produce(self) -> None:
        try:
            for chunk in self._chunks():
                self._hash.update(chunk)
                self.size += len(chunk)
                self._room.acquire()
                if self._stopped:
                    return
                self._queue.put(chunk)
            self._queue.put(b"")
        except BaseException as error:  # noqa: BLE001 - raised again by the reader, in its thread
            self._queue.put(error)

    def _chunks(self) -> Iterator[bytes]:
        first = self._read()
        self.compression = compression.detect(first)
        decompressor = compression.decompressor(self.compression)
        chunk = first
        while chunk:
            yield from decompressor.feed(chunk)
            chunk = self._read()
        decompressor.finish()

    def _read(self) -> bytes:
        chunk = self._source.read(_CHUNK)
        self.source_size += len(chunk)
        if self._source_hash is not None:
            self._source_hash.update(chunk)
        return chunk
