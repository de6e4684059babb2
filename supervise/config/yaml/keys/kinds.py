"""Kinds of single values: small declarative types from which `schema` is built.

A kind knows four things: how to decode a node (reporting every problem in it), how to write a
value back, what JSON Schema says of it, and what a person calls it.  msgspec would do three of
the four, but costs 39 ms of PID 1's start, stops at the first problem and knows no lines.

A kind's ``decode`` returns the value, or INVALID once it has reported why there is none.
"""

from __future__ import annotations

from supervise.config.yaml.decoder import INVALID, describe, is_null
from supervise.config.yaml.nodes import Scalar
from supervise.model.numerals import whole
from supervise.model.quantities import format_duration, format_size, parse_duration, parse_size
from supervise.model.signals import SIGNALS, signal_name, signal_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    import enum
    from collections.abc import Mapping as Map
    from typing import Any

    from supervise.config.yaml.decoder import Decoder
    from supervise.config.yaml.nodes import YamlNode

# Any kind but text may come out of a variable: the schema must let "${PORT:-80}" pass.
VARIABLE = {"type": "string", "pattern": "\\$"}


class Kind:
    """Any value at all; the base of all kinds."""

    label = "any value"
    nullable = False  # an empty value means: not given

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return the value at *node*, or INVALID after reporting why there is none."""
        raise NotImplementedError

    def encode(self, value: Any) -> Any:
        """Return *value* as YAML values that decode to it."""
        return value

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        return {}

    def refuse(self, decoder: Decoder, node: YamlNode, path: str, hint: str = "") -> Any:
        """Report that *node* is no value of this kind; returns INVALID."""
        found = describe(node, decoder.interpolator)
        decoder.problem(node, path, f"must be {self.label}, not {found}", hint)
        return INVALID


class TextKind(Kind):
    """A string.  Numbers and booleans are taken as written: ``PGPORT: 5432`` is "5432"."""

    label = "text"

    def __init__(self, label: str = "text", *, empty: bool = False) -> None:
        self.label = label
        self.empty = empty

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return the text at *node*."""
        if not isinstance(node, Scalar) or is_null(node):
            return self.refuse(decoder, node, path)
        text = decoder.text(node, path)
        if text is None:
            return INVALID
        if not text and not self.empty:
            return self.refuse(decoder, node, path)
        return text

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        return {"type": ["string", "number", "boolean"]}


class Bool(Kind):
    """True or false, and no other words: ``yes`` and ``on`` are strings in YAML 1.2."""

    label = "true or false"

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return the boolean at *node*."""
        if isinstance(node, Scalar):
            value = decoder.scalar(node, path)
            if isinstance(value, bool) or value is INVALID:
                return value
            meant = {"yes": "true", "on": "true", "no": "false", "off": "false"}
            word = node.text.lower()
            if word in meant:
                return self.refuse(decoder, node, path, f"write {meant[word]}")
            if word in {"true", "false"}:
                return self.refuse(decoder, node, path, "leave the quotes out")
        return self.refuse(decoder, node, path)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        return {"anyOf": [{"type": "boolean"}, VARIABLE]}


class Number(Kind):
    """A number within bounds; *whole* allows no fraction."""

    def __init__(self, low: float, high: float | None = None, *, whole: bool = True) -> None:
        self.low = low
        self.high = high
        self.whole = whole
        noun = "a whole number" if whole else "a number"
        bounds = f"from {low} to {high}" if high is not None else f"of at least {low}"
        self.label = f"{noun} {bounds}"

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return the number at *node*: int if whole, else float."""
        if not isinstance(node, Scalar):
            return self.refuse(decoder, node, path)
        value = decoder.scalar(node, path)
        if value is INVALID:
            return INVALID
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            quoted = not node.plain and whole(node.text.strip()) is not None
            return self.refuse(decoder, node, path, "leave the quotes out" if quoted else "")
        if not self.low <= value or (self.high is not None and value > self.high):
            return self.refuse(decoder, node, path)
        return value if self.whole else float(value)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        schema: dict[str, Any] = {"type": "integer" if self.whole else "number"}
        schema["minimum"] = self.low
        if self.high is not None:
            schema["maximum"] = self.high
        return {"anyOf": [schema, VARIABLE]}


class Duration(Kind):
    """Seconds as float, from text such as ``1m30s``."""

    def __init__(self, *, zero: bool = True) -> None:
        self.zero = zero
        self.label = "a duration such as 10s" if zero else "a duration above zero such as 10s"

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return the seconds at *node*."""
        if not isinstance(node, Scalar):
            return self.refuse(decoder, node, path)
        text = decoder.text(node, path)
        if text is None:
            return INVALID
        try:
            seconds = parse_duration(text)
        except ValueError as error:
            return self.refuse(decoder, node, path, str(error))
        if seconds == 0 and not self.zero:
            return self.refuse(decoder, node, path)
        return seconds

    def encode(self, value: Any) -> Any:
        """Return ``1m30s`` for 90.0."""
        return format_duration(value)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        pattern = r"^\s*([0-9]*\.?[0-9]+(us|ms|s|m|h|d))+\s*$|^0$|\$"
        return {"anyOf": [{"type": "string", "pattern": pattern}, {"const": 0}]}


class Size(Kind):
    """Bytes, from text such as ``10m`` or a plain number."""

    label = "a size such as 10m"

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return the bytes at *node*."""
        if not isinstance(node, Scalar):
            return self.refuse(decoder, node, path)
        text = decoder.text(node, path)
        if text is None:
            return INVALID
        try:
            size_bytes = parse_size(text)
        except ValueError as error:
            return self.refuse(decoder, node, path, str(error))
        return size_bytes or self.refuse(decoder, node, path)

    def encode(self, value: Any) -> Any:
        """Return ``10m`` for 10485760."""
        return format_size(value)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        pattern = r"^\s*[0-9]*\.?[0-9]+\s*[kKmMgGtT]?[iI]?[bB]?\s*$|\$"
        return {
            "anyOf": [{"type": "string", "pattern": pattern}, {"type": "integer", "minimum": 1}]
        }


class Choice(Kind):
    """One word of an enum of the model."""

    def __init__(self, cls: type[enum.Enum], refused: Map[str, tuple[str, str]] | None = None):
        self.cls = cls
        self.words = [str(member.value) for member in cls]
        self.refused = refused or {}
        self.label = f"one of {', '.join(self.words)}"
        self.members = {str(member.value): member for member in cls}

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return the member of the enum at *node*."""
        if not isinstance(node, Scalar):
            return self.refuse(decoder, node, path)
        text = decoder.text(node, path)
        if text is None:
            return INVALID
        # `stdin: null` is YAML's null, and its text is the word.
        if text in self.members:
            return self.members[text]
        if text in self.refused:
            what, hint = self.refused[text]
            decoder.problem(node, path, what, hint)
            return INVALID
        return self.refuse(decoder, node, path, decoder.problems.suggest(text, self.words))

    def encode(self, value: Any) -> Any:
        """Return the word."""
        return value.value

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        words: list[Any] = [*self.words, None] if "null" in self.words else list(self.words)
        return {"anyOf": [{"enum": words}, VARIABLE]}


class Signal(Kind):
    """A signal's number, from ``SIGTERM``, ``TERM``, ``15`` or ``SIGRTMIN+3``."""

    label = "a signal"

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return the number of the signal at *node*."""
        if not isinstance(node, Scalar):
            return self.refuse(decoder, node, path)
        text = decoder.text(node, path)
        if text is None:
            return INVALID
        number = signal_number(text)
        if number is None:
            hint = decoder.problems.suggest(text, [*SIGNALS, *(name[3:] for name in SIGNALS)])
            decoder.problem(node, path, f"'{text[:40]}' is not a signal", hint)
            return INVALID
        return number

    def encode(self, value: Any) -> Any:
        """Return ``SIGTERM`` for 15."""
        name = signal_name(value)
        return value if name.startswith("signal ") else name

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        return {
            "anyOf": [
                {"type": "string", "pattern": "^(SIG)?[A-Za-z][A-Za-z0-9]*([+-][0-9]+)?$|\\$"},
                {"type": "integer", "minimum": 1, "maximum": 64},
            ]
        }


class Maybe(Kind):
    """Another kind, or the word ``none``, which is None."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.label = f"{kind.label}, or none"

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return the value at *node*, None for the word."""
        if isinstance(node, Scalar) and node.text == "none":
            return None
        return self.kind.decode(decoder, node, path)

    def encode(self, value: Any) -> Any:
        """Return the value, or the word."""
        return "none" if value is None else self.kind.encode(value)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        return {"anyOf": [{"const": "none"}, self.kind.json_schema()]}
