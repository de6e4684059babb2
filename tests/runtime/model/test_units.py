"""Sizes, durations and times in docker's words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.model import units

_HOUR, _DAY = 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [  # from go-units' own tests
        (0.45, "Less than a second"),
        (1, "1 second"),
        (45, "45 seconds"),
        (60, "About a minute"),
        (185, "3 minutes"),
        (_HOUR, "About an hour"),
        (_HOUR * 1.5, "2 hours"),
        (23 * _HOUR, "23 hours"),
        (47 * _HOUR, "47 hours"),
        (2 * _DAY, "2 days"),
        (13 * _DAY, "13 days"),
        (14 * _DAY, "2 weeks"),
        (59 * _DAY, "8 weeks"),
        (60 * _DAY, "2 months"),
        (729 * _DAY, "24 months"),
        (2 * 365 * _DAY, "2 years"),
    ],
)
def test_durations_are_worded_as_docker_words_them(seconds: float, shown: str) -> None:
    assert units.human_duration(seconds) == shown


@pytest.mark.parametrize(
    ("size", "precision", "shown"),
    [
        (0, 3, "0B"),
        (999, 3, "999B"),
        (1000, 3, "1kB"),
        (1234, 3, "1.23kB"),
        (1234, 4, "1.234kB"),
        (230_686_720, 3, "231MB"),
        (10**12, 4, "1TB"),
        (999_999, 3, "1000kB"),
    ],
)
def test_sizes_are_decimal(size: int, precision: int, shown: str) -> None:
    assert units.human_size(size, precision) == shown


def test_memory_is_binary() -> None:
    assert units.binary_size(1536 * 1024 * 1024) == "1.5GiB"


def test_a_time_is_shown_in_utc() -> None:
    assert units.wall(1_700_000_000.9) == "2023-11-14 22:13:20 +0000 UTC"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10", 10), ("90s", 90), ("1h30m", 5400), ("1.5s", 1.5), ("300ms", 0.3), ("-5s", -5)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert units.duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "x", "10x", "s", "1.2.3s", "1h x", "\u0661", "\u0661s", "9" * 5001, "9" * 60 + "h"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        units.duration(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2013-01-02T13:23:37Z", 1357133017),
        ("2013-01-02T13:23:37", 1357133017),
        ("2013-01-02 13:23:37", 1357133017),
        ("2013-01-02T15:23:37.5+02:00", 1357133017.5),
        ("2013-01-02T13:23", 1357132980),
        ("2013-01-02", 1357084800),
        ("1357133017", 1357133017),
        ("10m", 2_000_000_000 - 600),
    ],
)
def test_moments_are_times_or_durations_ago(text: str, moment: float) -> None:
    assert units.moment(text, now=2_000_000_000) == moment


def test_what_is_no_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="'yesterday' is neither a time"):
        units.moment("yesterday", now=0)


@given(st.floats(min_value=0, max_value=1e12))
def test_longer_is_never_worded_as_less_than_a_second(seconds: float) -> None:
    """Every duration has words, and only the first second has none of its own."""
    assert (units.human_duration(seconds) == "Less than a second") == (seconds < 1)
