from __future__ import annotations

import sys
import unicodedata

import pytest

from supervise.model.numerals import whole


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("007", 7), ("9" * 19, int("9" * 19))])
def test_ascii_digits_are_a_number(text: str, number: int) -> None:
    assert whole(text) == number


@pytest.mark.parametrize("text", ["", "-1", "+1", " 1", "1 ", "1_0", "0x1", "1.0", "1e3", "1\n"])
def test_nothing_else_is(text: str) -> None:
    assert whole(text) is None


@pytest.mark.parametrize("length", [20, 5001])
def test_what_does_not_fit_into_64_bits_is_none(length: int) -> None:
    assert whole("9" * length) is None


def test_no_digit_of_another_script_is_one() -> None:
    digits = (chr(n) for n in range(128, sys.maxunicode) if unicodedata.category(chr(n)) == "Nd")

    assert [digit for digit in digits if whole(digit) is not None] == []
