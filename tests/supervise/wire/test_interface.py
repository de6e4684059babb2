"""Checking parameters against declared types."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.wire.interface import (
    EnumType,
    Error,
    Field,
    Interface,
    InvalidParameterError,
    Method,
    Struct,
)

COLOUR = EnumType("Colour", "A colour.", ("red", "green"))
POINT = Struct("Point", "A point.", (Field("x", "float"), Field("colour", "?Colour", "or none")))
DRAW = Method(
    "Draw",
    "Draw points.",
    (Field("points", "[]Point"), Field("names", "?[string]int"), Field("fast", "?bool")),
    (Field("count", "int"),),
)
INTERFACE = Interface(
    "com.example.draw",
    "Draws.",
    types=(COLOUR, POINT),
    methods=(DRAW,),
    errors=(Error("NoInk", "There is none."),),
)


def check(**parameters: Any) -> dict[str, Any]:
    return INTERFACE.check_call(DRAW, parameters)


def test_absent_optional_parameters_are_there_as_none() -> None:
    assert check(points=[]) == {"points": [], "names": None, "fast": None}


def test_integers_are_fine_where_a_float_is_declared() -> None:
    found = check(points=[{"x": 1, "colour": "red"}])["points"]

    assert found == [{"x": 1.0, "colour": "red"}]
    assert isinstance(found[0]["x"], float)


@pytest.mark.parametrize(
    ("parameters", "blamed"),
    [
        ({}, "points"),
        ({"points": None}, "points"),
        ({"points": {}}, "points"),
        ({"points": [], "speed": 1}, "speed"),
        ({"points": [], "fast": 1}, "fast"),
        ({"points": [], "names": {"a": "b"}}, "names"),
        ({"points": [], "names": {"a": True}}, "names"),
        ({"points": [], "names": {"a": 2**64}}, "names"),
        ({"points": [{"x": 1}, {"x": True}]}, "points[1].x"),
        ({"points": [{"x": float("inf")}]}, "points[0].x"),
        ({"points": [{"x": 1, "colour": "blue"}]}, "points[0].colour"),
        ({"points": [{"x": 1, "colour": []}]}, "points[0].colour"),
        ({"points": [{"x": 1, "y": 2}]}, "points[0].y"),
        ({"points": ["x"]}, "points[0]"),
    ],
)
def test_what_is_wrong_is_named(parameters: dict[str, Any], blamed: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        check(**parameters)

    assert caught.value.parameter == blamed


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "colour", "y"]), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["points", "names", "fast", "z"]), JSON))
def test_no_json_raises_anything_but_invalid_parameter(parameters: dict[str, Any]) -> None:
    try:
        found = check(**parameters)
    except InvalidParameterError as error:
        found = {"blamed": error.parameter}

    assert set(found) == {"points", "names", "fast"} or found["blamed"]


def test_the_description_documents_everything() -> None:
    assert INTERFACE.describe() == (
        "# Draws.\n"
        "interface com.example.draw\n"
        "\n"
        "# A colour.\n"
        "type Colour (red, green)\n"
        "\n"
        "# A point.\n"
        "type Point (\n"
        "  x: float,\n"
        "  # or none\n"
        "  colour: ?Colour\n"
        ")\n"
        "\n"
        "# Draw points.\n"
        "# For readers.\n"
        "method Draw(\n"
        "  points: []Point,\n"
        "  names: ?[string]int,\n"
        "  fast: ?bool\n"
        ") -> (\n"
        "  count: int\n"
        ")\n"
        "\n"
        "# There is none.\n"
        "error NoInk ()\n"
    )
