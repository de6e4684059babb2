"""What a plain scalar means: YAML 1.2 core values.  Pure text in, values out.

No regular expressions: compiling those that would be needed costs more than this module.
"""

from __future__ import annotations

_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_DIGITS = frozenset("0123456789")
_OCTAL = frozenset("01234567")
_HEX = frozenset("0123456789abcdefABCDEF")
_FLOAT = frozenset("0123456789.eE+-")
_LONGEST_NUMBER = 64  # characters; int() itself refuses more than 4300 digits


def resolve(text: str) -> object:
    """Return what the plain scalar *text* means: None, bool, int, float or str.

    The core schema of YAML 1.2.2, section 10.3.2: ``no``, ``on``, ``22:22`` and ``2024-01-01``
    are strings, ``0o17`` is 15, ``017`` is 17.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789" or len(text) > _LONGEST_NUMBER:
        return text
    digits = text[1:] if text[0] in "+-" else text
    if digits and _DIGITS.issuperset(digits):
        return int(text)
    if text.startswith("0o") and len(text) > 2 and _OCTAL.issuperset(text[2:]):
        return int(text, 0)
    if text.startswith("0x") and len(text) > 2 and _HEX.issuperset(text[2:]):
        return int(text, 0)
    if _FLOAT.issuperset(text):
        try:
            return float(text)
        except ValueError:
            return text
    return text
