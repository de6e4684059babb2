"""Tar headers, read and written, against Python's tarfile and GNU tar."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.wire import tar, tarwrite
from runtime.wire.tar import Entry, TarError, TarReader
from tests.support.tars import Member, directory, file, hard_link, make_tar, symlink

FORMS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def read(data: bytes) -> list[tuple[Entry, bytes]]:
    """Return every entry of the archive with its contents."""
    stream = io.BytesIO(data)
    reader = TarReader(stream.read)
    found = []
    while (entry := reader.next()) is not None:
        contents = stream.read(entry.size)
        stream.read(-entry.size % tar.BLOCK)
        found.append((entry, contents))
    return found


@pytest.mark.parametrize("form", FORMS)
def test_every_kind_of_entry_is_read(form: int) -> None:
    archive = make_tar(
        directory("d", mode=0o1777),
        Member("d/f", data=b"hello", mode=0o4755, uid=7, gid=8, mtime=5),
        symlink("d/s", "../x"),
        hard_link("d/h", "d/f"),
        Member("c", tarfile.CHRTYPE, device=(1, 3)),
        Member("b", tarfile.BLKTYPE, device=(8, 1)),
        Member("p", tarfile.FIFOTYPE),
        form=form,
    )

    found = [(e.name, e.kind, e.link, e.major, e.minor, data) for e, data in read(archive)]

    assert found == [
        (b"d/", tar.DIRECTORY, b"", 0, 0, b""),
        (b"d/f", tar.FILE, b"", 0, 0, b"hello"),
        (b"d/s", tar.SYMLINK, b"../x", 0, 0, b""),
        (b"d/h", tar.HARD_LINK, b"d/f", 0, 0, b""),
        (b"c", tar.CHARACTER, b"", 1, 3, b""),
        (b"b", tar.BLOCK_DEVICE, b"", 8, 1, b""),
        (b"p", tar.FIFO, b"", 0, 0, b""),
    ]
    entry = read(archive)[1][0]
    assert (entry.mode, entry.uid, entry.gid, entry.mtime_ns) == (0o4755, 7, 8, 5_000_000_000)


@pytest.mark.parametrize("form", FORMS[1:])
def test_long_names_and_links_are_read(form: int) -> None:
    name, link = "d" * 120 + "/" + "ä" * 90, "l" * 200

    (entry, _), (other, _) = read(make_tar(file(name), symlink("s", link), form=form))

    assert (entry.name, other.link) == (name.encode(), link.encode())


@pytest.mark.parametrize("form", FORMS[1:])
def test_large_numbers_are_read(form: int) -> None:
    big = Member("f", uid=3_000_000, gid=2**31, mtime=2**34)

    entry, _ = read(make_tar(big, form=form))[0]

    assert (entry.uid, entry.gid) == (3_000_000, 2**31)
    assert entry.mtime_ns == 2**34 * 1_000_000_000


def test_pax_gives_fractions_attributes_and_overrides() -> None:
    pax = {"SCHILY.xattr.user.a": "1=2\n3", "mtime": "12.000000345", "uid": "5000000"}

    entry, _ = read(make_tar(Member("f", pax=pax)))[0]

    assert entry.xattrs == {"user.a": b"1=2\n3"}
    assert (entry.mtime_ns, entry.uid) == (12_000_000_345, 5_000_000)


@pytest.mark.parametrize("sparse", ["0.0", "0.1", "1.0", "gnu"])
def test_sparse_files_are_read_in_all_formats(sparse: str, tmp_path: Path) -> None:
    source = tmp_path / "holes"
    with source.open("wb") as out:
        for offset in range(0, 30 * 65536, 65536):  # more pairs than one header block holds
            out.seek(offset)
            out.write(b"x" * 4096)
        out.truncate(3_000_000)
    form = ["--format=gnu"] if sparse == "gnu" else ["--format=pax", f"--sparse-version={sparse}"]

    packed = subprocess.run(
        ["tar", *form, "--sparse", "-C", str(tmp_path), "-c", "holes"], capture_output=True, check=True
    ).stdout  # fmt: skip

    entry, data = read(packed)[0]
    assert entry.name == b"holes"
    assert entry.real_size == 3_000_000
    assert entry.sparse is not None
    whole = bytearray(entry.real_size)
    for offset, length in entry.sparse:
        whole[offset : offset + length], data = data[:length], data[length:]
    assert bytes(whole) == source.read_bytes()


def test_a_damaged_header_is_refused() -> None:
    data = bytearray(make_tar(file("f", b"x" * 600), file("g")))
    data[512 + 1024 + 3] ^= 1

    with pytest.raises(TarError, match="check sum"):
        read(bytes(data))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"#!/bin/sh\n" + b"x" * 600, "no tar header"),
        (make_tar(file("f"))[:300], "middle of a header"),
        (make_tar(file("ä" * 80))[:700], "middle of a header"),
    ],
)
def test_what_is_no_tar_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(TarError, match=problem):
        read(data)


@pytest.mark.parametrize(
    "body", [b"99 a=b\n", b"a=b\n", b"5 ab\n", b"0 a=b\n", b"6 a=b", b"-3 path=x\n"]
)
def test_a_damaged_pax_record_is_refused(body: bytes) -> None:
    with pytest.raises(TarError, match="pax record"):
        tar.parse_pax(body, [])


names = st.binary(min_size=1, max_size=300).filter(
    lambda n: not set(n) & {0, 0x2F} and n not in (b".", b"..")
)
entries = st.builds(
    lambda path, mode, ids, mtime, kind, link, xattrs: _entry(
        b"/".join(path), mode, ids, mtime, kind, link, xattrs
    ),
    st.lists(names, min_size=1, max_size=4),
    st.integers(0, 0o7777),
    st.tuples(st.integers(0, 2**32 - 2), st.integers(0, 2**32 - 2)),
    st.integers(-(2**33), 2**35),
    st.sampled_from([tar.FILE, tar.DIRECTORY, tar.SYMLINK, tar.HARD_LINK, tar.FIFO]),
    names,
    st.dictionaries(st.sampled_from(["user.a", "security.capability"]), st.binary(min_size=1), max_size=2),
)  # fmt: skip


def _entry(
    path: bytes, mode: int, ids: tuple[int, int], mtime: int, kind: bytes, link: bytes,
    xattrs: dict[str, bytes],
) -> Entry:  # fmt: skip
    entry = Entry()
    entry.name, entry.mode, entry.kind, entry.xattrs = path, mode, kind, xattrs
    entry.uid, entry.gid = ids
    entry.mtime_ns = mtime * 1_000_000_000
    if kind in (tar.SYMLINK, tar.HARD_LINK):
        entry.link = link
    return entry


def _fields(entry: Entry) -> list[object]:
    return [getattr(entry, field) for field in Entry.__slots__]


@given(entries)
def test_what_is_written_is_read_again(entry: Entry) -> None:
    """Reading a header gives the entry it was written from."""
    [(found, _)] = read(tarwrite.header(entry) + tarwrite.END)

    found.name = found.name.rstrip(b"/")
    assert _fields(found) == _fields(entry)


@given(entries)
def test_tarfile_reads_what_is_written(entry: Entry) -> None:
    """Python's tarfile agrees on name, kind, mode, owner, time and link."""
    stream = io.BytesIO(tarwrite.header(entry) + tarwrite.END)
    with tarfile.open(fileobj=stream, errors="surrogateescape") as archive:
        info = archive.next()

    assert info is not None
    assert info.name.encode(errors="surrogateescape") == entry.name
    assert (info.type, info.mode, info.uid, info.gid) == (
        *(entry.kind, entry.mode, entry.uid, entry.gid),
    )
    assert info.linkname.encode(errors="surrogateescape") == entry.link
    assert int(info.mtime) * 1_000_000_000 == entry.mtime_ns
