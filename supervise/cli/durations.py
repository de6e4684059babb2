"""Moments as people write them, and ages as a table shows them."""

from __future__ import annotations

from supervise.model.quantities import parse_number, parse_span


def parse_moment(text: str, now: float) -> float | None:
    """Return the Unix time of ``10m`` (ago), ``@1700000000``, ``2024-05-01T12:00``; None if none.

    A date and time without an offset is local time.
    """
    if text.startswith("@"):
        return parse_number(text[1:])
    ago = parse_span(text)
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
