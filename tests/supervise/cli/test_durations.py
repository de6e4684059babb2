"""Moments and ages, read and shown."""

from __future__ import annotations

import pytest

from supervise.cli.durations import parse_moment, show_age


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("@1700000000", 1_700_000_000.0),
        ("10m", 400.0),
        ("2024-05-01T12:00:00+00:00", 1_714_564_800.0),
        ("2024-05-01T14:00+02:00", 1_714_564_800.0),
        ("yesterday", None),
        ("@", None),
    ],
)
def test_moments(text: str, moment: float | None) -> None:
    assert parse_moment(text, now=1000.0) == moment


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1.0, "0.0s"),
        (0.04, "0.0s"),
        (9.94, "9.9s"),
        (59.9, "59s"),
        (60, "1m"),
        (185, "3m 5s"),
        (7800, "2h 10m"),
        (359_999, "4d 3h"),
    ],
)
def test_ages(seconds: float, shown: str) -> None:
    assert show_age(seconds) == shown
