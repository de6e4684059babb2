"""Archives from somebody who means harm: through every door by which the two packages take one.

Each ends in a sentence, with nothing outside changed, in bounded memory and time.
"""

from __future__ import annotations

import io
import json
import lzma
import os
import resource
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.builder.files import added_archives as added
from runtime.model.errors import RuntimeFailure
from runtime.model.image import digest as digests
from runtime.store import compression, files, manifests, split
from runtime.store import load as loading
from runtime.store.archive import open_archive, open_stream
from runtime.store.layers import Pin
from runtime.store.rootfs import import_rootfs
from runtime.wire import tar
from tests.support import hostile_tars as hostile
from tests.support.attack import fuzz
from tests.support.images import NOW, config_of, make_images
from tests.support.runtime_cli import Runtime
from tests.support.tars import directory, file, make_tar, symlink

_MEMORY = 256 << 20  # bytes of address space; an honest archive needs some 140 MB
_SIZE = 320 << 20  # bytes that a bomb stands for
_SECONDS = 30  # of processor; each takes two or three

pytestmark = pytest.mark.integration


def _import(tmp_path: Path, data: bytes) -> None:
    import_rootfs(make_images(tmp_path), io.BytesIO(data), "", now=NOW)


def _add(tmp_path: Path, data: bytes) -> None:
    into = tmp_path / "into"
    into.mkdir(exist_ok=True)
    fd = os.open(into, os.O_RDONLY | os.O_DIRECTORY)
    try:
        added.unpack_stream(io.BytesIO(data), fd, name="a.tar")
    finally:
        os.close(fd)


def _load(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "archive"
    path.write_bytes(data)
    images = make_images(tmp_path)
    with open_stream(os.open(path, os.O_RDONLY), str(tmp_path), "the archive") as archive:
        list(loading.load(images, archive, now=NOW))


DOORS = {"import": _import, "ADD": _add}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS.keys())
@pytest.mark.parametrize("data", hostile.ODD.values(), ids=hostile.ODD.keys())
def test_a_field_that_no_system_has_is_refused_with_the_entrys_name(
    tmp_path: Path, data: bytes, door: Callable[[Path, bytes], None]
) -> None:
    with pytest.raises(RuntimeFailure, match="odd"):
        door(tmp_path, data)


@pytest.mark.parametrize("data", hostile.ODD_ATTRIBUTES.values(), ids=hostile.ODD_ATTRIBUTES)
def test_an_attribute_that_the_kernel_refuses_is_named_with_its_entry(
    tmp_path: Path, data: bytes
) -> None:
    with pytest.raises(RuntimeFailure, match="'odd': "):
        _import(tmp_path, data)


@pytest.mark.parametrize("door", [*DOORS.values(), _load], ids=[*DOORS, "load"])
@pytest.mark.parametrize("data", [*hostile.NAMELESS.values(), *hostile.ODD.values()])
def test_no_field_ends_in_anything_but_a_sentence(
    tmp_path: Path, data: bytes, door: Callable[[Path, bytes], None]
) -> None:
    with pytest.raises(RuntimeFailure):
        door(tmp_path, data)


@pytest.mark.parametrize("name", hostile.bombs(1 << 20))
def test_a_small_archive_takes_no_large_memory_and_no_long_time(tmp_path: Path, name: str) -> None:
    bomb = tmp_path / "bomb.tar.gz"
    with bomb.open("wb") as out:
        out.writelines(hostile.bombs(_SIZE)[name])
    runtime = Runtime(tmp_path)

    done = subprocess.run(
        [sys.executable, "-m", "runtime.cli.main", "import", str(bomb)],
        env=runtime.environment,
        preexec_fn=_limit,
        capture_output=True,
        text=True,
        check=False,
    )

    assert bomb.stat().st_size < 16 << 20
    assert done.returncode in (0, 1, 125), done.stderr
    assert "Traceback" not in done.stderr
    assert "memory" not in done.stderr.lower()


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))


def test_what_was_discarded_is_in_the_layer_when_it_is_written_again(tmp_path: Path) -> None:
    data = (
        hostile.header(b".wh.x", size=2_000_000) + hostile.padded(b"x" * 2_000_000)
        + hostile.header(b"label", b"V", size=1_000_000) + hostile.padded(bytes(1_000_000))
        + hostile.header(b"d/", b"5") * 2000 + hostile.END
    )  # fmt: skip
    layers = make_images(tmp_path).layers

    with Pin() as pin:
        meta = layers.unpack(io.BytesIO(data), pin)
        again = b"".join(layers.stream(meta.diff_id))

    assert again == data


def test_headers_without_contents_are_not_gathered_in_memory(tmp_path: Path) -> None:
    data = hostile.header(b"label", b"V") * 40_000 + hostile.header(b"d/", b"5") * 2000
    layers = make_images(tmp_path).layers
    tracemalloc.start()
    try:
        with Pin() as pin:
            layers.unpack(io.BytesIO(data), pin)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 12 << 20  # the archive has 21 MB


def test_what_an_archive_replaces_a_hundred_thousand_times_is_found_at_once() -> None:
    kept = split.Kept([(b"f", number) for number in range(1, 100_001)])
    before = _processor()

    found = [kept.find(b"f", number) for number in range(100_001)]

    assert found[0] == (0, b"")
    assert found[-1] is None
    assert _processor() - before < 10  # a walk takes half an hour


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


paths = st.sampled_from([b"a", b"b", b"a/b", b"a/b/c", b"ab"])


@fuzz()
@given(kept=st.lists(st.tuples(paths, st.integers(0, 9)), max_size=9), path=paths, number=st.integers(0, 9))  # fmt: skip
def test_what_was_replaced_is_found_where_a_walk_finds_it(
    kept: list[tuple[bytes, int]], path: bytes, number: int
) -> None:
    """The index over replaced files gives what the first fitting one in their order gives."""
    kept = sorted(kept, key=lambda each: each[1])  # as they come
    fitting = (
        (place, path[len(name) + 1 :])
        for place, (name, before) in enumerate(kept)
        if number < before and (path == name or path.startswith(name + b"/"))
    )

    assert split.Kept(kept).find(path, number) == next(fitting, None)


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS.keys())
def test_two_thousand_directories_in_one_name_are_made(
    tmp_path: Path, door: Callable[[Path, bytes], None], request: pytest.FixtureRequest
) -> None:
    before = _processor()
    request.addfinalizer(lambda: files.remove_tree(str(tmp_path)))  # pytest's own would recurse

    door(tmp_path, make_tar(*[file(f"{n}/" + "d/" * 1800 + "f") for n in range(3)]))

    assert _processor() - before < 10


DEEP = b"[" * 200_000 + b"]" * 200_000


def _image_archive(**members: bytes) -> bytes:
    found = {name.replace("_", "."): data for name, data in members.items()}
    return make_tar(*[file(name, data) for name, data in found.items()])


@pytest.mark.parametrize(
    "data",
    [
        _image_archive(manifest_json=DEEP),
        _image_archive(index_json=b'{"manifests":' + DEEP + b"}"),
        _image_archive(manifest_json=b'[{"Config":"c","Layers":[]}]', c=b'{"a":' + DEEP + b"}"),
        _image_archive(manifest_json=b'[{"Config":"c","Layers":[]}]', c=b'{"a":' * 500 + b"1" + b"}" * 500),
        _image_archive(manifest_json=b'[{"Config":"\\ud800","Layers":[]}]'),
        _image_archive(manifest_json=b'[{"Config":"c\\u0000","Layers":[]}]', c=b"{}"),
        _image_archive(manifest_json=b'[{"Config":"c","Layers":["\\u0000"]}]', c=b"{}"),
        _image_archive(manifest_json=b'[{"Config":"c","Layers":[]}]', c=b'{"author":"\\udc80"}'),
        _image_archive(manifest_json=b'[{"Config":"c","Layers":[]}]', c=b'{"config":NaN}'),
        _image_archive(manifest_json=b'[{"Config":"c","Layers":[]}]', c=b'{"x":' + b"9" * 5000 + b"}"),
        _image_archive(manifest_json=b'[{"Config":"c","Layers":null,"RepoTags":["a\\n:b"]}]', c=b"{}"),
        _image_archive(manifest_json=b"\xff\xfe[]"),
        _image_archive(manifest_json=b" " * 5_000_000),
        make_tar(symlink("manifest.json", "manifest.json")),
        make_tar(symlink("manifest.json", "../../../../etc/passwd")),
        make_tar(directory("manifest.json")),
    ],
)  # fmt: skip
def test_a_document_that_no_program_writes_ends_in_a_sentence(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(RuntimeFailure):
        _load(tmp_path, data)


@pytest.mark.parametrize("name", ["\0", "\ud800", "a" * 5000, "../../etc/passwd", "/"])
def test_a_directory_that_is_an_archive_has_no_odd_member(tmp_path: Path, name: str) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps([{"Config": name, "Layers": []}]))
    (tmp_path / "manifest.json").chmod(0o644)

    with open_archive(str(tmp_path), str(tmp_path)) as archive, pytest.raises(RuntimeFailure):
        manifests.images_in(archive, "amd64")


def test_an_index_that_names_itself_a_thousand_times_is_not_followed(tmp_path: Path) -> None:
    """Four levels of a thousand entries each would be a billion documents."""
    members = []
    entry = {"mediaType": "application/vnd.oci.image.index.v1+json"}
    inner = json.dumps({"manifests": []}).encode()
    for _ in range(4):
        found = {**entry, "digest": digests.digest_of(inner), "size": len(inner)}
        members.append(file(f"blobs/sha256/{digests.hex_of(digests.digest_of(inner))}", inner))
        inner = json.dumps({"manifests": [found] * 1000}).encode()
    before = _processor()

    with pytest.raises(RuntimeFailure, match="more than 4096 documents"):
        _load(tmp_path, make_tar(*members, file("index.json", inner)))

    assert _processor() - before < 20


def test_one_configuration_under_ten_thousand_images_is_not_kept_ten_thousand_times(
    tmp_path: Path,
) -> None:
    images = json.dumps([{"Config": "c", "Layers": []}] * 10_000).encode()

    with pytest.raises(RuntimeFailure, match="64 MiB of them"):
        _load(tmp_path, make_tar(file("manifest.json", images), file("c", b" " * 1_000_000)))


def test_more_layers_than_overlayfs_stacks_are_refused(tmp_path: Path) -> None:
    layer = make_tar(file("f"))
    config = config_of(*[layer] * 501)
    listed = json.dumps([{"Config": "c", "Layers": ["l"] * 501}]).encode()

    with pytest.raises(RuntimeFailure, match="it has 501 layers, and overlayfs stacks 500"):
        _load(tmp_path, make_tar(file("manifest.json", listed), file("c", config), file("l", layer)))  # fmt: skip


def test_an_xz_stream_that_wants_gigabytes_for_its_dictionary_is_refused() -> None:
    head = bytearray(lzma.compress(b"x"))
    # The dictionary's size is one byte of the block's header, which a check sum covers.
    head[head.index(b"\x21\x01") + 2] = 40  # 4 GiB - 1
    end = 12 + (head[12] + 1) * 4
    head[end - 4 : end] = zlib.crc32(bytes(head[12 : end - 4])).to_bytes(4, "little")

    with pytest.raises(compression.CompressionError, match="xz stream is damaged"):
        list(compression.decompressor("xz").feed(bytes(head)))


# The reader alone, on bytes that nobody thought of.

kinds = st.sampled_from([bytes([c]) for c in b"0123456789\0LKxXgSVDMNZ"])
numbers = st.one_of(
    st.integers(0, 0o77777777777).map(lambda n: hostile.octal(n, 12)),
    st.integers(-(2**94), 2**94).map(lambda n: hostile.base256(n, 12)),
    st.binary(max_size=12),
)
short_numbers = st.one_of(
    st.integers(0, 0o7777777).map(lambda n: hostile.octal(n, 8)),
    st.integers(-(2**62), 2**62).map(lambda n: hostile.base256(n, 8)),
    st.binary(max_size=8),
)
keys = st.sampled_from([
    *(b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime", b"SCHILY.xattr.user.a", b"GNU.sparse.map"),
    *(b"GNU.sparse.major", b"GNU.sparse.realsize", b"GNU.sparse.offset", b"GNU.sparse.numbytes"),
])  # fmt: skip
values = st.one_of(
    st.binary(max_size=30),
    st.integers(-(2**70), 2**70).map(lambda n: str(n).encode()),
    st.lists(st.integers(0, 999), max_size=9).map(lambda n: ",".join(map(str, n)).encode()),
)
names = st.one_of(st.binary(max_size=20), st.sampled_from([b"a", b"a/", b"../x", b".wh.a", b"a/.wh..wh..opq"]))  # fmt: skip
pieces = st.one_of(
    st.builds(
        lambda name, kind, uid, size, mtime, link, major: hostile.header(
            name, kind, uid=uid, size=size, mtime=mtime, link=link, major=major
        ),
        names, kinds, short_numbers, numbers | st.integers(0, 2000), numbers, names, short_numbers,
    ),
    st.builds(
        lambda records, kind: hostile.pax(*records, kind=kind),
        st.lists(st.tuples(keys, values), max_size=5), st.sampled_from([b"x", b"g"]),
    ),
    st.builds(lambda table: hostile.sparse_1_0(table, b"12345"), values),
    st.binary(max_size=600),
    st.integers(0, 4).map(lambda n: bytes(n * 512)),
)  # fmt: skip


@fuzz(600)
@given(stream=st.lists(pieces, max_size=8).map(b"".join))
def test_the_reader_gives_entries_that_a_system_can_have_or_says_why_not(stream: bytes) -> None:
    """Nothing but TarError leaves; sizes and owners are in range, names have no NUL."""
    source = io.BytesIO(stream)
    reader = tar.TarReader(source.read)
    with suppress(tar.TarError):
        while (entry := reader.next()) is not None:
            assert 0 <= entry.uid < 2**32 - 1
            assert 0 <= entry.size < 2**63
            assert 0 <= entry.real_size < 2**63
            assert b"\0" not in entry.name + entry.link
            os.makedev(entry.major, entry.minor)
            source.seek(min(len(stream), source.tell() + entry.size + -entry.size % 512))


@fuzz(120)
@given(stream=st.lists(pieces, max_size=8).map(b"".join))
def test_whatever_is_unpacked_nothing_but_a_sentence_comes_back(
    stream: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """By import and by ADD; what was taken can be written again, byte for byte."""
    place = tmp_path_factory.mktemp("store")
    layers = make_images(place).layers
    with Pin() as pin:
        try:
            meta = layers.unpack(io.BytesIO(stream), pin)
        except RuntimeFailure:
            pass
        else:
            assert b"".join(layers.stream(meta.diff_id)) == stream
    with suppress(RuntimeFailure):
        _add(place, stream)


@fuzz(200)
@given(
    start=st.sampled_from([b"", b"\x1f\x8b", b"BZh", b"BZh91AY&SY", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"]),
    rest=st.binary(max_size=300),
)  # fmt: skip
def test_bytes_that_only_look_compressed_are_refused(start: bytes, rest: bytes) -> None:
    stream = compression.decompressor(compression.detect(start + rest))
    with suppress(compression.CompressionError):
        for _ in stream.feed(start + rest):
            pass
        stream.finish()
