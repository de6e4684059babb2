"""Records as plain JSON values, and back: what plans, specs and records on disk are made of.

Driven by the annotations of the classes, read once a class.  Understood are scalars, enums of
them, tuples, ``Mapping[str, …]``, other records, and ``… | None`` of these.  Fields that have their default are
left out, so a default must never change its meaning.
"""

from __future__ import annotations

import enum
import sys

from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    R = TypeVar("R", bound=Record)

_converters: dict[type, dict[str, Callable[[Any], Any] | None]] = {}  # class → field → converter


def to_plain(record: Record) -> dict[str, Any]:
    """Return *record* as JSON values, leaving out every field that has its default."""
    return {field: _plain(value) for field, value in record.set_items()}


def from_plain(cls: type[R], plain: Mapping[str, Any]) -> R:
    """Return the *cls* that `to_plain` turned into *plain*.

    Raises:
        ValueError: a field is missing, or is not one of *cls*: another version wrote it.
    """
    converters = _converters.get(cls) or _learn(cls)
    values = {}
    for field, value in plain.items():
        if field not in converters:
            raise ValueError(f"{cls.__name__} has no field '{field}': another version wrote it")
        convert = converters[field]
        values[field] = value if convert is None or value is None else convert(value)
    try:
        return cls(**values)
    except TypeError as error:
        raise ValueError(str(error)) from error


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Record):
        return to_plain(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, enum.Enum):
        return value.value
    return {key: _plain(item) for key, item in value.items()}


def _learn(cls: type[Record]) -> dict[str, Callable[[Any], Any] | None]:
    """Return, and keep, how each field of *cls* comes back from JSON; None: as it is."""
    found: dict[str, Callable[[Any], Any] | None] = {}
    for base in reversed(cls.__mro__):
        names = vars(sys.modules[base.__module__])
        for field, annotation in vars(base).get("__annotations__", {}).items():
            if field in cls._fields:
                found[field] = _converter(annotation, names)
    _converters[cls] = found
    return found


def _converter(annotation: str, names: dict[str, Any]) -> Callable[[Any], Any] | None:
    """Return the converter of one annotation, as written in a module with *names*."""
    annotation = annotation.strip().removesuffix("| None").strip()
    outer, _, inner = annotation.removesuffix("]").partition("[")
    if outer == "Mapping":
        return _mapping(_converter(inner.partition(",")[2], names))
    if outer == "tuple":
        items = _split(inner)
        if items[-1] == "...":
            return _sequence(_converter(items[0], names))
        return _row([_converter(item, names) for item in items])
    cls = names.get(annotation)
    if isinstance(cls, type) and issubclass(cls, Record):
        return lambda value: from_plain(cls, value)
    if isinstance(cls, type) and issubclass(cls, enum.Enum):
        return cls
    if annotation not in {"str", "int", "float", "bool", "Any"}:
        raise TypeError(f"'{annotation}' has no plain form")
    return None


def _split(inner: str) -> list[str]:
    """Split at the commas that are not inside brackets."""
    items, depth = [""], 0
    for letter in inner:
        depth += (letter == "[") - (letter == "]")
        if letter == "," and not depth:
            items.append("")
        else:
            items[-1] += letter
    return [item.strip() for item in items]


def _mapping(convert: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    if convert is None:
        return dict
    return lambda value: {key: convert(item) for key, item in value.items()}


def _sequence(convert: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    if convert is None:
        return tuple
    return lambda value: tuple(convert(item) for item in value)


def _row(converters: list[Callable[[Any], Any] | None]) -> Callable[[Any], Any]:
    return lambda value: tuple(
        item if convert is None else convert(item)
        for item, convert in zip(value, converters, strict=True)
    )
