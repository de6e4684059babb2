"""The last 64 KiB of a service's output, as bytes and not as objects.

The relay appends blocks and `Relay.tail` reads them back as records.  A list of records would
cost ten times the memory for short lines and a Python loop a line; here a block costs a header,
and a big block on the bulk path not even a copy.
"""

from __future__ import annotations

from struct import Struct

from supervise.wire import lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.wire.lines import LogRecord

SIZE = 64 * 1024  # bytes a service, headers included

_TRIM_SHARE = 32
_HEADER = Struct("<dIiB")  # time, length of the block, pid, stream
_STREAMS = ("stdout", "stderr")


class Ring:
    """Blocks in the order of arrival; the oldest lines give way."""

    __slots__ = ("_big", "_buffer", "_size")

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._buffer = bytearray()
        # A block that alone fills half the ring: kept by reference, cut only when somebody looks.
        self._big: tuple[float, str, int, bytes] | None = None

    def append(self, when: float, stream: str, pid: int, block: bytes) -> None:
        """Add one block (see `supervise.wire.lines`)."""
        if len(block) * 2 >= self._size:
            self._big = (when, stream, pid, block)
            if self._buffer:
                self._buffer = bytearray()
            return
        if self._big is not None:
            self._settle()
        self._put(when, stream, pid, block)
        if len(self._buffer) > self._size:
            # More than needed, so that not every short line has to move the start.
            self._trim(len(self._buffer) - self._size + self._size // _TRIM_SHARE)

    def records(self, service: str) -> list[LogRecord]:
        """Return what is there as records, oldest first."""
        if self._big is not None:
            self._settle()
        found: list[LogRecord] = []
        position, end = 0, len(self._buffer)
        while position < end:
            when, length, pid, stream = _HEADER.unpack_from(self._buffer, position)
            position += _HEADER.size
            block = bytes(self._buffer[position : position + length])
            found += lines.records(block, when, service, _STREAMS[stream], pid)
            position += length
        return found

    def _put(self, when: float, stream: str, pid: int, block: bytes) -> None:
        self._buffer += _HEADER.pack(when, len(block), pid, _STREAMS.index(stream))
        self._buffer += block

    def _settle(self) -> None:
        """Copy the last lines of the big block into the buffer."""
        assert self._big is not None
        when, stream, pid, block = self._big
        self._big = None
        start = len(block) - (self._size - _HEADER.size)
        if start > 0 and block.endswith(b"\n"):
            whole = block.find(b"\n", start - 1) + 1
            start = whole if whole < len(block) else start  # one line may fill it all
        self._put(when, stream, pid, block[max(0, start) :])

    def _trim(self, excess: int) -> None:
        """Drop at least *excess* bytes at the old end, by whole lines."""
        buffer = self._buffer
        position = 0
        while excess > position:
            when, length, pid, stream = _HEADER.unpack_from(buffer, position)
            end = position + _HEADER.size + length
            if end <= excess:
                position = end
                continue
            # Keep the newest lines of this block under a header of its own.
            cut = buffer.find(b"\n", excess + _HEADER.size - 1, end) + 1
            if cut in (0, end):
                position = end
                continue
            position = cut - _HEADER.size
            _HEADER.pack_into(buffer, position, when, end - cut, pid, stream)
            break
        del buffer[:position]
