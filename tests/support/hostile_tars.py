"""Tar streams that no honest program writes: fields out of range, links of every kind, bombs.

`ODD` and `TRICKS` are small archives by name.  What is large comes as gzip from `repeated`, one
member of a megabyte over and over, so that gigabytes cost the test nothing.
"""

from __future__ import annotations

import gzip
import struct
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.support.tars import Member, directory, file, hard_link, make_tar, symlink

BLOCK = 512
END = bytes(2 * BLOCK)
_FIELDS = struct.Struct("100s8s8s8s12s12s8s1s100s8s32s32s8s8s155s12x")
_STEP = 1 << 20


def octal(number: int, width: int) -> bytes:
    return f"{number:0{width - 1}o}".encode() + b"\0"


def base256(number: int, width: int) -> bytes:
    """Return GNU's form of what octal digits cannot say: negative, or large."""
    data = bytearray((number & ((1 << 8 * width) - 1)).to_bytes(width, "big"))
    data[0] |= 0x80
    return bytes(data)


def header(
    name: bytes,
    kind: bytes = b"0",
    *,
    uid: bytes = b"0000000\0",
    gid: bytes = b"0000000\0",
    size: int | bytes = 0,
    mtime: bytes = b"00000000000\0",
    link: bytes = b"",
    major: bytes = b"",
    minor: bytes = b"",
    tail: bytes = b"",
) -> bytes:
    """Return one header block with a right check sum; *tail* is what old GNU has from byte 345."""
    length = octal(size, 12) if isinstance(size, int) else size
    magic = b"ustar  \0" if tail else b"ustar\x0000"
    block = bytearray(
        _FIELDS.pack(
            name, b"0000644\0", uid, gid, length, mtime, b" " * 8, kind, link,
            magic, b"", b"", major, minor, tail,
        )
    )  # fmt: skip
    if len(tail) > 155:
        block[345 : 345 + len(tail)] = tail
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block)


def padded(body: bytes) -> bytes:
    return body + bytes(-len(body) % BLOCK)


def pax(*records: tuple[bytes, bytes], kind: bytes = b"x") -> bytes:
    """Return a pax header with *records*, values as they are."""
    body = b"".join(record(key, value) for key, value in records)
    return header(b"pax", kind, size=len(body)) + padded(body)


def record(key: bytes, value: bytes) -> bytes:
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def with_pax(*records: tuple[bytes, bytes], name: bytes = b"odd", data: bytes = b"") -> bytes:
    """Return an archive of one file whose pax header has *records*."""
    return pax(*records) + header(name, size=len(data)) + padded(data) + END


def sparse_1_0(table: bytes, data: bytes, real: bytes = b"100") -> bytes:
    """Return an archive of one sparse file of pax format 1.0 with any *table*."""
    body = padded(table) + data
    return (
        pax(
            (b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
            (b"GNU.sparse.name", b"odd"), (b"GNU.sparse.realsize", real),
        )
        + header(b"odd", size=len(body)) + padded(body) + END
    )  # fmt: skip


def old_sparse(
    *pairs: tuple[bytes, bytes], size: int = 0, real: bytes = b"0" * 11 + b"\0"
) -> bytes:
    """Return an archive of one sparse file of GNU's old format, its first four pairs any bytes."""
    table = b"".join(offset + length for offset, length in pairs).ljust(96, b"\0")
    tail = bytes(41) + table + b"\0" + real
    return header(b"odd", b"S", size=size, tail=tail) + bytes(size + -size % BLOCK) + END


_ENORMOUS = b"9" * 23
_INDIC = "١٢".encode()  # digits to str.isdecimal, and to no tar

# Archives that must end in a sentence with the name of the entry, which is `odd`.
ODD: dict[str, bytes] = {
    **{
        f"pax {key.decode()} {value[:12].decode(errors='replace')}": with_pax((key, value))
        for key in (b"uid", b"gid", b"size", b"mtime")
        for value in (_ENORMOUS, b"9" * 5000, b"-" + _ENORMOUS, b"1_0", b"x", _INDIC, b"1e3", b"+ 1")
    },
    "pax uid -2": with_pax((b"uid", b"-2")),
    "pax uid of chown's leave-it": with_pax((b"uid", b"4294967295")),
    "base-256 uid -1": header(b"odd", uid=base256(-1, 8)) + END,
    "base-256 uid 2^40": header(b"odd", uid=base256(1 << 40, 8)) + END,
    "base-256 gid -2": header(b"odd", gid=base256(-2, 8)) + END,
    "base-256 mtime 2^80": header(b"odd", mtime=base256(1 << 80, 12)) + END,
    "base-256 mtime -2^80": header(b"odd", mtime=base256(-(1 << 80), 12)) + END,
    "base-256 size -512": header(b"odd", size=base256(-512, 12)) + END,
    "base-256 size 2^80": header(b"odd", size=base256(1 << 80, 12)) + END,
    "negative size of a label": header(b"odd", b"V", size=base256(-512, 12)) + END,
    "octal with a sign": header(b"odd", uid=b"-000002\0") + END,
    "octal with an underscore": header(b"odd", uid=b"00_0002\0") + END,
    "major 2^40": header(b"odd", b"3", major=base256(1 << 40, 8)) + END,
    "major that would be cut to another": header(b"odd", b"3", major=octal(4097, 8)) + END,
    "minor -1": header(b"odd", b"4", minor=base256(-1, 8)) + END,
    "NUL in the path": with_pax((b"path", b"odd\0/etc/passwd")),
    "NUL in the link": pax((b"linkpath", b"a\0b")) + header(b"odd", b"2") + END,
    "NUL in an attribute's name": with_pax((b"SCHILY.xattr.user.a\0b", b"1")),
    "link of 5000 bytes": pax((b"linkpath", b"l" * 5000)) + header(b"odd", b"2") + END,
    "hard link to 5000 bytes": pax((b"linkpath", b"l" * 5000)) + header(b"odd", b"1") + END,
    "empty link": header(b"odd", b"2") + END,
    "link in circles": (
        header(b"odd", b"2", link=b"odd") + header(b"odd/x", b"0") + END
    ),
    "size that no disk has": header(b"odd", size=base256((1 << 63) - 1, 12)) + b"x",
    "sparse 1.0 no number": sparse_1_0(b"x\n", b""),
    "sparse 1.0 number alone": sparse_1_0(b"1\n", b""),
    "sparse 1.0 half a pair": sparse_1_0(b"1\n0\n", b""),
    "sparse 1.0 more than all memory": sparse_1_0(b"9" * 18 + b"\n", b""),
    "sparse 1.0 number of 600 digits": sparse_1_0(b"9" * 600 + b"\n", b""),
    "sparse 1.0 negative": sparse_1_0(b"1\n-5\n5\n", b"12345"),
    "sparse 1.0 beyond its size": sparse_1_0(b"1\n99\n5\n", b"12345"),
    "sparse 1.0 overlapping": sparse_1_0(b"2\n0\n5\n3\n5\n", b"1234567890"),
    "sparse 1.0 size of 5000 digits": sparse_1_0(b"1\n0\n5\n", b"12345", b"9" * 5000),
    "sparse 1.0 size no number": sparse_1_0(b"1\n0\n5\n", b"12345", b"many"),
    "sparse 0.1 no numbers": with_pax((b"GNU.sparse.map", b"a,b"), (b"GNU.sparse.size", b"9")),
    "sparse 0.1 half a pair": with_pax((b"GNU.sparse.map", b"1,2,3"), (b"GNU.sparse.size", b"9")),
    "sparse 0.1 nothing between": with_pax((b"GNU.sparse.map", b"1,,3,4")),
    "sparse size 2^70": with_pax(
        (b"GNU.sparse.map", b"0,0"), (b"GNU.sparse.size", str(1 << 70).encode())
    ),
    "old sparse negative": old_sparse((base256(-5, 12), base256(5, 12)), size=5),
    "old sparse 2^80": old_sparse((base256(1 << 80, 12), base256(5, 12)), size=5),
    "old sparse size -1": old_sparse(real=base256(-1, 12)),
}  # fmt: skip
# Attributes that the kernel refuses; ADD brings none.
ODD_ATTRIBUTES: dict[str, bytes] = {
    "no name of an attribute": with_pax((b"SCHILY.xattr.", b"1")),
    "attribute's name of 300 bytes": with_pax((b"SCHILY.xattr.user." + b"a" * 300, b"1")),
    "attribute of 100 kB": with_pax((b"SCHILY.xattr.user.a", b"1" * 100_000)),
}
# The same, where what is read before the entry's name is odd already.
NAMELESS: dict[str, bytes] = {
    "name of 4097 bytes": with_pax((b"path", b"n" * 4097)),
    "path of 4097 bytes": with_pax((b"path", b"/".join([b"nnnnnnn"] * 513))),
    "sparse 0.0 no number": with_pax((b"GNU.sparse.offset", b"x"), (b"GNU.sparse.numbytes", b"1")),
    "sparse 0.0 length no number": with_pax(
        (b"GNU.sparse.offset", b"1"), (b"GNU.sparse.numbytes", b"1" * 5000)
    ),
    "record with an underscore for its length": (
        header(b"pax", b"x", size=12) + padded(b"1_2 path=aa\n") + header(b"odd") + END
    ),
    "prefix of negative size": header(b"pax", b"x", size=base256(-1, 12)) + END,
    "prefix larger than all memory": header(b"pax", b"L", size=base256(1 << 70, 12)) + END,
    "letters that are no UTF-8": with_pax((b"path", b"\xff\xfe" * 200)),
}  # fmt: skip

_OUT = [symlink("out", "OUT")]
# Members that try to lead out to the directory OUT.
TRICKS: dict[str, list[Member]] = {
    "a link as a directory": [*_OUT, file("out/evil", b"x")],
    "a link with dots": [symlink("out", "../../../../../../OUT"), file("out/evil", b"x")],
    "a link as a file": [symlink("evil", "OUT/evil"), file("evil", b"x")],
    "a link through a link": [
        directory("a"), symlink("a/out", "/"), symlink("b", "a/out/OUT"), file("b/evil"),
    ],
    "a link replaced by a directory": [*_OUT, directory("out"), file("out/evil")],
    "a link below a link": [*_OUT, symlink("out/evil", "x")],
    "a hard link below a link": [*_OUT, hard_link("out/evil", "f")],
    "a whiteout below a link": [*_OUT, file("out/.wh.secret")],
    "a file over a link": [symlink("out", "OUT/secret"), file("out", b"x")],
    "an opaque mark below a link": [*_OUT, file("out/.wh..wh..opq")],
    "a whiteout of the parent": [directory("d"), file("d/.wh...")],
    "a whiteout of the directory": [directory("d"), file("d/.wh..")],
    "a whiteout with a slash": [*_OUT, file("out/.wh.secret/")],
    "a directory called as a whiteout": [*_OUT, directory("out/.wh.secret")],
    "an opaque mark on a file": [file("x"), file("x/.wh..wh..opq")],
    "an opaque mark that is a link": [symlink(".wh..wh..opq", "OUT")],
    "a whiteout that is a hard link": [hard_link(".wh.secret", "f")],
    "a device below a link": [*_OUT, Member("out/null", tarfile.CHRTYPE, device=(1, 3))],
    "a disk over a link": [*_OUT, Member("out", tarfile.BLKTYPE, device=(7, 0))],
    "a pipe below a link": [*_OUT, Member("out/pipe", tarfile.FIFOTYPE)],
    "a hard link to a link": [symlink("l", "OUT/secret"), hard_link("h", "l"), file("h", b"x")],
    "a hard link to a hard link": [hard_link("g", "f"), hard_link("h", "g"), file("h", b"x")],
    "a hard link through a link": [*_OUT, hard_link("h", "out/secret"), file("h", b"x")],
    "a hard link with dots": [hard_link("h", "../OUT/secret")],
    "a hard link to an absolute path": [hard_link("h", "OUT/secret"), file("h", b"x")],
    "a hard link to a directory": [directory("d"), hard_link("h", "d"), file("h/x")],
    "a hard link to itself": [hard_link("f", "f")],
    "a hard link to nothing": [hard_link("h", "")],
    "a link with a slash at its end": [symlink("out/", "OUT"), file("out/evil", b"x")],
    "a file with a slash at its end": [*_OUT, file("out/", b"x")],
    "one name, every kind": [
        directory("x"), file("x/y"), symlink("x", "OUT"), file("x/evil"), directory("x"),
        Member("x", tarfile.FIFOTYPE), symlink("x", "OUT"), directory("x/evil"), hard_link("x", "f"),
    ],
    "a link into its own directory, exchanged": [
        directory("a"), symlink("b", "a"), file("b/x"), symlink("a", "OUT"), file("b/evil"),
    ],
    "attributes of overlayfs": [
        Member("d", tarfile.DIRTYPE, mode=0o755, pax={
            "SCHILY.xattr.trusted.overlay.redirect": "OUT",
            "SCHILY.xattr.trusted.overlay.opaque": "y",
            "SCHILY.xattr.trusted.overlay.metacopy": "",
            "SCHILY.xattr.user.overlay.redirect": "OUT",
        }),
    ],
    "an attribute through a link": [
        Member("out", tarfile.SYMTYPE, link="OUT/secret", pax={"SCHILY.xattr.trusted.a": "1"}),
    ],
    "a mode and an owner through a link": [
        Member("out", tarfile.SYMTYPE, link="OUT/secret", mode=0o6777, uid=7, mtime=5),
        Member("out", tarfile.LNKTYPE, link="out", mode=0o6777, uid=7, mtime=5),
    ],
}  # fmt: skip


def aimed(members: Iterable[Member], outside: Path) -> bytes:
    """Return the archive of *members*, a file `f` first, with OUT being *outside*."""
    where = str(outside)
    real = [
        m._replace(
            link=m.link.replace("OUT", where),
            pax={key: value.replace("OUT", where) for key, value in m.pax.items()},
        )
        for m in members
    ]
    return make_tar(file("f"), *real)


def repeated(start: bytes, piece: bytes, times: int, end: bytes = b"") -> Iterator[bytes]:
    """Yield gzip of *start*, *times* times *piece* and *end*; *piece* is packed once."""
    yield gzip.compress(start, 1)
    packed = gzip.compress(piece * max(1, _STEP // len(piece)), 1)
    whole, rest = divmod(times, max(1, _STEP // len(piece)))
    for _ in range(whole):
        yield packed
    yield gzip.compress(piece * rest + end, 1)


def bombs(size: int) -> dict[str, Iterator[bytes]]:
    """Return archives as gzip whose headers, maps or bodies to discard have about *size* bytes."""
    long_name = header(b"l", b"L", size=_STEP - BLOCK) + padded(b"n" * (_STEP - BLOCK))
    other = _different_globals
    block = bytes(_STEP)
    numbers = b"".join(b"%d\n1\n" % (2 * n) for n in range(1 << 20))
    return {
        "a whiteout with a body": repeated(header(b".wh.x", size=size), block, size // _STEP, END),
        "a volume label with a body": repeated(
            header(b"v", b"V", size=size), block, size // _STEP, END
        ),
        "a label that is no zeros": repeated(
            header(b"v", b"V", size=size), b"x" * _STEP, size // _STEP, END
        ),
        "long names before one entry": repeated(b"", long_name, size // _STEP, header(b"f") + END),
        "empty extensions before one entry": repeated(
            b"", header(b"x", b"x"), size // BLOCK, header(b"f") + END
        ),
        "global headers": other(size),
        "a sparse map of half a million pairs": iter(
            [gzip.compress(sparse_1_0(b"%d\n%s" % (1 << 20, numbers), b""))]
        ),
        "an old sparse map": repeated(
            header(b"s", b"S", tail=bytes(41 + 96) + b"\1" + b"0" * 11 + b"\0"),
            (octal(0, 12) + octal(0, 12)) * 21 + b"\1" + bytes(7),
            size // BLOCK,
        ),
        "zeros after the end": repeated(header(b"f") + END, block, size // _STEP),
    }


def _different_globals(size: int) -> Iterator[bytes]:
    for number in range(size // _STEP):
        key = b"SCHILY.xattr.user.a%d" % number
        yield gzip.compress(pax((key, b"x" * (_STEP - 2 * BLOCK)), kind=b"g"), 1)
    yield gzip.compress(header(b"f") + END)
