"""Did you mean …"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.wire.suggest import closest

LETTERS = "abcdefgh-_0123"
KNOWN = ["web", "worker", "postgres", "redis", "db"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("wbe", "web"),
        ("webb", "web"),
        ("WEB", "web"),
        ("postgress", "postgres"),
        ("postrges", "postgres"),
        ("wroker", "worker"),
        ("bd", "db"),
        ("nginx", None),
        ("", None),
        ("x" * 1000, None),
    ],
)
def test_a_slip_is_recognised(typed: str, meant: str | None) -> None:
    assert closest(typed, KNOWN) == meant


@given(st.text(LETTERS, min_size=2, max_size=20), st.integers(0, 100), st.sampled_from(LETTERS))
def test_a_word_with_one_letter_replaced_is_recognised(word: str, at: int, letter: str) -> None:
    at %= len(word)
    typed = word[:at] + letter + word[at + 1 :]

    assert closest(typed, [word]) == word
