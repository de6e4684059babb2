"""Compressed streams, whole, in pieces, damaged, and cut off."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import io
import itertools
import lzma
import sys
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.store import compression
from runtime.store.compression import CompressionError, GzipWriter, detect
from runtime.store.feed import Chunks, Feed

DATA = b"".join(b"%d " % n for n in range(100_000))
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}
if importlib.util.find_spec("backports"):  # what is said without it is tested everywhere
    from backports import zstd

    # As zstd(1) does: without its check sum the layer's digest alone would notice damage.
    _SUMMED = {int(zstd.CompressionParameter.checksum_flag): 1}
    PACKERS["zstd"] = lambda data: zstd.compress(data, options=_SUMMED)


def whole(data: bytes) -> tuple[bytes, str]:
    """Return what *data* stands for, and how it was compressed."""
    with Feed(io.BytesIO(data)) as feed:
        found = b"".join(bytes(piece) for piece in feed.rest())
        return found, feed.compression


@pytest.mark.parametrize("name", PACKERS)
def test_each_kind_is_unpacked(name: str) -> None:
    assert whole(PACKERS[name](DATA)) == (DATA, name)


def test_what_is_not_compressed_stays_as_it_is() -> None:
    assert whole(DATA) == (DATA, "")
    assert whole(b"") == (b"", "")


def test_members_one_after_the_other_are_one_stream() -> None:
    packed = gzip.compress(DATA) + gzip.compress(b"") + gzip.compress(b"end") + bytes(700)

    assert whole(packed)[0] == DATA + b"end"


@pytest.mark.parametrize("name", PACKERS)
def test_a_cut_stream_is_refused(name: str) -> None:
    with pytest.raises(CompressionError, match=f"the {name} stream ends too early"):
        whole(PACKERS[name](DATA)[:-9])


@pytest.mark.parametrize("name", PACKERS)
def test_a_damaged_stream_is_refused(name: str) -> None:
    packed = bytearray(PACKERS[name](DATA))
    packed[len(packed) // 2] ^= 0xFF

    with pytest.raises(CompressionError, match=name):
        whole(bytes(packed))


def test_rubbish_after_gzip_is_refused() -> None:
    with pytest.raises(CompressionError, match="gzip"):
        whole(gzip.compress(DATA) + b"rubbish")


def test_a_bomb_is_unpacked_in_bounded_pieces() -> None:
    packed = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = packed.compress(bytes(50_000_000)) + packed.flush()

    sizes = [len(piece) for piece in compression.decompressor("gzip").feed(bomb)]

    assert sum(sizes) == 50_000_000
    assert max(sizes) <= 1 << 20


def test_zstd_without_a_library_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("compression", "compression.zstd", "backports", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(Exception, match="cannot unpack zstd") as refused:
        whole(b"\x28\xb5\x2f\xfd" + bytes(100))

    assert "install backports.zstd" in refused.value.hint  # type: ignore[attr-defined]


@given(st.lists(st.binary(max_size=50), max_size=8))
def test_where_the_stream_is_split_does_not_matter(pieces: list[bytes]) -> None:
    """Feeding a gzip stream in other pieces yields the same bytes."""
    data = b"".join(pieces)
    packed = gzip.compress(data)
    cuts = sorted({min(len(packed), 7 * n) for n in range(len(packed) // 7 + 2)})
    reader = compression.decompressor("gzip")

    found = b"".join(
        piece for start, end in itertools.pairwise(cuts) for piece in reader.feed(packed[start:end])
    )

    reader.finish()
    assert found == data


@given(st.lists(st.binary(max_size=9), max_size=9), st.integers(1, 12))
def test_chunks_are_read_like_a_file(pieces: list[bytes], size: int) -> None:
    """Reading the chunks gives what reading their concatenation gives."""
    reader, expected = Chunks(iter([p for p in pieces if p])), io.BytesIO(b"".join(pieces))

    while data := expected.read(size):
        assert reader.read(size) == data
    assert reader.read(size) == b""


def test_gzip_is_written_the_same_every_time() -> None:
    def packed() -> bytes:
        writer = GzipWriter()
        return writer.feed(DATA) + writer.finish()

    assert gzip.decompress(packed()) == DATA
    assert packed() == packed()
    assert detect(packed()) == "gzip"


def test_a_source_that_fails_fails_the_reader() -> None:
    class Broken:
        def read(self, size: int) -> bytes:
            assert size
            raise OSError(5, "the cable is out")

    with Feed(Broken()) as feed, pytest.raises(OSError, match="cable"):
        feed.take(10)


def test_a_reader_that_stops_early_does_not_hang() -> None:
    class Endless:
        def read(self, size: int) -> bytes:
            return bytes(size)

    with Feed(Endless()) as feed:
        assert feed.take(600) == bytes(600)
