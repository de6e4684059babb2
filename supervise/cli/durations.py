"""Durations and moments as people write them, and as a table shows them."""

from __future__ import annotations

UNITS = {"us": 0.000001, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str) -> float | None:
    """Return the seconds of ``10``, ``1.5s``, ``500ms``, ``1m30s``, ``2h``; None if it is none."""
    number = _number(text)
    if number is not None:
        return number
    total, rest = 0.0, text
    while rest:
        end = 0
        while end < len(rest) and rest[end] in "0123456789.":
            end += 1
        unit_end = end
        while unit_end < len(rest) and rest[unit_end].isalpha():
            unit_end += 1
        number, unit = _number(rest[:end]), UNITS.get(rest[end:unit_end])
        if number is None or unit is None:
            return None
        total += number * unit
        rest = rest[unit_end:]
    return total if text else None


def parse_moment(text: str, now: float) -> float | None:
    """Return the Unix time of ``10m`` (ago), ``@1700000000``, ``2024-05-01T12:00``; None if none.

    A date and time without an offset is local time.
    """
    if text.startswith("@"):
        return _number(text[1:])
    ago = parse_duration(text)
    if ago is not None:
        return now - ago
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def show_age(seconds: float) -> str:
    """Return two units at most: ``0.4s``, ``12s``, ``3m 5s``, ``2h 10m``, ``4d 3h``."""
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f}s"
    whole = int(seconds)
    for name, size, below, part in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "m", 60),
        ("m", 60, "s", 1),
    ):
        if whole >= size:
            small = whole % size // part
            return f"{whole // size}{name} {small}{below}" if small else f"{whole // size}{name}"
    return f"{whole}s"


def _number(text: str) -> float | None:
    if not text or not all(letter in "0123456789." for letter in text) or text.count(".") > 1:
        return None
    return float(text) if text != "." else None
