"""Records as plain JSON values, and back: what plans, specs and records on disk are made of.

Driven by the annotations of the classes, read once a class.  Understood are scalars, enums of
them, tuples, ``Mapping[str, …]``, other records, and ``… | None`` of these.  Fields that
have their default are left out, so a default must never change its meaning.
"""

from __future__ import annotations

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
        ValueError: a field is missing, has a value of another kind, or is not one of *cls*:
            another version wrote it.
    """
    if not isinstance(plain, dict):
        raise ValueError(f"{cls.__name__} is not an object")  # noqa: TRY004 - of a file's text
    converters = _converters.get(cls) or _learn(cls)
    values = {}
    for field, value in plain.items():
        if field not in converters:
            raise ValueError(f"{cls.__name__} has no field '{field}': another version wrote it")
        convert = converters[field]
        try:
            values[field] = value if convert is None else convert(value)
        except _WrongKindError as error:
            raise ValueError(f"{cls.__name__} has '{field}' as {error}") from error
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
    if _is_enum(type(value)):
        return value.value
    return {key: _plain(item) for key, item in value.items()}


def _is_enum(cls: type) -> bool:
    """Return whether *cls* is an enum; a caller with one has paid the 6 ms of `enum` already."""
    module = sys.modules.get("enum")
    return module is not None and issubclass(cls, module.Enum)


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


class _WrongKindError(ValueError):
    """A value is not of the kind that its field has."""


def _converter(annotation: str, names: dict[str, Any]) -> Callable[[Any], Any] | None:
    """Return the converter of one annotation, as written in a module with *names*."""
    text = annotation.strip()
    annotation = text.removesuffix("| None").strip()
    convert = _converter_of(annotation, names)
    if convert is None or annotation == text:
        return convert
    return lambda value: None if value is None else convert(value)


def _converter_of(annotation: str, names: dict[str, Any]) -> Callable[[Any], Any] | None:
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
    if isinstance(cls, type) and _is_enum(cls):
        return cls
    if annotation not in _SCALARS:
        raise TypeError(f"'{annotation}' has no plain form")
    return _SCALARS[annotation]


def _text(value: Any) -> str:
    if type(value) is not str:
        raise _WrongKindError(_shown(value))
    return value


def _truth(value: Any) -> bool:
    if type(value) is not bool:
        raise _WrongKindError(_shown(value))
    return value


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise _WrongKindError(_shown(value))
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or value - value != 0:  # no infinity, no NaN
        raise _WrongKindError(_shown(value))
    number: float = value
    return number


_SCALARS: dict[str, Callable[[Any], Any] | None] = {
    "str": _text,
    "bool": _truth,
    "int": _whole,
    "float": _number,
    "Any": None,
}


def _shown(value: Any) -> str:
    """Return the value for a message: never all of a long one."""
    kinds = {dict: "an object", list: "a list", type(None): "null"}
    return kinds.get(type(value)) or f"{value!r:.40}"


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
    def build(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise _WrongKindError(_shown(value))
        if convert is None:
            return value
        return {key: convert(item) for key, item in value.items()}

    return build


def _sequence(convert: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    def build(value: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            raise _WrongKindError(_shown(value))
        return tuple(value) if convert is None else tuple([convert(item) for item in value])

    return build


def _row(converters: list[Callable[[Any], Any] | None]) -> Callable[[Any], Any]:
    def build(value: Any) -> tuple[Any, ...]:
        if type(value) is not list or len(value) != len(converters):
            raise _WrongKindError(_shown(value))
        return tuple(
            item if convert is None else convert(item)
            for item, convert in zip(value, converters, strict=True)
        )

    return build
