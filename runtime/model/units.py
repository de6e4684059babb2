"""Sizes and times for people, as docker words them, and back.

From github.com/docker/go-units (size.go, duration.go) and docker's ``--since``.
"""

from __future__ import annotations

from runtime.model import timestamp

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_MINUTE, _HOUR = 60, 3600
_LONGEST = 64  # characters
_MOST = 2**63 / 1e9  # seconds: Go's longest duration, 292 years
_LATEST = 253402300799.0  # the last second of the year 9999, the last that RFC 3339 can write


def human_size(size: float, precision: int = 4) -> str:
    """Return ``12.3MB``: powers of 1000, *precision* digits that count."""
    return _scaled(size, 1000.0, _DECIMAL, precision)


def binary_size(size: float) -> str:
    """Return ``1.5GiB``: powers of 1024."""
    return _scaled(size, 1024.0, _BINARY, 4)


def _scaled(size: float, base: float, units: tuple[str, ...], precision: int) -> str:
    index = 0
    while size >= base and index < len(units) - 1:
        size /= base
        index += 1
    number = f"{size:.{precision}g}"
    if "e" in number:  # 1000 in three digits: Go writes 1e+03 too
        number = f"{float(number):g}"
    return number + units[index]


def human_duration(seconds: float) -> str:
    """Return ``About an hour``, ``3 days``: one unit."""
    whole = int(seconds)
    minutes = whole // _MINUTE
    # Go rounds to the nearest hour here, not down.
    hours = int(seconds / _HOUR + 0.5)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < _MINUTE:
        return f"{whole} seconds"
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{int(seconds / _HOUR) // 24 // 365} years"


def ago(seconds: float) -> str:
    """Return ``3 days ago``."""
    return f"{human_duration(seconds)} ago"


def wall(seconds: float) -> str:
    """Return a time since 1970 as ``2026-01-02 03:04:05 +0000 UTC``."""
    text = timestamp.render(float(int(seconds)))
    return f"{text[:10]} {text[11:19]} +0000 UTC"


def duration(text: str) -> float:
    """Return the seconds in ``1h30m``, ``1.5s``, ``300ms``, or a bare number of seconds.

    Raises:
        ValueError: it is none.
    """
    seconds = _duration(text.strip()) if len(text) <= _LONGEST else None
    if seconds is None or abs(seconds) > _MOST:
        raise ValueError(f"'{text[:_LONGEST]}' is no duration such as 10s or 1m30s")
    return seconds


def _duration(rest: str) -> float | None:
    sign = -1.0 if rest.startswith("-") else 1.0
    rest = rest.lstrip("+-")
    if _is_decimal(rest):
        return sign * float(rest)
    total = 0.0
    if not rest:
        return None
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789."))
        number, rest = rest[:digits], rest[digits:]
        letters = len(rest) - len(rest.lstrip("nuµmsh"))
        unit, rest = rest[:letters], rest[letters:]
        if unit not in _SECONDS or not _is_decimal(number):
            return None
        total += float(number) * _SECONDS[unit]
    return sign * total


def _is_decimal(text: str) -> bool:
    return text.isascii() and text.replace(".", "", 1).isdecimal()


def patience(seconds: float) -> float:
    """Return milliseconds for poll(2) to wait, a day at most: it takes no more than 24 of them."""
    return min(max(0.0, seconds), 86400.0) * 1000 + 1


def moment(text: str, now: float) -> float:
    """Return the time since 1970 that ``--since`` or ``--until`` names.

    Understood are a time (RFC 3339, the end of it may be missing: it is UTC then), seconds since
    1970, and a duration before *now*.

    Raises:
        ValueError: it is none of these.
    """
    if _is_decimal(text) and len(text) <= _LONGEST:
        if float(text) > _LATEST:
            raise ValueError(f"'{text}' is after the year 9999")
        return float(text)
    try:
        return now - duration(text)
    except ValueError:
        pass  # a time, then
    whole = text.strip().replace(" ", "T", 1)
    for missing in ("", "Z", ":00Z", ":00:00Z", "T00:00:00Z"):
        try:
            return timestamp.parse(whole + missing)
        except ValueError:
            continue
    raise ValueError(f"'{text}' is neither a time such as 2026-01-02T03:04:05 nor a duration")
