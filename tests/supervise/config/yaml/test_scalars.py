"""YAML 1.2 core scalars."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.config.yaml.scalars import resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("", None), ("~", None), ("null", None), ("NULL", None)),
        *(("true", True), ("False", False), ("TRUE", True)),
        *(("0", 0), ("-12", -12), ("+3", 3), ("017", 17), ("0o17", 15), ("0xfF", 255)),
        *(("1.5", 1.5), (".5", 0.5), ("2.", 2.0), ("1e3", 1000.0), ("-1.5E-2", -0.015)),
        *((".inf", math.inf), ("-.INF", -math.inf)),
    ],
)
def test_core_schema_values(text: str, value: object) -> None:
    found = resolve(text)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        *("no", "yes", "on", "off", "y", "N", "nULL", "tRue"),
        *("22:22", "1_000", "0b11", "2024-01-01", "1.2.3", "0o8", "0xg", "0o", "0x", "+", "-", "."),
        *("1e", "e3", "--1", "٣", "-0x1", "+0o7", "9" * 5000),
    ],
)
def test_everything_else_is_a_string(text: str) -> None:
    assert resolve(text) == text


@given(st.text(max_size=70))
def test_resolving_is_total(text: str) -> None:
    """Every text means something; no text raises."""
    assert isinstance(resolve(text), str | int | float | None)
