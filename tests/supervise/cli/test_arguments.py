"""Command lines → verb, options, operands."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.cli import usage, verbs
from supervise.cli.arguments import UsageError, parse


@pytest.mark.parametrize(
    ("line", "options", "operands"),
    [
        ("status", {}, ()),
        ("status web db", {}, ("web", "db")),
        ("--socket /s status", {"socket": "/s"}, ()),
        ("status --socket=/s web", {"socket": "/s"}, ("web",)),
        ("logs -fn5 web", {"follow": True, "lines": 5}, ("web",)),
        ("logs -n 5 -f web", {"lines": 5, "follow": True}, ("web",)),
        ("logs web --lines=5", {"lines": 5}, ("web",)),
        ("stop web --timeout 1m30s", {"timeout": 90.0}, ("web",)),
        ("stop -- --json -x", {}, ("--json", "-x")),
        ("stop -a", {"all": True}, ()),
        ("status -", {}, ("-",)),
        ("signal HUP -a", {"all": True}, ("HUP",)),
        ("wait web --for healthy", {"for": "healthy"}, ("web",)),
        ("start --help", {"help": True}, ()),
    ],
)
def test_lines_that_make_sense(line: str, options: dict[str, Any], operands: tuple[str]) -> None:
    given = parse(line.split())

    assert (dict(given.options), given.operands) == (options, operands)


@given(st.lists(st.sampled_from([*verbs.BY_NAME, "--", "-n", "-f", "--all", "--json", "web", "3", "--timeout", "-h", ""])))  # fmt: skip
def test_no_line_raises_anything_but_a_usage_error(argv: list[str]) -> None:
    try:
        verb = parse(argv).verb
    except UsageError as error:
        verb = verbs.BY_NAME.get(error.verb or "")

    assert verb is None or verb.name in argv


def test_every_verb_has_help_that_names_its_options() -> None:
    for verb in verbs.VERBS:
        text = usage.text(verb)
        assert text.startswith(f"Usage: supervisectl {verb.name}")
        assert [o.name for o in verb.options if f"--{o.name}" not in text] == []
        assert max(map(len, text.splitlines())) <= 80


def test_no_verb_gives_one_letter_two_meanings() -> None:
    for verb in verbs.VERBS:
        letters = [option.short for option in (*verb.options, *verbs.GLOBAL) if option.short]
        assert len(letters) == len(set(letters)), verb.name
