"""What monitors and their clients say to each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.wire import frames

MESSAGES = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=300)), max_size=8)


@given(MESSAGES, st.lists(st.integers(1, 40), min_size=1))
def test_where_the_stream_is_cut_does_not_matter(
    messages: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    """Reading in pieces of any length yields the frames that were written."""
    stream = b"".join(frames.encode(kind, body) for kind, body in messages)
    reader, found, at = frames.FrameReader(), [], 0
    while at < len(stream):
        piece = cuts[at % len(cuts)]
        found += reader.feed(stream[at : at + piece])
        at += piece

    assert found == messages


def test_a_stranger_is_noticed() -> None:
    with pytest.raises(ValueError, match="frame"):
        frames.FrameReader().feed(b"GET / HTTP/1.1\r\n\r\n")


def test_a_window_survives() -> None:
    [(kind, body)] = frames.FrameReader().feed(frames.encode_window(24, 80))

    assert (kind, frames.decode_window(body)) == (frames.RESIZE, (24, 80))


def test_a_window_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="two"):
        frames.decode_window(b"abc")
