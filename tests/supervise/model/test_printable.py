"""What foreign text looks like on a terminal: `supervise.model.printable`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.model.printable import printable

TEXTS = st.text(st.characters(exclude_categories=()))  # surrogates too


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain täxt ✔ 漢字 = \\x", "plain täxt ✔ 漢字 = \\x"),
        ("\x1b]0;pwned\x07", "\\x1b]0;pwned\\a"),
        ("a\nb\tc\rd\0e\x7f", "a\\nb\\tc\\rd\\x00e\\x7f"),
        ("\x9b2J\x85", "\\u009b2J\\u0085"),  # C1: one character is a whole "ESC ["
        ("\udc9b2J", "\\x9b2J"),  # the byte 0x9b, in a file name
        ("\ud800", "\\ud800"),
        ("gpj.\u202eexe\u2066", "gpj.\\u202eexe\\u2066"),  # the direction of text
        ("a\u2028b\u2029c", "a\\u2028b\\u2029c"),
        ("a\u200bb\U000e0041", "a\\u200bb\\U000e0041"),  # invisible
    ],
)
def test_what_drives_or_falsifies_a_terminal_is_shown_as_go_quotes_it(
    text: str, shown: str
) -> None:
    assert printable(text) == shown


def test_what_is_kept_is_the_callers_choice() -> None:
    assert printable("a\tb\n\x1b", keep="\n\t") == "a\tb\n\\x1b"


@given(TEXTS)
def test_no_text_gets_through(text: str) -> None:
    """Any text becomes printable, encodable and stays so when it is shown again."""
    shown = printable(text)

    assert shown.isprintable()
    assert shown.encode().decode() == shown
    assert printable(shown) == shown
