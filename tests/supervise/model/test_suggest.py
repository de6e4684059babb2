"""Did you mean …"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.model.suggest import abbreviated, closest

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


KEYS = ["command", "depends_on", "healthcheck", "stop_grace_period", "stop_signal", "working_dir"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("cmd", "command"),
        ("depends", "depends_on"),
        ("health", "healthcheck"),
        ("stop_grace", "stop_grace_period"),
        ("stop", "stop_signal"),
        ("WorkDir", "working_dir"),
        ("co", None),
        ("grace_period", None),
        ("commands", None),
        ("", None),
        ("x" * 1000, None),
    ],
)
def test_an_abbreviation_is_recognised(typed: str, meant: str | None) -> None:
    assert abbreviated(typed, KEYS) == meant
