"""What the last barrier of a program says: `supervise.model.unexpected`."""

from __future__ import annotations

import pytest

from supervise.model.printable import printable
from supervise.model.unexpected import describe


class SilentError(Exception):
    """It cannot even say what it is."""

    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("x"), "prog: this is a bug: KeyError: 'x' (at "),
        (ValueError("\x1b]0;x\x07" + "y" * 999), "prog: this is a bug: ValueError: \\x1b]0;x\\a"),
        (RecursionError(), "prog: this is a bug: RecursionError (at "),
        (SilentError(), "prog: this is a bug: SilentError (at "),
        (MemoryError(), "prog: out of memory at "),
    ],
)
def test_an_exception_nobody_expected_is_two_printable_lines(error: Exception, said: str) -> None:
    text = describe("prog", error, "PROG_DEBUG")

    assert text.startswith(said)
    assert "PROG_DEBUG=1 shows where it comes from" in text
    assert text.count("\n") == 2
    assert all(map(str.isprintable, text.splitlines()))
    assert len(text) < 600


def test_the_place_is_the_innermost_of_ours() -> None:
    with pytest.raises(AttributeError) as raised:
        printable(None)  # type: ignore[arg-type] # that is the point

    assert "(at supervise/model/printable.py:" in describe("prog", raised.value, "D")
