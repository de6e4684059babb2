"""Tar headers: ustar, pax, GNU long names, base-256 numbers and all four sparse formats.

Sans-I/O: `Reader` is given a function that takes the next bytes.  It keeps the header bytes as
they came, so that a stream can be put together again (`runtime.store.split`).  `tarfile` was
measured at 26 µs a header, this at 5, and it throws those bytes away.
"""

from __future__ import annotations

import struct
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = 512
FILE, HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = (
    *(b"0", b"1", b"2", b"3", b"4", b"5", b"6"),
)
_XATTR = b"SCHILY.xattr."
_FILES = frozenset((FILE, b"\0", b"7", b"S"))  # 7: contiguous; S: GNU's old sparse format
_SKIPPED = frozenset((b"V", b"D", b"M", b"N"))  # GNU: volume label, dump, continuation, old names
# What stands before an entry and changes it: pax and its ancestor, GNU's long name and link.
_PREFIXES = frozenset((b"x", b"X", b"g", b"L", b"K"))
_LARGEST_PREFIX = 1 << 20  # bytes, as Go's archive/tar: no honest name or attribute is larger
_fields = struct.Struct("100s8s8s8s12s12s8sc100s6s2x32s32s8s8s155s12x").unpack
_checksum_field = struct.Struct("148x8s356x").unpack


class TarError(ValueError):
    """The stream is not the tar archive it should be."""


class Entry:
    """One member.  Paths are as written, with NULs and padding gone."""

    __slots__ = (
        *("name", "kind", "mode", "uid", "gid", "size", "mtime_ns", "link", "major", "minor"),
        *("xattrs", "sparse", "real_size"),
    )

    def __init__(self) -> None:
        self.name = b""
        self.kind = FILE  # one of FILE … FIFO
        self.mode = 0o644  # permission bits alone
        self.uid = self.gid = 0
        self.size = 0  # bytes that follow in the stream, padding not counted
        self.mtime_ns = 0
        self.link = b""  # what a symbolic or hard link points to
        self.major = self.minor = 0
        self.xattrs: dict[str, bytes] = {}
        self.sparse: list[tuple[int, int]] | None = None  # (offset, length) of the data
        self.real_size = 0  # of the file: more than `size` when it is sparse


class Reader:
    """Reads entries; the caller takes the contents between two calls of `next`."""

    def __init__(self, take: Callable[[int], bytes]) -> None:
        """Read with *take*, which returns exactly n bytes, fewer only at the end."""
        self._take = take
        self._global: dict[bytes, bytes] = {}
        self.raw: list[bytes] = []  # header bytes since the caller last emptied it

    def next(self) -> Entry | None:
        """Return the next entry, None at the end mark or at the end of the stream.

        Raises:
            TarError: what stands there is not a header, or the stream ends inside one.
        """
        pax: dict[bytes, bytes] = {}
        pairs: list[tuple[int, int]] = []  # sparse map of pax format 0.0
        long_name = long_link = None
        while True:
            block = self._block()
            if block is None:
                return None
            kind = block[156:157]
            if kind not in _PREFIXES:
                break
            body = self._body(_number(block[124:136]))
            if kind == b"L":
                long_name = body.partition(b"\0")[0]
            elif kind == b"K":
                long_link = body.partition(b"\0")[0]
            elif kind == b"g":
                self._global.update(parse_pax(body, pairs))
            else:
                pax = parse_pax(body, pairs)
        entry = _entry(block)
        if long_name is not None:
            entry.name = long_name
        if long_link is not None:
            entry.link = long_link
        if kind == b"S":
            self._old_sparse(entry, block)
        if self._global or pax:
            _apply(entry, {**self._global, **pax})
            self._pax_sparse(entry, pax, pairs)
        _settle(entry, kind)
        return entry

    def _block(self) -> bytes | None:
        block = self._take(BLOCK)
        if block:
            self.raw.append(block)
        if len(block) < BLOCK:
            if block:
                raise TarError("it ends in the middle of a header")
            return None
        if not block[0] and not block.strip(b"\0"):
            return None
        field = _checksum_field(block)[0]
        try:
            written = int(field.strip(b" \0"), 8)
        except ValueError:
            raise TarError("there is no tar header where one should be") from None
        # The low half of Adler-32 is 1 + the sum of the bytes modulo 65521: that sum in C.  The
        # field itself counts as eight spaces.
        expected = written + 1 - 8 * 0x20 + sum(field)
        if zlib.adler32(block) & 0xFFFF != expected % 65521:
            raise TarError("the check sum of a tar header is wrong")
        return block

    def _body(self, size: int) -> bytes:
        if not 0 <= size <= _LARGEST_PREFIX:
            raise TarError(f"a header extension of {size} bytes")
        padded = -(-size // BLOCK) * BLOCK
        body = self._take(padded)
        self.raw.append(body)
        if len(body) < padded:
            raise TarError("it ends in the middle of a header")
        return body[:size]

    def _old_sparse(self, entry: Entry, block: bytes) -> None:
        """Read GNU's map of 4 pairs in the header and 21 in each block that follows."""
        entry.sparse = _pairs(block[386:482])
        entry.real_size = _number(block[483:495])
        more = block[482]
        while more:
            extension = self._take(BLOCK)
            self.raw.append(extension)
            if len(extension) < BLOCK:
                raise TarError("it ends in the middle of a header")
            entry.sparse += _pairs(extension[:504])
            more = extension[504]

    def _pax_sparse(
        self, entry: Entry, pax: dict[bytes, bytes], pairs: list[tuple[int, int]]
    ) -> None:
        """Read the sparse maps of pax formats 0.0 and 0.1 (in the header), 1.0 (before the data)."""
        if pax.get(b"GNU.sparse.major") == b"1":
            entry.sparse = self._sparse_table(entry)
        elif b"GNU.sparse.map" in pax:
            numbers = [int(text) for text in pax[b"GNU.sparse.map"].split(b",")]
            entry.sparse = list(zip(numbers[::2], numbers[1::2], strict=True))
        elif pairs:
            entry.sparse = pairs
        if entry.sparse is not None:
            real = pax.get(b"GNU.sparse.realsize", pax.get(b"GNU.sparse.size", b"0"))
            entry.real_size = max(entry.real_size, int(real))

    def _sparse_table(self, entry: Entry) -> list[tuple[int, int]]:
        table, numbers = b"", []
        while True:
            block = self._take(BLOCK)
            self.raw.append(block)
            entry.size -= BLOCK
            if len(block) < BLOCK or entry.size < 0:
                raise TarError("a sparse map ends too early")
            table += block
            numbers = table.split(b"\n")[:-1]
            if numbers and len(numbers) > 2 * int(numbers[0]):
                values = [int(text) for text in numbers[1 : 1 + 2 * int(numbers[0])]]
                return list(zip(values[::2], values[1::2], strict=True))


def parse_pax(body: bytes, pairs: list[tuple[int, int]]) -> dict[bytes, bytes]:
    """Return the records of a pax header, and append repeated sparse offsets to *pairs*.

    Raises:
        TarError: a record's length does not fit.
    """
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(body) and body[at]:
        space = body.find(b" ", at, at + 20)
        try:
            end = at + int(body[at:space])
        except ValueError:
            raise TarError("a pax record without a length") from None
        key, equals, value = body[space + 1 : end - 1].partition(b"=")
        if space < 0 or end > len(body) or end <= space or not equals:
            raise TarError("a pax record with a wrong length")
        at = end
        if key == b"GNU.sparse.offset":
            pairs.append((int(value), 0))
        elif key == b"GNU.sparse.numbytes" and pairs:
            pairs[-1] = (pairs[-1][0], int(value))
        else:
            found[key] = value
    return found


def _entry(block: bytes) -> Entry:
    fields = _fields(block)
    entry = Entry()
    entry.name = fields[0].partition(b"\0")[0]
    entry.mode = _number(fields[1]) & 0o7777
    entry.uid = _number(fields[2])
    entry.gid = _number(fields[3])
    entry.size = _number(fields[4])
    entry.mtime_ns = _number(fields[5]) * 1_000_000_000
    kind = fields[7]
    if kind in (HARD_LINK, SYMLINK):
        entry.link = fields[8].partition(b"\0")[0]
    elif kind in (CHARACTER, BLOCK_DEVICE):
        entry.major, entry.minor = _number(fields[12]), _number(fields[13])
    # GNU's magic is "ustar " and uses the prefix for other things.
    if fields[14][0] and fields[9] == b"ustar\0":
        entry.name = fields[14].partition(b"\0")[0] + b"/" + entry.name
    return entry


def _apply(entry: Entry, pax: dict[bytes, bytes]) -> None:
    """Let pax records replace what the header says; an empty value takes a record back."""
    try:
        for key, value in pax.items():
            if key.startswith(_XATTR):  # these alone may be empty
                name = key[len(_XATTR) :].decode("utf-8", "surrogateescape")
                entry.xattrs[name] = value
            elif not value:
                continue
            elif key in (b"path", b"GNU.sparse.name"):
                entry.name = value
            elif key == b"linkpath":
                entry.link = value
            elif key == b"size":
                entry.size = int(value)
            elif key == b"uid":
                entry.uid = int(value)
            elif key == b"gid":
                entry.gid = int(value)
            elif key == b"mtime":
                entry.mtime_ns = _nanoseconds(value)
    except ValueError:
        raise TarError(f"pax record {key!r} has the value {value[:40]!r}") from None


def _settle(entry: Entry, kind: bytes) -> None:
    """Decide what the entry is, and how many bytes follow it."""
    if kind in _FILES:
        is_directory = kind != b"S" and entry.name.endswith(b"/")  # before ustar
        entry.kind = DIRECTORY if is_directory else FILE
    elif kind in (HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO):
        entry.kind = kind
    elif kind in _SKIPPED:
        entry.kind = kind
        return
    else:
        raise TarError(f"an entry of unknown type {kind!r}")
    if entry.size < 0:
        raise TarError("a negative size")
    if entry.kind != FILE:
        entry.size = 0  # as Go's archive/tar: nothing follows, whatever the header says
    if entry.sparse is None:
        entry.real_size = entry.size
    elif sum(length for _, length in entry.sparse) != entry.size or any(
        offset < 0 or length < 0 or offset + length > entry.real_size
        for offset, length in entry.sparse
    ):
        raise TarError("a sparse map that does not fit its file")


def _number(field: bytes) -> int:
    """Return an octal or base-256 number."""
    if field[0] & 0x80:
        negative = field[0] & 0x40
        bits = 8 * len(field) - 1
        value = int.from_bytes(field, "big") & ((1 << bits) - 1)
        return value - (1 << bits) if negative else value
    text = field.partition(b"\0")[0].strip()
    try:
        return int(text, 8) if text else 0
    except ValueError:
        raise TarError(f"{field!r} is not a number") from None


def _nanoseconds(value: bytes) -> int:
    whole, _, fraction = value.partition(b".")
    nanoseconds = int(fraction[:9].ljust(9, b"0")) if fraction else 0
    seconds = int(whole or b"0") * 1_000_000_000
    return seconds - nanoseconds if whole.startswith(b"-") else seconds + nanoseconds


def _pairs(table: bytes) -> list[tuple[int, int]]:
    """Return the (offset, length) pairs of 12 + 12 bytes, up to the first empty one."""
    found = []
    for at in range(0, len(table) - 23, 24):
        if not table[at]:
            break
        found.append((_number(table[at : at + 12]), _number(table[at + 12 : at + 24])))
    return found
