"""RFC 3339 times, as images' configurations write them, and seconds since 1970.

By arithmetic: `datetime` would cost each start of a container some milliseconds.
"""

from __future__ import annotations

_DAY = 86400


def parse(text: str) -> float:
    """Return the seconds since 1970 in *text*, 0.0 for no time (empty, or Go's year 1).

    Raises:
        ValueError: it is not ``YYYY-MM-DDTHH:MM:SS[.fraction](Z|±HH:MM)``.
    """
    if not text or text.startswith("0001-01-01T"):
        return 0.0
    try:
        year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
        hour, minute, second = int(text[11:13]), int(text[14:16]), int(text[17:19])
        fraction, offset = _tail(text[19:])
        days = _days(year, month, day)
    except ValueError:
        raise ValueError(f"'{text}' is not a time") from None
    return days * _DAY + hour * 3600 + minute * 60 + second - offset + fraction


def render(seconds: float) -> str:
    """Return *seconds* since 1970 in UTC, with the fraction that there is."""
    nanoseconds = round(seconds * 1_000_000) * 1000  # a float of today holds microseconds
    whole, fraction = divmod(nanoseconds, 1_000_000_000)
    days, rest = divmod(whole, _DAY)
    year, month, day = _civil(days)
    hour, minute, second = rest // 3600, rest // 60 % 60, rest % 60
    tail = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}{tail}Z"


def _tail(text: str) -> tuple[float, int]:
    """Return (fraction of a second, offset from UTC in seconds) of what follows the seconds."""
    digits = ""
    if text.startswith("."):
        digits = text[1 : 1 + len(text[1:]) - len(text[1:].lstrip("0123456789"))]
        text = text[1 + len(digits) :]
    fraction = float(f"0.{digits}") if digits else 0.0
    if text in ("Z", "z"):
        return fraction, 0
    sign = {"+": 1, "-": -1}.get(text[:1])
    if sign is None or len(text) != 6:
        raise ValueError(text)
    return fraction, sign * (int(text[1:3]) * 3600 + int(text[4:6]) * 60)


def _days(year: int, month: int, day: int) -> int:
    """Return the days from 1970-01-01 to a date of the Gregorian calendar."""
    if not (1 <= month <= 12 and 1 <= day <= 31):
        raise ValueError(f"month {month}, day {day}")
    # Years begin in March, so that the leap day is the last one.
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return (
        era * 146097
        + year_of_era * 365
        + year_of_era // 4
        - year_of_era // 100
        + (day_of_year - 719468)
    )


def _civil(days: int) -> tuple[int, int, int]:
    """Return (year, month, day) of the days since 1970-01-01."""
    era, day_of_era = divmod(days + 719468, 146097)
    year = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + (3 if shifted < 10 else -9)
    return year + era * 400 + (month <= 2), month, day_of_year - (153 * shifted + 2) // 5 + 1
