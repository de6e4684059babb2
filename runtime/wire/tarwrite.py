"""Tar headers to write: ustar, and pax where ustar cannot say it.  Equal entries, equal bytes."""

from __future__ import annotations

import struct

from runtime.wire import tar
from runtime.wire.tar import Entry

_MOST_OCTAL_7 = 0o7777777  # uid, gid, device numbers
_MOST_OCTAL_11 = 0o77777777777  # size, mtime: 8 GiB, year 2242
_NAME = 100  # bytes of a name or link in the header
_PREFIX = 155  # bytes of what stands before the last slash that fits
_header = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x").pack

END = bytes(2 * tar.BLOCK)  # what closes an archive


def header(entry: Entry) -> bytes:
    """Return the header blocks of *entry*; its contents and their padding follow.

    Times are whole seconds, as docker's layers have them.  Directories get their slash here.
    """
    name = entry.name
    if entry.kind == tar.DIRECTORY and not name.endswith(b"/"):
        name += b"/"
    seconds = entry.mtime_ns // 1_000_000_000
    pax: dict[bytes, bytes] = {}
    prefix, short = _split(name)
    if short is None or not name.isascii():
        pax[b"path"] = name
        prefix, short = b"", name[:_NAME]
    if len(entry.link) > _NAME or not entry.link.isascii():
        pax[b"linkpath"] = entry.link
    for key, number, most in (
        (b"uid", entry.uid, _MOST_OCTAL_7),
        (b"gid", entry.gid, _MOST_OCTAL_7),
        (b"size", entry.size, _MOST_OCTAL_11),
        (b"mtime", seconds, _MOST_OCTAL_11),
    ):
        if not 0 <= number <= most:
            pax[key] = str(number).encode()
    for xattr, value in entry.xattrs.items():
        pax[b"SCHILY.xattr." + xattr.encode("utf-8", "surrogateescape")] = value
    block = _block(entry, prefix, short, seconds)
    return _pax(name, pax) + block if pax else block


def padding(size: int) -> bytes:
    """Return the zeros after contents of *size* bytes."""
    return bytes(-size % tar.BLOCK)


def _block(entry: Entry, prefix: bytes, name: bytes, seconds: int) -> bytes:
    fields = [
        name,
        b"%07o" % (entry.mode & 0o7777),
        _octal(entry.uid, 7, _MOST_OCTAL_7),
        _octal(entry.gid, 7, _MOST_OCTAL_7),
        _octal(entry.size, 11, _MOST_OCTAL_11),
        _octal(seconds, 11, _MOST_OCTAL_11),
        b" " * 8,
        entry.kind,
        entry.link[:_NAME],
        b"ustar\x0000",
        b"",
        b"",
        b"%07o" % entry.major,
        b"%07o" % entry.minor,
        prefix,
    ]
    fields[6] = b"%06o\0 " % sum(_header(*fields))
    return _header(*fields)


def _pax(name: bytes, records: dict[bytes, bytes]) -> bytes:
    """Return a pax header with *records*, in the order of their keys."""
    body = b"".join(_record(key, value) for key, value in sorted(records.items()))
    entry = Entry()
    directory, _, base = name.rstrip(b"/").rpartition(b"/")
    entry.name = b"/".join(filter(None, (directory, b"PaxHeaders.0", base)))[:_NAME]
    entry.kind, entry.size = b"x", len(body)
    return _block(entry, b"", entry.name, 0) + body + padding(len(body))


def _record(key: bytes, value: bytes) -> bytes:
    # The length counts its own digits.
    length = len(key) + len(value) + 3
    total = length + len(str(length))
    total = length + len(str(total))
    return b"%d %s=%s\n" % (total, key, value)


def _split(name: bytes) -> tuple[bytes, bytes | None]:
    """Return (prefix, name) as ustar has them, the name None when they do not fit."""
    if len(name) <= _NAME:
        return b"", name
    slash = name.rfind(b"/", 0, _PREFIX + 1)
    while slash > 0:
        if 0 < len(name) - slash - 1 <= _NAME:
            return name[:slash], name[slash + 1 :]
        slash = name.rfind(b"/", 0, slash)
        if len(name) - slash - 1 > _NAME:
            break
    return b"", None


def _octal(number: int, digits: int, most: int) -> bytes:
    return b"%0*o" % (digits, number if 0 <= number <= most else 0)
