"""Whole numbers in texts of users: ASCII digits only.

`str.isdecimal` is true of the digits of every script, which `int` reads and no other program does;
and `int` raises ValueError for more than 4300 digits.  So a text becomes a number here.
"""

from __future__ import annotations

_LONGEST = 19  # digits: all that fits into 64 bits


def whole(text: str) -> int | None:
    """Return the number that *text* is, None when it is not a number or has over 19 digits."""
    if text.isascii() and text.isdecimal() and len(text) <= _LONGEST:
        return int(text)
    return None
