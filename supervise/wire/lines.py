"""Byte chunks → whole lines → what is written: prefix, JSON, logfmt, raw.

Pure: the relay reads the pipes, says what time it is and writes what comes out of here.  The bulk
path never looks at a single line: a *block* of whole lines is transformed by a handful of calls
on 64 KiB at a time, because 100-byte lines at 300 MB/s leave 0.3 µs for each.

A **block** is either some whole lines (it ends with a newline) or one *piece*: a part of a line,
without any newline, either because the line is longer than `LIMIT` or because its writer ended in
the middle of it.
"""

from __future__ import annotations

from json.decoder import JSONDecoder
from json.encoder import encode_basestring

from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    # (block, wall clock in seconds, "stdout" | "stderr", pid) → the bytes to write
    Render = Callable[[bytes, float, str, int], bytes]

# SGR codes of prefixes; red is left to errors, black and white to the background.
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)

LIMIT = 64 * 1024  # bytes of one line that are kept together

# Everything a JSON string must escape beyond backslash, quote, tab and the newlines between lines.
_CONTROLS = bytes(set(range(0x20)) - set(b"\t\n"))


class LogRecord(Record):
    """One line, or one piece of a long one; *message* has no newline."""

    time: float  # wall clock seconds at which its last bytes were read
    service: str
    stream: str  # stdout | stderr
    pid: int  # of the process the pipe was made for; its descendants write to the same pipe
    message: bytes  # exactly what was written; not always UTF-8
    partial: bool = False  # no newline followed


class LineSplitter:
    """Cuts one stream into blocks; where its input was cut does not change the records."""

    __slots__ = ("_carry", "_limit")

    def __init__(self, limit: int = LIMIT) -> None:
        self._carry = bytearray()
        self._limit = limit

    @property
    def held(self) -> int:
        """Return how many bytes of an unfinished line are held back; at most the limit."""
        return len(self._carry)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the blocks that *data* completes, in order."""
        limit = self._limit
        if len(data) <= limit:
            return self._feed(data)
        return [
            block
            for start in range(0, len(data), limit)
            for block in self._feed(data[start : start + limit])
        ]

    def flush(self) -> list[bytes]:
        """Return the unfinished line as a piece, if there is one."""
        piece = bytes(self._carry)
        self._carry.clear()
        return [piece] if piece else []

    def _feed(self, data: bytes) -> list[bytes]:
        # len(data) <= limit: so only the first line can be too long, whose start is in the carry.
        carry = self._carry
        first = data.find(b"\n")
        if first < 0:
            carry += data
            return self._pieces(len(carry))
        pieces: list[bytes] = []
        if len(carry) + first > self._limit:
            carry += data[: first + 1]
            data = data[first + 1 :]
            pieces = self._pieces(len(carry) - 1)
        end = data.rfind(b"\n") + 1
        if not carry and end == len(data):
            return [data]
        pieces.append(b"".join((carry, memoryview(data)[:end])))
        carry.clear()
        carry += memoryview(data)[end:]
        return pieces

    def _pieces(self, length: int) -> list[bytes]:
        """Cut full pieces off the carry while more than one limit's worth of *length* is left."""
        pieces = []
        while length > self._limit:
            pieces.append(bytes(self._carry[: self._limit]))
            del self._carry[: self._limit]
            length -= self._limit
        return pieces


def count_lines(block: bytes) -> int:
    """Return how many lines *block* holds; a piece counts as one."""
    return block.count(b"\n") or 1


def records(block: bytes, when: float, service: str, stream: str, pid: int) -> list[LogRecord]:
    """Return the records of one block."""
    if not block.endswith(b"\n"):
        return [LogRecord(when, service, stream, pid, block, partial=True)]
    return [LogRecord(when, service, stream, pid, message) for message in block[:-1].split(b"\n")]


# -- formats


def colour_of(name: str) -> int:
    """Return the colour of a service's prefix: its name decides, here and in every client.

    Weighted by position, for neighbours that are numbered and for web and db, whose letters have
    the same sum.
    """
    weighed = sum(byte * place for place, byte in enumerate(name.encode(), 1))
    return _COLOURS[weighed % len(_COLOURS)]


def render_raw(block: bytes, when: float, stream: str, pid: int) -> bytes:  # noqa: ARG001
    """Return *block*: the bytes as they came."""
    return block


def prefix_renderer(prefix: bytes) -> Render:
    """Return a renderer that puts *prefix*, never empty, before each line."""
    between = b"\n" + prefix
    surplus = -len(prefix)

    def render(block: bytes, when: float, stream: str, pid: int) -> bytes:  # noqa: ARG001
        if not block.endswith(b"\n"):
            return prefix + block + b"\n"
        return b"".join((prefix, memoryview(block.replace(b"\n", between))[:surplus]))

    return render


def json_renderer(service: str) -> Render:
    r"""Return a renderer for one JSON object a line.

    ``{"time", "service", "stream", "pid", "message"}``; a line that is a JSON object itself is
    nested, as it is, under ``data`` in place of ``message``; ``"partial":true`` when no newline
    followed.  Bytes that are not UTF-8 become ``\xff``, so that the result is valid JSON for
    every parser (a lone surrogate is not).
    """
    name = encode_basestring(service)

    def render(block: bytes, when: float, stream: str, pid: int) -> bytes:
        head = f'{{"time":"{utc(when)}","service":{name},"stream":"{stream}","pid":{pid},'.encode()
        message = head + b'"message":"'
        if not block.endswith(b"\n"):
            return message + _quoted(block) + b',"partial":true}\n'
        if not (block.startswith(b"{") or b"\n{" in block) and _is_plain(block):
            return _bulk(block, message, b'"}\n')
        out: list[bytes] = []
        for line in block[:-1].split(b"\n"):
            if line.startswith(b"{") and _is_json_object(line):
                out += (head, b'"data":', line, b"}\n")
            else:
                out += (message, _quoted(line), b"}\n")
        return b"".join(out)

    return render


def logfmt_renderer(service: str) -> Render:
    """Return a renderer for ``time=… service=… stream=… pid=… message="…"``, escaped as JSON."""
    name = logfmt_value(service)

    def render(block: bytes, when: float, stream: str, pid: int) -> bytes:
        head = f'time={utc(when)} service={name} stream={stream} pid={pid} message="'.encode()
        if not block.endswith(b"\n"):
            return head + _quoted(block) + b" partial=true\n"
        if _is_plain(block):
            return _bulk(block, head, b'"\n')
        lines = [head + _quoted(line) + b"\n" for line in block[:-1].split(b"\n")]
        return b"".join(lines)

    return render


def logfmt_value(value: object) -> str:
    """Return *value* as logfmt writes it: bare when it can be, else quoted and escaped."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    text = str(value)
    bare = text.isascii() and text.isprintable() and text and not set(text) & set(' "=\\')
    return text if bare else encode_basestring(text)


def _bulk(block: bytes, opening: bytes, closing: bytes) -> bytes:
    """Wrap each line of a plain *block* without looking at any of them."""
    escaped = block.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\t", b"\\t")
    wrapped = memoryview(escaped.replace(b"\n", closing + opening))
    return b"".join((opening, wrapped[: -len(opening)]))


def _is_plain(block: bytes) -> bool:
    """Return whether three `replace` calls escape *block*: UTF-8 without rare controls."""
    if len(block.translate(None, _CONTROLS)) != len(block):
        return False
    if block.isascii():
        return True
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _quoted(line: bytes) -> bytes:
    """Return *line* as the inside of a JSON string and its closing quote."""
    return encode_basestring(line.decode("utf-8", "backslashreplace"))[1:].encode()


def _is_json_object(line: bytes) -> bool:
    if not line.rstrip().endswith(b"}"):
        return False
    try:
        _STRICT.decode(line.decode())
    except (ValueError, RecursionError):  # ValueError: malformed, not UTF-8, a huge integer
        return False
    return True


def _refuse(constant: str) -> None:
    """Refuse NaN and Infinity, which Python's decoder would let pass."""
    raise ValueError(f"{constant} is not JSON")


_STRICT = JSONDecoder(parse_constant=_refuse)


def utc(when: float) -> str:
    """Return *when* (seconds since the epoch) as RFC 3339 in UTC with microseconds.

    Days to civil date after Howard Hinnant's ``civil_from_days``; `datetime` would cost PID 1
    an import for these ten lines.
    """
    micros = round(when * 1_000_000)
    seconds, micros = divmod(micros, 1_000_000)
    days, second = divmod(seconds, 86400)
    era, day_of_era = divmod(days + 719468, 146097)
    year = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153  # counted from March
    day = day_of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    year += era * 400 + (month <= 2)
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.{micros:06}"
    return f"{year:04}-{month:02}-{day:02}T{clock}Z"
