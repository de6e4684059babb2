"""Env files as docker compose reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.config.problems import Problems
from supervise.config.yaml import envfile
from supervise.config.yaml.decoder import Decoder


def parse(text: str, **environ: str) -> tuple[dict[str, str | None], list[str]]:
    problems = Problems()
    decoder = Decoder(environ, problems)
    values = envfile.parse(decoder, text, "app.env")
    return values, [str(problem) for problem in problems.problems()]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("A=1\nB=two words\n", {"A": "1", "B": "two words"}),
        ("# comment\n\n  # another\nA=1", {"A": "1"}),
        ("A=1 # comment\nB=a#b\nC=#all", {"A": "1", "B": "a#b", "C": ""}),
        ("export A=1\nexport\tB=2", {"A": "1", "B": "2"}),
        ("A = 1\nB: 2\n  C=3  ", {"A": "1", "B": "2", "C": "3"}),
        ("A=\nB=''\nC=\"\"", {"A": "", "B": "", "C": ""}),
        ('A=\'$X # \\n\'\nB="a\\tb\\"c"', {"A": "$X # \\n", "B": 'a\tb"c'}),
        ("A=\"one\ntwo\"\nB='three\nfour'", {"A": "one\ntwo", "B": "three\nfour"}),
        ('A=${X}-$Y\nB="${X:-d}"\nC=$$X', {"A": "x-", "B": "x", "C": "$X"}),
        ("A=1\nB=${A}2", {"A": "1", "B": "12"}),
        ("X=mine\nB=$X", {"X": "mine", "B": "x"}),
        ('A="\\$X"', {"A": "$X"}),
        ("A\nB", {"A": None, "B": None}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A=1\nA=2", {"A": "2"}),
        ("A='it\\'s'", {"A": "it's"}),
        ("A=b=c", {"A": "b=c"}),
        ("A='1' # one", {"A": "1"}),
    ],
)
def test_values(text: str, values: dict[str, str | None]) -> None:
    assert parse(text, X="x") == (values, [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("A=1\n  two words\n", "app.env:2:3: 'two words' is not NAME=value; write"),
        ("=1", "app.env:1:1: '=1' is not NAME=value"),
        ("A='open", "app.env:1:3: the quote ' is not closed; add the closing '"),
        ("A='x'y", "app.env:1:6: 'y' stands behind the closing quote; delete it"),
        ("A=${B:?no}", "app.env:1:3: the variable 'B' is not set: no; set B"),
        ("A=$(date)", "app.env:1:3: '$(' is no variable; write $$"),
    ],
)
def test_bad_lines_say_where_and_why(text: str, problem: str) -> None:
    _, problems = parse(text)

    assert [found.startswith(problem) for found in problems] == [True]


def test_every_bad_line_is_reported_and_good_ones_count() -> None:
    values, problems = parse("A=1\n!\nB=2\n?\n")

    assert values == {"A": "1", "B": "2"}
    assert [problem.split(": ")[0] for problem in problems] == ["app.env:2:1", "app.env:4:1"]


@given(st.text(alphabet="AB=:#'\"\\$ {}\n\t!", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text raises, and the reader always gets to the end."""
    values, _ = parse(text)

    assert all(value is None or isinstance(value, str) for value in values.values())
