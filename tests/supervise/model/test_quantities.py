"""Durations and sizes as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.model.quantities import (
    format_duration,
    format_size,
    parse_duration,
    parse_size,
    parse_span,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("500ms", 0.5), ("10s", 10.0), ("1m30s", 90.0), ("2h", 7200.0), ("1d", 86400.0)),
        *(("1.5h", 5400.0), ("250us", 0.00025), ("0", 0.0), ("0s", 0.0), (" 3s ", 3.0)),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("10", "did you mean 10s?"),
        ("1.5", "did you mean 1.5s?"),
        ("10x", "'x' is no unit"),
        ("10 s", "write it like"),
        ("-5s", "write it like"),
        ("s", "write it like"),
        ("", "write it like"),
        ("1:30", "write it like"),
        ("1m30", "a unit is missing behind 30, as in 30s"),
        ("1.2.3s", "write it like"),
        ("9" * 400 + "s", "write it like"),
        ("9" * 60 + "s", "the longest is 10000d"),
        ("\u0661s", "write it like"),
    ],
)
def test_what_is_no_duration_gets_a_hint(text: str, hint: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_duration(text)

    assert hint in str(caught.value)


@given(st.integers(0, 10**12))
def test_durations_are_read_back_as_they_are_written(micros: int) -> None:
    """parse ∘ format = identity, to the microsecond."""
    seconds = round(micros / 1e6, 6)

    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        *(
            ("64k", 65536),
            ("10m", 10 * 1024**2),
            ("1g", 1024**3),
            ("4096", 4096),
            ("10MB", 10 << 20),
        ),
        *(("1KiB", 1024), ("1.5k", 1536), ("5b", 5), ("2 m", 2 << 20)),
    ],
)
def test_sizes(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text", ["", "m", "10x", "-1", "1e3", "ten", "1.2.3k", "\u0661", "9" * 400, "9" * 60]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_size(text)


@given(st.integers(0, 2**50))
def test_sizes_are_read_back_as_they_are_written(size_bytes: int) -> None:
    """parse ∘ format = identity."""
    assert parse_size(format_size(size_bytes)) == size_bytes


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10", 10.0),
        ("0.5", 0.5),
        ("500ms", 0.5),
        ("10s", 10.0),
        ("1m30s", 90.0),
        ("2h", 7200.0),
        ("1d", 86400.0),
        ("1.5h", 5400.0),
        ("", None),
        ("s", None),
        ("10x", None),
        ("1m 30s", None),
        ("-1", None),
        ("1..5", None),
        (".", None),
        ("inf", None),
        ("٣", None),
    ],
)
def test_spans_of_options(text: str, seconds: float | None) -> None:
    assert parse_span(text) == seconds


@given(st.text(max_size=10))
def test_any_text_is_a_span_or_none(text: str) -> None:
    found = parse_span(text)

    assert found is None or found >= 0
