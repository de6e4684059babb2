"""The functions of `--format` templates: Go's own that people use, and docker's."""

from __future__ import annotations

import json as _json

from runtime.language.printf import (
    LONGEST,
    TooLongError,
    printf,
    show,
)
from runtime.language.printf import type_name as kind
from runtime.model import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_MOST = 1_000_000  # parts that `split` may make


class TemplateError(ValueError):
    """A template that cannot be read or carried out; the sentence is Go's."""


class CallError(ValueError):
    """An argument that a function cannot use; the sentence is Go's."""


def to_json(value: Any) -> str:
    """Return *value* as docker's ``json`` gives it: compact, keys as they are, no methods."""
    text = _json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False)
    return jsontext.escaped(text)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if not callable(item)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def is_true(value: Any) -> bool:
    """Return whether Go takes *value* for true: not zero, not empty, not nil."""
    return bool(value)


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if value is None:
            raise CallError("index of untyped nil")
        if isinstance(value, dict):
            if not isinstance(key, str):
                raise CallError(f"value has type {kind(key)}; should be string")
            value = value.get(key, "")
        elif isinstance(value, str | list | tuple):
            if isinstance(key, bool) or not isinstance(key, int):
                raise CallError(f"cannot index slice/array with type {kind(key)}")
            if not 0 <= key < len(value):
                raise CallError(f"index out of range: {key}")
            value = value[key]
        else:
            raise CallError(f"can't index item of type {kind(value)}")
    return value


def _slice(value: Any, *bounds: Any) -> Any:
    if not isinstance(value, str | list | tuple):
        raise CallError(f"can't slice item of type {kind(value)}")
    for bound in bounds:
        if isinstance(bound, bool) or not isinstance(bound, int):
            raise CallError(f"cannot index slice/array with type {kind(bound)}")
        if not 0 <= bound <= len(value):
            raise CallError(f"index out of range: {bound}")
    start, end = (*bounds, len(value))[:2] if bounds else (0, len(value))
    if len(bounds) > 2:
        raise CallError(f"too many slice indexes: {len(bounds)}")
    if start > end:
        raise CallError(f"invalid slice index: {start} > {end}")
    return value[start:end]


def _equal(value: Any, *others: Any) -> bool:
    if not others:
        raise CallError("missing argument for comparison")
    return any(type(value) is type(other) and value == other for other in others)


def _ordered(name: str, value: Any, other: Any) -> int:
    """Return -1, 0 or 1, as *value* is to *other*."""
    if type(value) is not type(other):
        raise CallError("incompatible types for comparison")
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        raise CallError(f"invalid type for comparison: {name} of {kind(value)}")
    return 1 if value > other else -1 if value < other else 0


def _and(first: Any, *rest: Any) -> Any:
    for value in rest:
        if not is_true(first):
            return first
        first = value
    return first


def _or(first: Any, *rest: Any) -> Any:
    for value in rest:
        if is_true(first):
            return first
        first = value
    return first


def _print(*values: Any) -> str:
    """Go's fmt.Sprint: a space between two that are both no strings."""
    out: list[str] = []
    for number, value in enumerate(values):
        if number and not isinstance(value, str) and not isinstance(values[number - 1], str):
            out.append(" ")
        out.append(show(value))
    return _joined(out)


def _printf(form: Any, *values: Any) -> str:
    return printf(_string(form), *values)


def _println(*values: Any) -> str:
    return _joined(list(map(show, values)), " ") + "\n"


def _joined(texts: list[str], separator: str = "") -> str:
    if sum(map(len, texts)) + len(separator) * len(texts) > LONGEST:
        raise TooLongError
    return separator.join(texts)


def _join(values: Any, separator: Any) -> str:
    if not isinstance(values, list | tuple) and values is not None:
        raise CallError(f"can't handle {show(values)} for arg of type []string")
    return _joined(list(map(show, values or ())), _string(separator))


def _split(text: Any, separator: Any) -> list[str]:
    text, separator = _string(text), _string(separator)
    if (text.count(separator) if separator else len(text)) > _MOST:
        raise TooLongError
    return text.split(separator) if separator else list(text)


def _title(text: Any) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in _string(text).split(" "))


def _pad(text: Any, before: Any, after: Any) -> str:
    shown, before, after = _string(text), _integer(before), _integer(after)
    if not shown:
        return ""
    if before < 0 or after < 0:
        raise CallError("strings: negative Repeat count")
    if len(shown) + before + after > LONGEST:
        raise TooLongError
    return " " * int(before) + shown + " " * int(after)


def _truncate(text: Any, length: Any) -> str:
    if _integer(length) < 0:
        raise CallError(f"slice bounds out of range [:{length}]")
    whole = _string(text)
    return whole[:length]


def _length(value: Any) -> int:
    if value is None or isinstance(value, int | float):
        raise CallError(f"len of type {kind(value)}")
    return len(value.encode(errors="replace")) if isinstance(value, str) else len(value)


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise CallError(f"expected string; found {show(value)}")
    return value


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise CallError(f"expected integer; found {show(value)}")
    return value


FUNCTIONS: dict[str, Any] = {
    "and": _and,
    "eq": _equal,
    "ge": lambda a, b: _ordered("ge", a, b) >= 0,
    "gt": lambda a, b: _ordered("gt", a, b) > 0,
    "index": _index,
    "join": _join,
    "json": to_json,
    "le": lambda a, b: _ordered("le", a, b) <= 0,
    "len": _length,
    "lower": lambda text: _string(text).lower(),
    "lt": lambda a, b: _ordered("lt", a, b) < 0,
    "ne": lambda a, b: not _equal(a, b),
    "not": lambda value: not is_true(value),
    "or": _or,
    "pad": _pad,
    "print": _print,
    "printf": _printf,
    "println": _println,
    "slice": _slice,
    "split": _split,
    "title": _title,
    "truncate": _truncate,
    "upper": lambda text: _string(text).upper(),
}
