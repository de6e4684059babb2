"""A Varlink interface as values: its description as text, and the check of parameters against it.

Type expressions are Varlink's own: ``bool int float string object``, the name of a type of the
interface, and in front of them ``?`` (may be null or absent), ``[]`` (array), ``[string]`` (map).
https://varlink.org/Interface-Definition
"""

from __future__ import annotations

from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

_LINE = 96  # columns of a comment in the description


class InvalidParameterError(Exception):
    """A parameter is missing, unknown or of the wrong type; *parameter* says which."""

    def __init__(self, parameter: str) -> None:
        super().__init__(parameter)
        self.parameter = parameter


class Field(Record):
    """A named value with its type expression."""

    name: str
    type: str
    doc: str = ""
    verbatim: bool = False  # a text that may hold control characters: who shows it filters them


class Struct(Record):
    """A type of the interface: an object with these fields."""

    name: str
    doc: str
    fields: tuple[Field, ...]


class EnumType(Record):
    """A type of the interface: one of these words."""

    name: str
    doc: str
    values: tuple[str, ...]


class Method(Record):
    """One method."""

    name: str
    doc: str
    parameters: tuple[Field, ...] = ()
    returns: tuple[Field, ...] = ()
    streams: bool = False  # takes `more`
    changes: bool = False  # needs an operator; the others are for readers too


class Error(Record):
    """One error a method may answer with."""

    name: str
    doc: str
    fields: tuple[Field, ...] = ()


class Interface:
    """A named collection of types, methods and errors, each found by its name."""

    def __init__(
        self,
        name: str,
        doc: str,
        *,
        types: tuple[Struct | EnumType, ...] = (),
        methods: tuple[Method, ...] = (),
        errors: tuple[Error, ...] = (),
    ) -> None:
        self.name = name
        self.doc = doc
        self.types = {member.name: member for member in types}
        self.methods = {member.name: member for member in methods}
        self.errors = {member.name: member for member in errors}

    def describe(self) -> str:
        """Return the interface in Varlink's definition language, documented."""
        lines = [*_comment(self.doc), f"interface {self.name}"]
        for type_ in self.types.values():
            lines += ["", *_comment(type_.doc)]
            if isinstance(type_, EnumType):
                lines.append(f"type {type_.name} ({', '.join(type_.values)})")
            else:
                lines += _block(f"type {type_.name} ", type_.fields)
        for method in self.methods.values():
            lines += ["", *_comment(method.doc), *_comment(_how_to_call(method))]
            lines += _block(f"method {method.name}", method.parameters)
            lines[-1] += " -> "
            lines[-1:] = _block(lines[-1], method.returns)
        for error in self.errors.values():
            lines += ["", *_comment(error.doc), *_block(f"error {error.name} ", error.fields)]
        return "\n".join(lines) + "\n"

    def check_call(self, method: Method, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return *parameters* with every absent optional one as None.

        Raises:
            InvalidParameterError: one is missing, unknown, or not of its type.
        """
        return self._check_fields(method.parameters, parameters, "")

    def _check_fields(
        self, fields: tuple[Field, ...], values: Mapping[str, Any], path: str
    ) -> dict[str, Any]:
        known = {field.name for field in fields}
        for name in values:
            if name not in known:
                raise InvalidParameterError(path + name)
        return {
            field.name: self._check(field.type, values.get(field.name), path + field.name)
            for field in fields
        }

    def _check(self, type_: str, value: Any, path: str) -> Any:
        if type_.startswith("?"):
            return None if value is None else self._check(type_[1:], value, path)
        if type_.startswith("[]"):
            _require(isinstance(value, list), path)
            return [self._check(type_[2:], item, f"{path}[{i}]") for i, item in enumerate(value)]
        if type_.startswith("[string]"):
            _require(isinstance(value, dict), path)
            return {key: self._check(type_[8:], item, path) for key, item in value.items()}
        if type_ in self.types:
            named = self.types[type_]
            if isinstance(named, EnumType):
                _require(value in named.values, path)
                return value
            _require(isinstance(value, dict), path)
            return self._check_fields(named.fields, value, f"{path}.")
        return check_simple(type_, value, path)


def check_simple(type_: str, value: Any, path: str) -> Any:
    """Return *value* if it is a ``bool int float string object`` as *type_* says.

    Raises:
        InvalidParameterError: it is not; *path* names it.
    """
    if type_ == "float":
        _require(isinstance(value, int | float) and not isinstance(value, bool), path)
        _require(-1e15 < value < 1e15, path)  # neither infinite nor beyond what a clock can take
        return float(value)
    if type_ == "int":
        _require(isinstance(value, int) and not isinstance(value, bool), path)
        _require(-(2**63) <= value < 2**63, path)
        return value
    _require(isinstance(value, {"bool": bool, "string": str, "object": dict}[type_]), path)
    return value


def _require(condition: bool, path: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not condition:
        raise InvalidParameterError(path)


def _how_to_call(method: Method) -> str:
    notes = ["With `more` it streams."] if method.streams else []
    return " ".join([*notes, "For operators." if method.changes else "For readers."])


def _block(head: str, fields: tuple[Field, ...]) -> list[str]:
    """Return ``head(…)`` with one documented field a line."""
    if not fields:
        return [f"{head}()"]
    lines = [f"{head}("]
    for i, field in enumerate(fields, start=1):
        lines += [f"  {line}" for line in _comment(field.doc)]
        lines.append(f"  {field.name}: {field.type}{',' if i < len(fields) else ''}")
    return [*lines, ")"]


def _comment(text: str) -> Iterator[str]:
    line = "#"
    for word in text.split():
        if len(line) + len(word) >= _LINE:
            yield line
            line = "#"
        line += f" {word}"
    if line != "#":
        yield line
