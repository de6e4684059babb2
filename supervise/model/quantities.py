"""Durations and sizes as people write them.

The configuration asks for units, for ``timeout: 10`` is a mistake in most of them; options of
supervisectl take bare seconds.  Docker's own forms (`runtime.model.units`,
`runtime.model.container.limits`) and Go's exact one (`runtime.dockerfile.healthcheck`) are other
grammars: they have signs, other units and other roundings.  PID 1 does not import this.
"""

from __future__ import annotations

_LONGEST_NUMBER = 64  # characters
_LONGEST_DURATION = 1e9  # seconds, 31 years; timers in nanoseconds stay far from 2**63

_DURATION_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE_UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


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
        unit = unit.lower()
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
    return text[:end], text[end:unit_end], text[unit_end:]


def parse_span(text: str) -> float | None:
    """Return the seconds of ``10``, ``1.5s``, ``500ms``, ``1m30s``, ``2h``; None for other text.

    What options take: a bare number is seconds.
    """
    seconds = parse_number(text)
    if seconds is not None:
        return seconds
    total, rest = 0.0, text
    while rest:
        try:
            number, unit, rest = _leading_quantity(rest)
        except ValueError:
            return None
        amount = parse_number(number)
        if amount is None or unit not in _DURATION_UNITS:
            return None
        total += amount * _DURATION_UNITS[unit]
    return total if text else None


def parse_number(text: str) -> float | None:
    """Return the number that *text* is: digits with one point at most; None for other text."""
    if not text or not all(letter in "0123456789." for letter in text) or text.count(".") > 1:
        return None
    return float(text) if text != "." else None


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
