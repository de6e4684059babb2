"""Templates of `--format` from a generator: whatever they say, a text or one sentence comes out."""

from __future__ import annotations

import re
import resource
import subprocess
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runtime.language import templates
from runtime.language.template_functions import FUNCTIONS
from runtime.language.templates import TemplateError
from tests.support.attack import fuzz

DATA: dict[str, Any] = {
    "Id": "abc",
    "Text": "\x1b]0;x\x07\x9b é\udcff",
    "Number": -3,
    "Huge": 10**30,
    "Share": 1.5,
    "Infinite": float("inf"),
    "Nothing": float("nan"),
    "Yes": True,
    "None": None,
    "List": ["a", 1, None, [2.5]],
    "Map": {"a.b": "c", "d": {"e": [1]}},
    "Label": lambda name: {"x": "y"}.get(name, ""),
}
_FIELDS = st.sampled_from([".", "$", "$x", "$.Map.d.e", ".Map.d", *(f".{name}" for name in DATA)])
_LITERALS = st.sampled_from(
    [
        *("0", "1", "-1", "9", "99999999", "1e999", "1e308", "-1e3", "9223372036854775808", "1٣"),
        *('"x"', '""', "`%d`", '"%9999999999999d"', '"%.999999s|%*d"', '"%1000000v%-1000000q"'),
        *('"%"', '"%!"', '"%[2]d%#x%+.3g%U%c%T%t"', "true", "nil", '"\\u0000"', "'a'", "+inf"),
    ]
)
_FUNCTIONS = st.sampled_from(sorted(FUNCTIONS))


def _commands(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operand = inner | _FIELDS | _LITERALS
    call = st.builds(
        lambda name, words: " ".join((name, *words)), _FUNCTIONS, st.lists(operand, max_size=4)
    )
    return st.one_of(
        call.map(lambda text: f"({text})"),
        st.builds("({} | {})".format, call, call),
        st.builds("({}).{}".format, call, st.sampled_from(["Id", "d"])),
    )


_PIPES = st.recursive(_FIELDS | _LITERALS, _commands, max_leaves=6)
_ACTIONS = st.one_of(
    _PIPES.map("{{{{{}}}}}".format),
    _PIPES.map("{{{{$x := {}}}}}".format),
    _PIPES.map("{{{{$x = {}}}}}".format),
    _PIPES.map("{{{{if {}}}}}a{{{{else}}}}b{{{{end}}}}".format),
    _PIPES.map("{{{{with {}}}}}{{{{.}}}}{{{{end}}}}".format),
    st.sampled_from([".List", ".Map", ".None", ".Number", "3", ".Text"]).map(
        "{{{{range $i, $x := {}}}}}{{{{$x}}}}{{{{end}}}}".format
    ),
    st.text(st.sampled_from("{}.|$()%-\"`'/* \nabrange0"), max_size=12),
)


@pytest.fixture
def little_memory() -> Any:
    """Give the process a gigabyte more than it has: an explosion is a MemoryError."""
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + 1024**3
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def carried_out(text: str, data: Any = DATA) -> str:
    """Return the text or the sentence; anything else that is raised fails the test."""
    try:
        return templates.parse(text).render(data)
    except TemplateError as error:
        return str(error)


@pytest.mark.usefixtures("little_memory")
@fuzz(600)
@given(st.lists(_ACTIONS, min_size=1, max_size=4).map("".join))
def test_any_template_gives_a_text_or_a_sentence(text: str) -> None:
    """No exception but TemplateError leaves a template, and its fields are told or refused too."""
    carried_out(text)
    carried_out(text, None)
    with suppress(TemplateError):
        templates.parse(text).fields()


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(
    "text",
    [
        '{{printf "%9999999999999d" 1}}',
        '{{printf "' + "%9999999d" * 400 + '"' + " 1" * 400 + "}}",
        '{{printf "%.9999999f" 1.5}}',
        '{{printf "%*d" 9999999999 1}}',
        "{{pad `x` 999999999999 1}}",
        "{{range 999999999999}}" + "x" * 999 + "{{end}}",
        "{{$x := `aaaaaaaa`}}{{range 99}}{{$x = print $x $x}}{{end}}",
        "{{$x := `aaaaaaaa`}}{{range 99}}{{$x = printf `%s%s` $x $x}}{{end}}",
        "{{$x := `,,,,,,,,`}}{{range 99}}{{$x = join (split $x ``) $x}}{{end}}",
        "{{" + "(" * 50_000 + "1" + ")" * 50_000 + "}}",
        "{{if 1}}" * 50_000 + "{{end}}" * 50_000,
        "{{with 1}}" * 300 + "{{.}}" + "{{end}}" * 300,
        "{{1" + " | print" * 50_000 + "}}",
        "{{" + "9" * 100_000 + "}}",
        "{{1e" + "9" * 1000 + "}}",
    ],
    ids=lambda text: text[:24],
)
def test_a_bomb_costs_a_sentence(text: str) -> None:
    """Widths, repetitions, doublings and nesting: bounded memory, and an end."""
    said = carried_out(text)

    assert len(said) <= 16 * 1024 * 1024


def test_what_is_nested_too_deep_to_be_shown_is_a_sentence() -> None:
    deep: Any = "x"
    for _ in range(50_000):
        deep = [deep]

    for text in ("{{.}}", "{{json .}}", "{{printf `%v%d` . .}}"):
        assert carried_out(text, deep).startswith("template: ")
    while isinstance(deep, list):  # a list frees what is in it by recursion
        deep = deep.pop()


_NUMBERS = st.one_of(
    st.integers(-(2**40), 2**40).map(str),
    st.floats(-1e20, 1e20, allow_nan=False).filter(lambda value: abs(value) > 1e-300).map(repr),
)
_VALUES = _NUMBERS | st.sampled_from(['"a"', '"a b"', '"é"', "true", "nil"])
_FORMS = st.lists(
    st.sampled_from(
        [
            *(
                "%d",
                "%5d",
                "%-5d|",
                "%05d",
                "%+d",
                "% d",
                "%x",
                "%#x",
                "%X",
                "%o",
                "%b",
                "%c",
                "%U",
            ),
            *("%s", "%9s", "%-9s|", "%.1s", "%q", "%v", "%t", "%T", "%f", "%.2f", "%9.3f", "%e"),
            *("%g", "%%", "%!", "text", "%9999999999d", "%*d", "%.*f"),
        ]
    ),
    max_size=4,
).map("".join)


@pytest.mark.needs("docker")
def test_printf_says_what_gos_says() -> None:
    """Docker's own command carries out templates without a daemon."""
    pairs: list[tuple[str, str]] = []

    @fuzz(120)
    @given(_FORMS, st.lists(_VALUES, max_size=4))
    def collect(form: str, values: list[str]) -> None:
        fractions = any("." in value or "e" in value for value in values)
        assume(not (fractions and re.search("%#?[xXb]", form)))  # hexadecimal fractions: not ours
        pairs.append((form, " ".join(values)))

    collect()
    mark = "\x1f"
    text = mark.join(f'{{{{printf "{form}" {values}}}}}' for form, values in pairs)

    theirs = subprocess.run(
        ["docker", "context", "ls", "--format", text], capture_output=True, text=True, check=False
    )
    assert theirs.returncode == 0, theirs.stderr

    first = theirs.stdout.removesuffix("\n").split(mark)
    for (form, values), expected in zip(pairs, first, strict=False):
        assert carried_out(f'{{{{printf "{form}" {values}}}}}') == expected, (form, values)
