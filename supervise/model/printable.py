r"""Foreign text as a terminal may have it: nothing in it moves, colours, hides or reorders.

What a service, an image, a server or a file says may hold anything.  Whatever is no letter, mark,
number, sign or space is shown as Go's ``%q`` writes it, and so as docker does: ``\x1b``,
``\u202e``, ``\xff`` for a byte that is not UTF-8.  Those are all control characters (C0, DEL,
C1), the marks that reverse the direction of text, line and paragraph separators, and what is
invisible.  Code that prints calls this, code that reads does not: JSON and files keep the
text as it is.
"""

from __future__ import annotations

_NAMED = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r"}


def printable(text: str, *, keep: str = "") -> str:
    r"""Return *text* as one line without control characters; those in *keep* stay.

    Backslashes are not doubled: this is for the eye, not to be read back.  Idempotent.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else _escaped(ord(c)) for c in text)


def _escaped(number: int) -> str:
    if number in _NAMED:
        return _NAMED[number]
    if number < 0x80:
        return f"\\x{number:02x}"
    if 0xDC80 <= number <= 0xDCFF:  # how Python holds a byte that is not UTF-8 (PEP 383)
        return f"\\x{number - 0xDC00:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
