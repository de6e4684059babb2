"""YAML text → nodes with places, under limits; the same with the C and the Python parser."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supervise.config.yaml import libyaml, nodes
from supervise.model.errors import Problem


@pytest.fixture(params=["c", "python"])
def parser(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test with the C parser, and with the pure Python one."""
    before = libyaml.backend()
    assert before.module is not None, "PyYAML has no C parser here"
    libyaml.use(before if request.param == "c" else libyaml.ordinary(pure=True))
    yield request.param
    libyaml.use(before)


def compose(text: str) -> tuple[Any, list[str]]:
    problems: list[Problem] = []
    root = nodes.compose(text, "f.yaml", problems.append)
    return plain(root), [str(problem) for problem in problems]


def plain(node: nodes.YamlNode | None) -> Any:
    if isinstance(node, nodes.Mapping):
        return {key: plain(value) for key, (_, value) in node.pairs.items()}
    if isinstance(node, nodes.Sequence):
        return [plain(item) for item in node.items]
    return node.text if isinstance(node, nodes.Scalar) else None


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: [1, {b: c}]\nd: 'e'", {"a": ["1", {"b": "c"}], "d": "e"}),
        ("a: &x [1]\nb: *x", {"a": ["1"], "b": ["1"]}),
        (
            "a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3}",
            {"a": {"k": "1", "l": "2"}, "b": {"l": "3", "k": "1"}},
        ),
        ("b: {<<: [{k: 1}, {k: 2, l: 2}]}", {"b": {"k": "1", "l": "2"}}),
        ("'<<': 1", {"<<": "1"}),
        ("1: a\ntrue: b", {"1": "a", "true": "b"}),
        ("a: !!str 5\nb: !!int 5\nc: ! 5", {"a": "5", "b": "5", "c": "5"}),
        ("# nothing\n", None),
        ("---\na: 1\n...\n", {"a": "1"}),
        ("%YAML 1.2\n---\na: 1", {"a": "1"}),
        ("a: |\n  x\n  y\nb: >\n  x\n  y\n", {"a": "x\ny\n", "b": "x y\n"}),
    ],
)
def test_documents(text: str, value: Any) -> None:
    assert compose(text) == (value, [])


@pytest.mark.usefixtures("parser")
def test_nodes_know_their_places() -> None:
    root = nodes.compose("a:\n  - ü: x\n", "f.yaml", [].append)  # type: ignore[arg-type]

    assert isinstance(root, nodes.Mapping)
    inner = root.pairs["a"][1]
    assert isinstance(inner, nodes.Sequence)
    mapping = inner.items[0]
    assert isinstance(mapping, nodes.Mapping)
    value = mapping.pairs["ü"][1]
    assert (mapping.line, mapping.column) == (2, 5)
    assert (value.line, value.column) == (2, 8)


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "a: 1\nb:\n  c: 1\n  c: 2",
            "f.yaml:4:3: b.c: the key 'c' is here twice; the first is in line 3",
        ),
        ("a: !foo 1", "f.yaml:1:4: a: the tag '!foo' means nothing here; leave it out"),
        ("a: !!binary aGk=", "f.yaml:1:4: a: the tag '!!binary' means nothing here; leave it out"),
        ("[a, b]: 1", "f.yaml:1:1: a key is a word, not a list or a mapping; quote it"),
        ("a: 1\n---\nb: 2", "f.yaml:2:1: a second document begins here; a file holds one; put it"),
        ("a: *x", "f.yaml:1:4: a: there is no anchor &x above; an anchor, &name, comes before"),
        ("a: &x [1, *x]", "f.yaml:1:11: a[1]: *x stands inside its own anchor; a value cannot"),
        ("a: {<<: 5}", "f.yaml:1:9: a: '<<' takes a mapping or a list of them; use *alias"),
        (
            "a:\n\tb: 1",
            "f.yaml:2:1: a: not valid YAML: a tab in the indentation; indent with spaces",
        ),
        ("a: b: c", "f.yaml:1:5: not valid YAML: mapping values are not allowed"),
    ],
)
def test_problems_have_a_place_and_a_hint(text: str, problem: str) -> None:
    _, problems = compose(text)

    assert [found.startswith(problem) for found in problems] == [True], problems


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("text", ["a: [1", "a: 'x", "a: {b", "- a\nb: 1", "a: \x07", "a: @x", "&"])
def test_broken_text_is_one_problem_with_a_place(text: str) -> None:
    root, problems = compose(text)

    assert root is None
    assert len(problems) == 1
    assert problems[0].startswith("f.yaml:")


@pytest.mark.usefixtures("parser")
def test_a_character_yaml_forbids_is_shown_where_it_is() -> None:
    _, problems = compose("ä: 1\nb: x\x07")

    assert problems == ["f.yaml:2:5: the character U+0007 is not allowed in YAML; delete it"]


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    "text", ["[" * 50_000, "{a: " * 5_000, "".join(" " * i + "a:\n" for i in range(300))]
)
def test_deep_nesting_is_a_problem_not_a_recursion(text: str) -> None:
    _, problems = compose(text)

    assert len(problems) == 1
    assert f"nested deeper than {nodes.MAX_DEPTH} levels" in problems[0]


def bomb(levels: int) -> str:
    """Return YAML that means 10 ** levels values."""
    lines = [f"a0: &a0 [{', '.join(['lol'] * 10)}]"]
    for level in range(1, levels):
        aliases = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{aliases}]")
    return "\n".join(lines)


@pytest.mark.usefixtures("parser")
def test_an_alias_bomb_is_refused_with_little_memory() -> None:
    tracemalloc.start()
    _, problems = compose(bomb(9))  # 10**9 values of a byte or more: over 1 GiB
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(problems) == 1
    assert "more than 1,000,000 values once aliases are followed" in problems[0]
    assert peak < 1_000_000


@pytest.mark.usefixtures("parser")
def test_a_bomb_of_merge_keys_is_refused() -> None:
    lines = ["a0: &a0 {" + ", ".join(f"k{i}: v" for i in range(100)) + "}"]
    lines += [
        f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 40)}], x{i}: y}}" for i in range(1, 6)
    ]

    _, problems = compose("\n".join(lines))

    assert "more than 1,000,000 values" in problems[0]


@pytest.mark.usefixtures("parser")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="ab:-[]{}&*!|>'\"#,?% \n\t<~1", max_size=40))
def test_any_text_is_a_tree_or_a_problem(text: str) -> None:
    """No text raises, and what gives no tree though it is no comment gives a problem."""
    value, problems = compose(f"x: 1\n{text}")

    assert value is not None or problems


LEAN = """
import sys
from supervise.config.yaml import libyaml
found = libyaml.backend()
assert found.module is not None, "no C parser"
assert "yaml.constructor" not in sys.modules and "yaml" not in sys.modules, "not lean"
parser = found.parser("a: [1, b]")
events = []
while parser.check_event():
    events.append(type(parser.get_event()).__name__)
try:
    broken = found.parser("a: [")
    while broken.get_event():
        pass
except found.error as error:
    events.append(type(error).__name__)
import yaml
assert yaml.safe_load("a: [1, b]") == {"a": [1, "b"]}
try:
    yaml.safe_load("a: [")
except yaml.YAMLError as error:
    events.append(type(error).__name__)
print(*events)
"""


def test_the_lean_import_parses_and_leaves_yaml_whole_for_others() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAN], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.stderr == ""
    assert done.stdout.split() == [
        *("StreamStartEvent", "DocumentStartEvent", "MappingStartEvent", "ScalarEvent"),
        *("SequenceStartEvent", "ScalarEvent", "ScalarEvent", "SequenceEndEvent"),
        *("MappingEndEvent", "DocumentEndEvent", "StreamEndEvent", "ParserError", "ParserError"),
    ]
