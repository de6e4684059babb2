"""What a monitor and its clients say to each other over a stream: frames.

One frame is its kind (a byte), the length of its body (four bytes, big endian) and the body.
Bytes in, frames out; the sockets are `runtime.container.monitor.monitor`'s and `attach`'s.
"""

from __future__ import annotations

import struct

from runtime.model import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# From the client.
ATTACH = 1  # JSON {"stdin": bool, "output": bool}: from here on it sees the output
STDIN = 2
CLOSE_STDIN = 3
RESIZE = 4  # two 16-bit numbers: rows, columns
REQUEST = 5  # JSON {"do": verb, …}; answered by REPLY or FAILED
# From the monitor.
STARTED = 16  # JSON {"pid": n}
STDOUT = 17
STDERR = 18
EXIT = 19  # JSON {"code": n, "error": sentence}
FAILED = 20  # JSON {"message", "hint", "code"}
REPLY = 21  # JSON
NOTICE = 22  # text for a person

_HEAD = struct.Struct("!BI")
LONGEST = 1 << 24  # bytes of a body; more is no frame of ours


def encode(kind: int, body: bytes | bytearray | memoryview = b"") -> bytes:
    """Return one frame."""
    return _HEAD.pack(kind, len(body)) + bytes(body)


def encode_json(kind: int, value: Any) -> bytes:
    """Return one frame with *value* as JSON."""
    return encode(kind, jsontext.dumps(value).encode())


def encode_window(rows: int, columns: int) -> bytes:
    """Return a RESIZE frame."""
    return encode(RESIZE, struct.pack("!HH", rows & 0xFFFF, columns & 0xFFFF))


def decode_window(body: bytes) -> tuple[int, int]:
    """Return (rows, columns) of a RESIZE frame; raises ValueError."""
    if len(body) != 4:
        raise ValueError("a window has two numbers")
    rows, columns = struct.unpack("!HH", body)
    return rows, columns


class FrameReader:
    """Collects bytes and hands out whole frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return the frames that *data* completes: (kind, body).

        Raises:
            ValueError: this is no peer of ours.
        """
        self._buffer += data
        found = []
        while len(self._buffer) >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._buffer)
            if length > LONGEST:
                raise ValueError(f"a frame of {length} bytes")
            end = _HEAD.size + length
            if len(self._buffer) < end:
                break
            found.append((kind, bytes(self._buffer[_HEAD.size : end])))
            del self._buffer[:end]
        return found
