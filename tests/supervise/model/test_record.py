from __future__ import annotations

import pytest

from supervise.model.record import Record


class Point(Record):
    x: int
    y: int = 0


class Named(Point):
    name: str = ""


class OtherPoint(Record):
    x: int
    y: int = 0


def test_fields_are_taken_by_position_and_by_keyword() -> None:
    assert Point(1, 2) == Point(x=1, y=2) == Point(1, y=2)


def test_missing_field_takes_its_default() -> None:
    assert Point(1).y == 0


def test_derived_record_takes_the_inherited_fields_first() -> None:
    assert Named(1, 2, "a").items() == [("x", 1), ("y", 2), ("name", "a")]


@pytest.mark.parametrize(
    ("arguments", "keywords", "complaint"),
    [
        ((), {}, "field 'x' is missing"),
        ((1, 2, 3), {}, "takes 2 fields"),
        ((1,), {"x": 1}, "field 'x' given twice"),
        ((1,), {"z": 1}, "no field 'z'"),
    ],
)
def test_wrong_arguments_are_refused_by_name(
    arguments: tuple[int, ...], keywords: dict[str, int], complaint: str
) -> None:
    with pytest.raises(TypeError, match=complaint):
        Point(*arguments, **keywords)


def test_field_cannot_be_set() -> None:
    point = Point(1)

    with pytest.raises(AttributeError, match="immutable"):
        point.x = 2  # type: ignore[misc]

    assert point.x == 1


def test_field_cannot_be_deleted() -> None:
    point = Point(1)

    with pytest.raises(AttributeError, match="immutable"):
        del point.x

    assert point.x == 1


def test_no_other_attribute_can_be_added() -> None:
    with pytest.raises(AttributeError):
        object.__setattr__(Point(1), "z", 1)


def test_equal_values_are_one_key() -> None:
    assert {Point(1): "found"}[Point(1, 0)] == "found"


def test_records_of_two_classes_are_never_equal() -> None:
    assert Point(1, 2) != OtherPoint(1, 2)


def test_replace_changes_a_copy() -> None:
    before = Point(1, 2)

    after = before.replace(y=3)

    assert (before, after) == (Point(1, 2), Point(1, 3))


def test_replace_refuses_an_unknown_field() -> None:
    with pytest.raises(TypeError, match="no field 'z'"):
        Point(1).replace(z=1)


def test_set_items_leaves_out_what_is_the_default() -> None:
    assert Point(0, 0).set_items() == [("x", 0)]


def test_repr_shows_every_field() -> None:
    assert repr(Named(1, name="a")) == "Named(x=1, y=0, name='a')"


def test_class_patterns_match_by_position() -> None:
    match Point(1, 2):
        case Point(x, y):
            found = (x, y)

    assert found == (1, 2)
