"""Tables and terminals."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from supervise.cli import render

CELL = st.text("abc xyz", max_size=8).map(str.strip)
ROWS = st.integers(2, 5).flatmap(
    lambda n: st.lists(st.lists(CELL, min_size=n, max_size=n), min_size=1, max_size=5)
)


def test_columns_are_aligned_and_the_last_is_cut() -> None:
    rows = [("NAME", "PID", "DETAIL"), ("web", "7", "listening on port 80"), ("worker", "123", "")]

    assert render.table(rows, right=[1], width=26) == [
        "NAME    PID  DETAIL",
        "web       7  listening on…",
        "worker  123",
    ]


@given(ROWS)
def test_columns_begin_at_the_same_place_in_every_row(rows: list[list[str]]) -> None:
    lines = render.table(rows)

    start = 0
    for column in range(len(rows[0])):
        for row, line in zip(rows, lines, strict=True):
            assert line[start : start + len(row[column])] == row[column]
        start += max(len(row[column]) for row in rows) + 2


@given(ROWS)
def test_colours_change_nothing_but_colours(rows: list[list[str]]) -> None:
    coloured = render.table(rows, colour=True)

    plain = [re.sub(r"\x1b\[\d+m", "", line).rstrip() for line in coloured]
    assert plain == render.table(rows)
