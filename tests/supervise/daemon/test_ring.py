from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from supervise.daemon.logs.ring import SIZE, Ring
from supervise.wire.lines import LogRecord

BLOCKS = st.lists(
    st.one_of(
        st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")), min_size=1).map(
            lambda lines: b"\n".join(lines) + b"\n"
        ),
        st.binary(min_size=1, max_size=12).map(lambda piece: piece.replace(b"\n", b"-")),
    ),
    max_size=20,
)


def filled(blocks: list[bytes], size: int = SIZE) -> Ring:
    ring = Ring(size)
    for number, block in enumerate(blocks):
        ring.append(float(number), "stderr" if number % 2 else "stdout", number, block)
    return ring


def all_records(blocks: list[bytes]) -> list[LogRecord]:
    return filled(blocks, size=1 << 30).records("web")


@given(BLOCKS, st.integers(100, 300))
def test_a_ring_holds_the_newest_records_in_order(blocks: list[bytes], size: int) -> None:
    """What a small ring returns is the end of what an endless one would."""
    kept = filled(blocks, size).records("web")

    everything = all_records(blocks)
    assert kept == everything[len(everything) - len(kept) :]


@given(BLOCKS, st.integers(100, 300))
def test_a_ring_is_not_emptied_by_being_full(blocks: list[bytes], size: int) -> None:
    """A whole old block does not leave for a few bytes: at least half of the room is in use."""
    kept = sum(len(record.message) + 22 for record in filled(blocks, size).records("web"))

    everything = sum(len(record.message) + 22 for record in all_records(blocks))
    assert kept >= min(everything, size / 2)


def test_reading_does_not_change_it() -> None:
    ring = filled([b"a\n" * 100_000, b"b\n"])

    assert ring.records("web") == ring.records("web")


def test_a_block_bigger_than_the_ring_keeps_its_last_lines() -> None:
    ring = filled([b"".join(b"%d\n" % number for number in range(100_000))])

    kept = ring.records("web")

    assert [int(record.message) for record in kept] == list(range(100_000 - len(kept), 100_000))
    assert sum(len(record.message) + 1 for record in kept) > SIZE * 0.9


def test_what_follows_a_big_block_pushes_out_its_oldest_lines() -> None:
    ring = filled([b"old\n" * 30_000, b"new\n"])

    kept = [record.message for record in ring.records("web")]

    assert kept[-2:] == [b"old", b"new"]
    assert len(kept) > 10_000


def test_a_line_as_long_as_the_ring_keeps_its_end() -> None:
    ring = filled([b"x" * SIZE + b"end\n"])

    (record,) = ring.records("web")

    assert record.message.endswith(b"xend")


def test_short_lines_do_not_cost_objects() -> None:
    ring = Ring()
    for number in range(50_000):
        ring.append(float(number), "stdout", 1, b"x\n")

    assert sys.getsizeof(ring._buffer) < 2 * SIZE
    assert len(ring.records("web")) > 2000
