"""RFC 3339 times, against the datetime module."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.model import timestamp

offsets = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1))  # noqa: DTZ001 - zones below


@given(moments, offsets)
def test_times_are_read_as_datetime_reads_them(moment: datetime, offset: timezone) -> None:
    """Parsing agrees with datetime.fromisoformat to the microsecond."""
    aware = moment.replace(tzinfo=offset)

    assert timestamp.parse(aware.isoformat()) == pytest.approx(aware.timestamp(), abs=1e-6)


@given(moments)
def test_what_is_rendered_datetime_reads_back(moment: datetime) -> None:
    """Rendering agrees with datetime to the microsecond."""
    seconds = moment.replace(tzinfo=UTC).timestamp()

    rendered = timestamp.render(seconds)

    back = datetime.fromisoformat(rendered)
    assert abs(back - moment.replace(tzinfo=UTC)) <= timedelta(microseconds=1)


def test_docker_s_nanoseconds_are_read() -> None:
    assert timestamp.parse("2024-02-29T12:00:00.123456789Z") == pytest.approx(1709208000.123456789)


@pytest.mark.parametrize("text", ["", "0001-01-01T00:00:00Z"])
def test_no_time_is_zero(text: str) -> None:
    assert timestamp.parse(text) == 0.0


@pytest.mark.parametrize("text", ["yesterday", "2024-13-01T00:00:00Z", "2024-01-01T00:00:00", "2"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        timestamp.parse(text)
