"""Tar headers: ustar, pax, GNU long names, base-256 numbers and all four sparse formats.

Sans-I/O: `TarReader` is given a function that takes the next bytes.  It keeps the header bytes as
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
# Bounds.  A stream of megabytes may stand for gigabytes of headers, all of which would be kept.
_LARGEST_PREFIX = 1 << 20  # bytes before one entry in all, as Go's archive/tar has it for each
_MOST_PREFIXES = 1024  # before one entry
_LARGEST_MAP = 1 << 20  # bytes of one sparse map: some 100,000 pieces of a file
_LONGEST_PATH = 4095  # bytes: the kernel's PATH_MAX without its NUL
_LARGEST_ID = (1 << 32) - 2  # chown(2): the one above means "leave it"
_LARGEST_SIZE = (1 << 63) - 1  # off_t
_LATEST = (1 << 62) * 1_000_000_000  # nanoseconds either way: time_t has room for twice that
_LARGEST_MAJOR, _LARGEST_MINOR = (1 << 12) - 1, (1 << 20) - 1  # of the kernel's dev_t
_MOST_DIGITS = 20  # of a number: all that 64 bits hold
_SHOWN = 200  # bytes of a name in a message
# What a global header may say of all entries that follow.  Attributes are left out: 50,000 of them
# would be set on each of a million files.  Docker ignores such headers altogether.
_GLOBAL = frozenset((b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime"))
_fields = struct.Struct("100s8s8s8s12s12s8sc100s6s2x32s32s8s8s155s12x").unpack
_checksum_field = struct.Struct("148x8s356x").unpack


class TarError(ValueError):
    """The stream is not the tar archive it should be; names the entry where it has a name."""

    def __init__(self, reason: str, entry: bytes = b"") -> None:
        self.reason = reason
        self.entry = entry  # empty: there was none yet
        super().__init__(f"'{_shown(entry)}': {reason}" if entry else reason)


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


class TarReader:
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
        room, left = _LARGEST_PREFIX, _MOST_PREFIXES
        while True:
            block = self._block()
            if block is None:
                return None
            kind = block[156:157]
            if kind not in _PREFIXES:
                break
            body = self._body(_number(block[124:136]), room)
            room, left = room - len(body), left - 1
            if left < 0:
                raise TarError(f"more than {_MOST_PREFIXES} header extensions of one entry")
            if kind == b"L":
                long_name = body.partition(b"\0")[0]
            elif kind == b"K":
                long_link = body.partition(b"\0")[0]
            elif kind == b"g":
                found = parse_pax(body, [])
                self._global.update((k, found[k]) for k in _GLOBAL & found.keys())
            else:
                pax = parse_pax(body, pairs)
        entry = Entry()
        try:
            _fill(entry, block)
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
        except TarError as error:
            raise TarError(error.reason, entry.name) from None
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

    def _body(self, size: int, room: int) -> bytes:
        if not 0 <= size <= _LARGEST_PREFIX:
            raise TarError(f"a header extension of {size} bytes")
        if size > room:
            raise TarError(f"header extensions of one entry with more than {_LARGEST_PREFIX} bytes")
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
        more, room = block[482], _LARGEST_MAP
        while more:
            extension = self._take(BLOCK)
            self.raw.append(extension)
            room -= BLOCK
            if room < 0:
                raise TarError(f"a sparse map with more than {_LARGEST_MAP} bytes")
            if len(extension) < BLOCK:
                raise TarError("it ends in the middle of a header")
            entry.sparse += _pairs(extension[:504])
            more = extension[504]

    def _pax_sparse(
        self, entry: Entry, pax: dict[bytes, bytes], pairs: list[tuple[int, int]]
    ) -> None:
        """Read the sparse map of pax format 0.0 or 0.1 (in the header) or 1.0 (before the data)."""
        if pax.get(b"GNU.sparse.major") == b"1":
            entry.sparse = self._sparse_table(entry)
        elif b"GNU.sparse.map" in pax:
            entry.sparse = _paired(pax[b"GNU.sparse.map"].split(b","))
        elif pairs:
            entry.sparse = pairs
        if entry.sparse is not None:
            real = pax.get(b"GNU.sparse.realsize", pax.get(b"GNU.sparse.size", b"0"))
            entry.real_size = max(entry.real_size, _decimal(real))

    def _sparse_table(self, entry: Entry) -> list[tuple[int, int]]:
        """Read the map before the data: how many pairs, then their numbers, a line each."""
        blocks: list[bytes] = []
        lines, wanted = 0, 1
        while lines < wanted:
            block = self._take(BLOCK)
            self.raw.append(block)
            entry.size -= BLOCK
            if len(block) < BLOCK or entry.size < 0:
                raise TarError("a sparse map ends too early")
            blocks.append(block)
            lines += block.count(b"\n")
            if len(blocks) == 1 and lines:  # the number is in the first block, or is none
                wanted += 2 * _decimal(block.partition(b"\n")[0])
            if not lines or len(blocks) * BLOCK > _LARGEST_MAP:
                raise TarError(f"a sparse map with more than {_LARGEST_MAP} bytes")
        return _paired(b"".join(blocks).split(b"\n", wanted)[1:wanted])


def parse_pax(body: bytes, pairs: list[tuple[int, int]]) -> dict[bytes, bytes]:
    """Return the records of a pax header, and append repeated sparse offsets to *pairs*.

    Raises:
        TarError: a record's length does not fit.
    """
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(body) and body[at]:
        space = body.find(b" ", at, at + 20)
        digits = body[at:space]
        if space < 0 or not digits.isdigit():
            raise TarError("a pax record without a length")
        end = at + int(digits)
        key, equals, value = body[space + 1 : end - 1].partition(b"=")
        if end > len(body) or end <= space or not equals:
            raise TarError("a pax record with a wrong length")
        at = end
        if key == b"GNU.sparse.offset":
            pairs.append((_decimal(value), 0))
        elif key == b"GNU.sparse.numbytes" and pairs:
            pairs[-1] = (pairs[-1][0], _decimal(value))
        else:
            found[key] = value
    return found


def _fill(entry: Entry, block: bytes) -> None:
    """Set what the header *block* says; the name first, for messages."""
    fields = _fields(block)
    entry.name = fields[0].partition(b"\0")[0]
    # GNU's magic is "ustar " and uses the prefix for other things.
    if fields[14][0] and fields[9] == b"ustar\0":
        entry.name = fields[14].partition(b"\0")[0] + b"/" + entry.name
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
        if not (0 <= entry.major <= _LARGEST_MAJOR and 0 <= entry.minor <= _LARGEST_MINOR):
            raise TarError(f"there is no device {_short(entry.major)}:{_short(entry.minor)}")


def _apply(entry: Entry, pax: dict[bytes, bytes]) -> None:
    """Override header fields by pax records; an empty value restores the header's."""
    for key, value in pax.items():
        if key.startswith(_XATTR):  # these alone may be empty
            name = key[len(_XATTR) :]
            if b"\0" in name:
                raise TarError("an attribute's name has a NUL")
            entry.xattrs[name.decode("utf-8", "surrogateescape")] = value
        elif not value:
            continue
        elif key in (b"path", b"GNU.sparse.name"):
            entry.name = value
        elif key == b"linkpath":
            entry.link = value
        elif key == b"size":
            entry.size = _decimal(value, key)
        elif key == b"uid":
            entry.uid = _decimal(value, key)
        elif key == b"gid":
            entry.gid = _decimal(value, key)
        elif key == b"mtime":
            entry.mtime_ns = _nanoseconds(value)
    if b"\0" in entry.name or b"\0" in entry.link:
        raise TarError("its name or its link has a NUL")


def _settle(entry: Entry, kind: bytes) -> None:
    """Decide what the entry is and how many bytes follow it, and refuse what no system has."""
    if not (0 <= entry.uid <= _LARGEST_ID and 0 <= entry.gid <= _LARGEST_ID):
        raise TarError(f"there is no owner {_short(entry.uid)}:{_short(entry.gid)}")
    if not 0 <= entry.size <= _LARGEST_SIZE:
        raise TarError(f"a size of {_short(entry.size)} bytes")
    if not -_LATEST <= entry.mtime_ns <= _LATEST:
        raise TarError("a time that no clock will show")
    if len(entry.name) > _LONGEST_PATH or len(entry.link) > _LONGEST_PATH:
        raise TarError(f"a name or a link with more than {_LONGEST_PATH} bytes")
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
    if entry.kind != FILE:
        entry.size = 0  # as Go's archive/tar: nothing follows, whatever the header says
    if entry.sparse is None:
        entry.real_size = entry.size
    else:
        _check_sparse(entry, entry.sparse)


def _check_sparse(entry: Entry, pieces: list[tuple[int, int]]) -> None:
    if not 0 <= entry.real_size <= _LARGEST_SIZE:
        raise TarError(f"a size of {_short(entry.real_size)} bytes")
    end = total = 0
    for offset, length in pieces:
        if offset < end or length < 0:
            raise TarError("a sparse map whose pieces are not one after the other")
        end = offset + length
        total += length
    if total != entry.size or end > entry.real_size:
        raise TarError("a sparse map that does not fit its file")


def _number(field: bytes) -> int:
    """Return an octal or base-256 number."""
    if field[0] & 0x80:
        negative = field[0] & 0x40
        bits = 8 * len(field) - 1
        value = int.from_bytes(field, "big") & ((1 << bits) - 1)
        return value - (1 << bits) if negative else value
    text = field.partition(b"\0")[0].strip()
    if not text:
        return 0
    try:
        if text.isdigit():  # int() takes signs and underscores too
            return int(text, 8)
    except ValueError:
        pass
    raise TarError(f"{field!r} is not a number")


def _decimal(text: bytes, key: bytes = b"GNU.sparse") -> int:
    """Return the number that a pax record has as digits."""
    if not text.isdigit() or len(text) > _MOST_DIGITS:
        raise TarError(f"pax record {key!r} has the value {text[:40]!r}")
    return int(text)


def _nanoseconds(value: bytes) -> int:
    whole, _, fraction = value.removeprefix(b"-").partition(b".")
    if not (whole + fraction).isdigit() or len(whole) > _MOST_DIGITS:
        raise TarError(f"pax record {b'mtime'!r} has the value {value[:40]!r}")
    found = int(whole or b"0") * 1_000_000_000 + int(fraction[:9].ljust(9, b"0"))
    return -found if value.startswith(b"-") else found


def _paired(numbers: list[bytes]) -> list[tuple[int, int]]:
    """Return the (offset, length) pairs of a sparse map's numbers."""
    if len(numbers) % 2:
        raise TarError("a sparse map with half a pair")
    values = [_decimal(text) for text in numbers]
    return list(zip(values[::2], values[1::2], strict=True))


def _short(number: int) -> str:
    """Return *number* for a message."""
    return str(number) if abs(number) < 1 << 80 else "beyond all bounds"


def _shown(name: bytes) -> str:
    """Return *name*, which is foreign text, for a message."""
    text = name[:_SHOWN].decode(errors="backslashreplace")
    return text + ("…" if len(name) > _SHOWN else "")


def _pairs(table: bytes) -> list[tuple[int, int]]:
    """Return the (offset, length) pairs of 12 + 12 bytes, up to the first empty one."""
    found = []
    for at in range(0, len(table) - 23, 24):
        if not table[at]:
            break
        found.append((_number(table[at : at + 12]), _number(table[at + 12 : at + 24])))
    return found
