"""Variables in values, with compose's syntax and meaning."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.config.digest import of_variable
from supervise.config.yaml.interpolate import InterpolationError, Interpolator

ENVIRON = {"SET": "value", "EMPTY": "", "N": "5"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$SET-$N", "value-5"),
        ("${SET}x", "valuex"),
        ("$UNSET|${UNSET}|", "||"),
        ("${UNSET:-d}${EMPTY:-d}${SET:-d}", "ddvalue"),
        ("${UNSET-d}${EMPTY-d}${SET-d}", "dvalue"),
        ("${UNSET:+a}${EMPTY:+a}${SET:+a}", "a"),
        ("${UNSET+a}${EMPTY+a}${SET+a}", "aa"),
        ("${SET:?m}${SET?m}${EMPTY?m}", "valuevalue"),
        ("$$SET $${SET} $$$$", "$SET ${SET} $$"),
        ("${UNSET:-${EMPTY:-${SET}}}!", "value!"),
        ("${UNSET:-a:-b}", "a:-b"),
        ("${UNSET:-$$}", "$"),
        ("${UNSET:-}", ""),
        ("${SET}$SET", "valuevalue"),
    ],
)
def test_expansion(text: str, expected: str) -> None:
    assert Interpolator(ENVIRON).expand(text) == expected


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("${UNSET:?give one}", "the variable 'UNSET' is not set: give one", "set UNSET"),
        ("${EMPTY:?}", "the variable 'EMPTY' is empty", "set EMPTY"),
        ("${UNSET?${SET} wants it}", "is not set: value wants it", "set UNSET"),
        ("$(date)", "'$(' is no variable", "$$"),
        ("cost: 5$", "'$' is no variable", "$$"),
        ("$5", "'$5' is no variable", "$$"),
        ("${SET", "'${' is not closed", "}"),
        ("${}", "'${}' is no variable", "${NAME}"),
        ("${1A}", "'${1A}' is no variable", "${NAME}"),
        ("${SET!x}", "is not understood after the name", ":-"),
        ("${A:-" * 30 + "}" * 30, "nested deeper than", "simplify"),
    ],
)
def test_what_cannot_be_expanded_says_why(text: str, what: str, hint: str) -> None:
    with pytest.raises(InterpolationError) as caught:
        Interpolator(ENVIRON).expand(text)

    assert what in caught.value.what
    assert hint in caught.value.hint


def test_consulted_variables_are_remembered_as_digests_alone() -> None:
    interpolator = Interpolator(ENVIRON)

    interpolator.expand("$SET ${UNSET:-x} ${EMPTY+y} plain $$N")

    assert interpolator.consulted == {
        "SET": of_variable("value"),
        "UNSET": "",
        "EMPTY": of_variable(""),
    }
    assert "value" not in interpolator.consulted.values()


def test_plain_references_to_unset_variables_are_noted() -> None:
    interpolator = Interpolator(ENVIRON)

    interpolator.expand("$A ${B} ${C:-} ${D-} ${SET}")

    assert interpolator.unset == ["A", "B"]


@given(st.text(alphabet="${}:-?+AB_1 x", max_size=40))
def test_any_text_expands_or_is_refused(text: str) -> None:
    """No text raises anything but InterpolationError."""
    with suppress(InterpolationError):
        assert isinstance(Interpolator({"A": "1"}).expand(text), str)


@given(st.text(max_size=40))
def test_doubled_dollars_protect_any_text(text: str) -> None:
    """Writing $$ for $ is the inverse of expanding."""
    assert Interpolator({}).expand(text.replace("$", "$$")) == text
