"""As much HTTP/1.1 as a probe needs: one GET, and the head of its answer.

Sans-I/O: bytes in, bytes out.  It follows no redirect, decodes no body, keeps no connection and
speaks no TLS.  `supervise.daemon.readiness.probes` moves the bytes.
"""

from __future__ import annotations

from supervise.model.printable import printable
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.model.target import HttpTarget

HEAD_LIMIT = 8192  # bytes of status line and headers; servers' own limits are of this size
BODY_LIMIT = 65536  # bytes of body worth waiting for
_PREFIX = b"HTTP/1."
_LAST_CHUNK = b"0\r\n\r\n"
_SHOWN = 60  # characters of foreign text in a message


class Head(Record):
    """The status line and what matters of the headers."""

    status: int
    reason: str  # printable, at most 60 characters, may be empty
    length: int | None = None  # bytes of the body, when the server said
    chunked: bool = False

    def succeeded(self) -> bool:
        """Return whether a probe is content: 200 to 399, a redirect being an answer too."""
        return 200 <= self.status <= 399


class ResponseReader:
    """Reads one answer from chunks of any size."""

    def __init__(self) -> None:
        self.head: Head | None = None  # of the final response; None until it is complete
        self._buffer = b""
        self._body_bytes = 0
        self._tail = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes from the connection.

        Raises:
            ValueError: one sentence: this is not HTTP/1, or its head is too long.
        """
        if self.head is None:
            self._buffer += data
            data = self._read_heads()
        if self.head is not None:
            self._body_bytes += len(data)
            self._tail = (self._tail + data[-len(_LAST_CHUNK) :])[-len(_LAST_CHUNK) :]

    def finished(self) -> bool:
        """Return whether closing the connection would cut the server off.

        True at the end of the body, as far as it can be told without decoding it, and when the
        body is too long to wait for.  A server that is cut off in the middle of
        its answer logs an error, every interval.
        """
        if self.head is None:
            return False
        if self.head.status in (101, 204, 304) or self._body_bytes >= BODY_LIMIT:
            return True
        if self.head.chunked:
            return self._tail == _LAST_CHUNK
        return self.head.length is not None and self._body_bytes >= self.head.length

    def _read_heads(self) -> bytes:
        """Read up to the final head; return what follows it."""
        while True:
            if not self._buffer.startswith(_PREFIX[: len(self._buffer)]):
                raise ValueError(f"the answer is not HTTP/1: {_quote(self._buffer)}")
            end, size = _end_of_head(self._buffer)
            if end > HEAD_LIMIT or (end < 0 and len(self._buffer) > HEAD_LIMIT):
                raise ValueError(f"the head of the answer is longer than {HEAD_LIMIT} bytes")
            if end < 0:
                return b""
            head, self._buffer = parse_head(self._buffer[:end]), self._buffer[end + size :]
            if head.status >= 200 or head.status == 101:
                self.head = head
                body, self._buffer = self._buffer, b""
                return body
            # An interim response (RFC 9110, 15.2), such as 103 Early Hints: the real one follows.


def get_request(target: HttpTarget) -> bytes:
    """Return the request for *target*, complete."""
    return (
        f"GET {target.path} HTTP/1.1\r\n"
        f"Host: {target.authority}\r\n"
        "User-Agent: supervise\r\n"
        "Accept: */*\r\n"
        "Connection: close\r\n"
        "\r\n"
    ).encode("ascii", "replace")


def parse_head(block: bytes) -> Head:
    """Return what the status line and header lines in *block* say; lines end in CRLF or LF.

    Raises:
        ValueError: it is not a status line; the text is one sentence.
    """
    lines = block.decode("latin-1").split("\n")
    version, _, rest = lines[0].rstrip("\r").partition(" ")
    code, _, reason = rest.lstrip(" ").partition(" ")
    if not (version[:-1] == "HTTP/1." and len(code) == 3 and code.isdecimal() and code >= "100"):
        raise ValueError(f"the answer is not HTTP/1: {_quote(block)}")
    length: int | None = None
    chunked = False
    for line in lines[1:]:
        name, _, value = line.partition(":")
        match name.lower():
            case "content-length" if value.strip().isdecimal():
                length = int(value.strip()[:18])
            case "transfer-encoding":
                chunked = value.strip().lower().endswith("chunked")
    return Head(int(code), printable(reason.strip())[:_SHOWN], None if chunked else length, chunked)


def _end_of_head(data: bytes) -> tuple[int, int]:
    """Return (where the empty line begins, its length); (-1, 0) when it has not come."""
    ends = [(data.find(mark), len(mark)) for mark in (b"\r\n\r\n", b"\n\n")]
    return min((end for end in ends if end[0] >= 0), default=(-1, 0))


def _quote(data: bytes) -> str:
    return repr(data[:_SHOWN].split(b"\n")[0].decode("latin-1"))
