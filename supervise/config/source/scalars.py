"""What a scalar means: YAML 1.2 core values, durations, sizes.  Pure text in, values out.

No regular expressions: compiling the six that would be needed costs more than this module.
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

_LONGEST_DURATION = 1e9  # seconds, 31 years; timers in nanoseconds stay far from 2**63

_DURATION_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE_UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


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


def parse_duration(text: str) -> float:
    """Return the seconds of ``500ms``, ``10s``, ``1m30s``, ``1.5h``, ``0``.

    Raises:
        ValueError: with the hint as its text.
    """
    if text == "0":
        return 0.0
    total = 0.0
    rest = text.strip()
    if not rest or len(rest) > _LONGEST_NUMBER:
        raise ValueError("write it like 500ms, 10s or 1m30s")
    while rest:
        number, unit, rest = _leading_quantity(rest)
        try:
            amount = float(number)
        except ValueError:
            raise ValueError("write it like 500ms, 10s or 1m30s") from None
        if not unit and not rest and total == 0.0:
            raise ValueError(f"did you mean {number}s?")
        if not unit:
            raise ValueError(f"a unit is missing behind {number}, as in {number}s")
        if unit not in _DURATION_UNITS:
            raise ValueError(f"{unit!r} is no unit; the units are us, ms, s, m, h, d")
        total += amount * _DURATION_UNITS[unit]
    if total > _LONGEST_DURATION:
        raise ValueError("the longest is 10000d")
    # 0.1 + 0.2 style noise would show in `explain-config` and break decode∘encode.
    return round(total, 6)


def _leading_quantity(text: str) -> tuple[str, str, str]:
    """Split ``1m30s`` into its first number, that number's unit, and the rest."""
    end = 0
    while end < len(text) and text[end] in "0123456789.":
        end += 1
    unit_end = end
    while unit_end < len(text) and text[unit_end].isalpha():
        unit_end += 1
    if unit_end == end < len(text):  # neither number nor unit: a sign, a space, a colon
        raise ValueError("write it like 500ms, 10s or 1m30s")
    return text[:end], text[end:unit_end].lower(), text[unit_end:]


def format_duration(seconds: float) -> str:
    """Return *seconds* as `parse_duration` reads it: ``1m30s``, ``0.1`` as ``100ms``."""
    micros = round(seconds * 1e6)
    if micros == 0:
        return "0s"
    parts = []
    for unit, size in (
        ("d", 86_400_000_000),
        ("h", 3_600_000_000),
        ("m", 60_000_000),
        ("s", 1_000_000),
        ("ms", 1000),
        ("us", 1),
    ):
        count, micros = divmod(micros, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def parse_size(text: str) -> int:
    """Return the bytes of ``4096``, ``64k``, ``10m``, ``1g``, ``10mb``; units are powers of 1024.

    Raises:
        ValueError: with the hint as its text.
    """
    word = text.strip().lower()
    end = 0
    while end < len(word) and word[end] in "0123456789.":
        end += 1
    number, unit = word[:end], word[end:].strip()
    if len(unit) > 1:
        unit = unit.removesuffix("b").removesuffix("i")
    try:
        amount = float(number if len(word) <= _LONGEST_NUMBER else "")
    except ValueError:
        raise ValueError("write it like 64k, 10m or 1g") from None
    if unit not in _SIZE_UNITS:
        raise ValueError(f"{unit!r} is no unit; the units are k, m, g, t")
    size_bytes = amount * _SIZE_UNITS[unit]
    if size_bytes >= 2**63:  # no file is that large, and a float may be infinite
        raise ValueError("the largest is 8388607t")
    return round(size_bytes)


def format_size(size_bytes: int) -> str:
    """Return *size_bytes* as `parse_size` reads it, in the largest unit that divides it."""
    for unit in ("t", "g", "m", "k"):
        if size_bytes and size_bytes % _SIZE_UNITS[unit] == 0:
            return f"{size_bytes // _SIZE_UNITS[unit]}{unit}"
    return str(size_bytes)
