from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.builder.files.copy_patterns import (
    PatternError,
    Patterns,
    component,
    is_wild,
    literal,
)


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("*.txt", ["a.txt", ".txt", ".hidden.txt"], ["a.md", "a.txt~"]),
        ("?", ["a", "."], ["", "ab"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "x"]),
        ("[^a]x", ["bx"], ["ax"]),
        ("[!a]x", ["!x", "ax"], ["bx"]),
        ("[[]x", ["[x"], ["x"]),
        (r"[\]]", ["]"], ["x"]),
        (r"a\*", ["a*"], ["ab"]),
        ("a.b", ["a.b"], ["axb"]),
        ("**", ["abc"], []),
        ("(a|b)$", ["(a|b)$"], ["a"]),
    ],
)
def test_a_component_matches_as_go_matches(
    pattern: str, matching: list[str], other: list[str]
) -> None:
    rule = component(pattern)

    assert [name for name in matching if not rule.match(name)] == []
    assert [name for name in other if rule.match(name)] == []


@pytest.mark.parametrize("pattern", ["[a", "[]", "[]a]", "[", "a\\", "[a-", "[-a]"])
def test_a_malformed_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        component(pattern)


def test_a_backslash_makes_a_wildcard_a_letter() -> None:
    assert is_wild("a*")
    assert not is_wild(r"a\*")
    assert literal(r"a\*b\\") == "a*b\\"


@pytest.mark.parametrize(
    ("patterns", "excluded", "kept"),
    [
        (["a"], ["a", "a/b", "a/b/c"], ["b/a", "ab"]),
        (["/a"], ["a"], ["b/a"]),
        (["*.md"], ["x.md"], ["d/x.md"]),
        (["**/*.md"], ["x.md", "d/x.md", "d/e/x.md"], ["x.mdx"]),
        (["*/x"], ["d/x", "d/x/y"], ["x", "d/e/x"]),
        (["**"], ["a", "a/b"], []),
        (["a/**"], ["a/b", "a/b/c"], ["a", "ab"]),
        (["**/a/**"], ["a/b", "x/a/b"], ["a", "x/a"]),
        (["a/", " b "], ["a", "a/x", "b"], []),
        (["./a", "b/../c"], ["a", "c"], ["b"]),
        (["*", "!a"], ["b"], ["a", "a/b"]),
        (["*", "!a", "a/b"], ["a/b", "c"], ["a", "a/c"]),
        (
            ["**/*.md", "!README*.md", "README-secret.md"],
            ["x.md", "README-secret.md"],
            ["README.md"],
        ),
        (["", "a"], ["a"], ["b"]),
    ],
)
def test_the_last_rule_that_matches_decides(
    patterns: list[str], excluded: list[str], kept: list[str]
) -> None:
    rules = Patterns(patterns)

    assert [path for path in excluded if not rules.excludes(path)] == []
    assert [path for path in kept if rules.excludes(path)] == []


def test_a_malformed_rule_is_named() -> None:
    with pytest.raises(PatternError, match=re.escape("'x[': a bracket is not closed")):
        Patterns(["a", "x["])


def test_an_exclamation_mark_alone_is_refused() -> None:
    with pytest.raises(PatternError, match="'!' alone"):
        Patterns(["!"])


def test_exceptions_are_known() -> None:
    assert Patterns(["a", "!a/b"]).has_exceptions
    assert not Patterns(["a"]).has_exceptions


NAMES = st.text("ab.*?[]^-!\\/é", max_size=8)


@given(NAMES, NAMES)
def test_a_pattern_is_malformed_or_matches_or_does_not(pattern: str, path: str) -> None:
    """No text breaks the translation."""
    try:
        rules = Patterns([pattern])
    except PatternError:
        return
    assert rules.excludes(path) in (True, False)


@given(st.lists(st.sampled_from(["a", "*", "!a", "a/b", "!a/b", "**/b", "a/**"]), max_size=5))
def test_steps_from_a_directory_give_what_the_whole_path_gives(patterns: list[str]) -> None:
    """Going down with what held above is the same as looking at a path by itself."""
    rules = Patterns(patterns)

    above = rules.step("a", ())
    stepped = rules.decide(rules.step("a/b", above))

    assert stepped == rules.excludes("a/b")
