"""The functions of `--format` templates: Go's own that people use, and docker's."""

from __future__ import annotations

import json as _json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class TemplateError(ValueError):
    """A template that cannot be read or carried out; the sentence is Go's."""


def show(value: Any) -> str:
    """Return *value* as Go prints it (``%v``)."""
    if value is None:
        return "<no value>"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, dict):
        shown = (f"{key}:{show(value[key])}" for key in sorted(value) if not callable(value[key]))
        return f"map[{' '.join(shown)}]"
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(show, value))}]"
    if isinstance(value, float):
        return f"{value:g}" if value != int(value) else str(int(value))
    return str(value)


def to_json(value: Any) -> str:
    """Return *value* as docker's ``json`` gives it: compact, keys as they are, no methods."""
    return _json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if not callable(item)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def is_true(value: Any) -> bool:
    """Tell whether Go takes *value* for true: not zero, not empty, not nil."""
    return bool(value)


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if value is None:
            raise ValueError("index of untyped nil")
        if isinstance(value, dict):
            value = value.get(key, "")
        elif isinstance(key, int) and not isinstance(value, int | float):
            if not 0 <= key < len(value):
                raise ValueError(f"reflect: slice index out of range: {key}")
            value = value[key]
        else:
            raise TypeError(show(value))
    return value


def _slice(value: Any, *bounds: int) -> Any:
    return value[slice(*(bounds or (None,)))] if len(bounds) != 1 else value[bounds[0] :]


def _equal(value: Any, *others: Any) -> bool:
    if not others:
        raise ValueError("missing argument for comparison")
    return any(type(value) is type(other) and value == other for other in others)


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
    out = ""
    for number, value in enumerate(values):
        if number and not isinstance(value, str) and not isinstance(values[number - 1], str):
            out += " "
        out += show(value)
    return out


def _printf(form: str, *values: Any) -> str:
    """Go's verbs, those that templates have use for: %s %d %v %q %t %x %f, widths, %%."""
    out, rest = "", list(values)
    at = 0
    while at < len(form):
        if form[at] != "%":
            out += form[at]
            at += 1
            continue
        end = at + 1
        while end < len(form) and form[end] in "-+# 0123456789.":
            end += 1
        verb, flags = form[end : end + 1], form[at + 1 : end]
        at = end + 1
        if verb == "%":
            out += "%"
        elif not rest:
            out += f"%!{verb}(MISSING)"
        else:
            out += _verb(verb, flags, rest.pop(0))
    return out


def _verb(verb: str, flags: str, value: Any) -> str:
    if verb in ("s", "v"):
        return f"%{flags}s" % show(value)
    if verb == "q":
        return f"%{flags}s" % to_json(show(value))
    if verb == "t" and isinstance(value, bool):
        return show(value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = "dxXoc" if isinstance(value, int) else "feEgG"
    if verb and verb in fits and number:
        return str(f"%{flags}{verb}" % value)
    return f"%!{verb}({show(value)})"


def _println(*values: Any) -> str:
    return " ".join(map(show, values)) + "\n"


def _join(values: Any, separator: str) -> str:
    return separator.join(map(show, values or ()))


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else list(text)


def _title(text: str) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in text.split(" "))


def _pad(text: str, before: int, after: int) -> str:
    return " " * before + text + " " * after if text else text


def _truncate(text: str, length: int) -> str:
    return text[:length]


def _length(value: Any) -> int:
    if value is None or isinstance(value, int | float):
        raise ValueError(f"len of type {show(value)}")
    return len(value.encode()) if isinstance(value, str) else len(value)


FUNCTIONS: dict[str, Any] = {
    "and": _and,
    "eq": _equal,
    "ge": lambda a, b: a >= b,
    "gt": lambda a, b: a > b,
    "index": _index,
    "join": _join,
    "json": to_json,
    "le": lambda a, b: a <= b,
    "len": _length,
    "lower": lambda text: text.lower(),
    "lt": lambda a, b: a < b,
    "ne": lambda a, b: a != b,
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
    "upper": lambda text: text.upper(),
}
