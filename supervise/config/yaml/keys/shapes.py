"""Kinds made of other kinds: lists, mappings with known keys, mappings with free keys, choices."""

from __future__ import annotations

from supervise.config.yaml.decoder import INVALID, is_null
from supervise.config.yaml.keys.kinds import Kind, Maybe
from supervise.config.yaml.nodes import Mapping, Scalar, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Mapping as Map
    from typing import Any

    from supervise.config.yaml.decoder import Decoder
    from supervise.config.yaml.nodes import YamlNode


class ListOf(Kind):
    """A list, or with *single* one value that stands for a list of one.  A tuple."""

    nullable = True

    def __init__(self, item: Kind, label: str, *, single: bool = False) -> None:
        self.item = item
        self.label = label
        self.single = single

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return the tuple of what is at *node*."""
        if isinstance(node, Sequence):
            values = [
                self.item.decode(decoder, item, f"{path}[{index}]")
                for index, item in enumerate(node.items)
            ]
            return INVALID if INVALID in values else tuple(values)
        if self.single and isinstance(node, Scalar) and not is_null(node):
            value = self.item.decode(decoder, node, path)
            return value if value is INVALID else (value,)
        return self.refuse(decoder, node, path)

    def encode(self, value: Any) -> Any:
        """Return the list."""
        return [self.item.encode(item) for item in value]

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        array = {"type": "array", "items": self.item.json_schema()}
        forms: list[dict[str, Any]] = [array, {"type": "null"}]
        if self.single:
            forms.insert(0, self.item.json_schema())
        return {"anyOf": forms}


class Table(dict[str, "Any"]):
    """What a mapping decoded to: key → value, without keys that are invalid or not given."""

    def __init__(self, node: Mapping) -> None:
        super().__init__()
        self.node = node

    def place(self, key: str) -> YamlNode:
        """Return the node of *key*'s value, or of the whole mapping when it is not given."""
        pair = self.node.pairs.get(key)
        return pair[1] if pair else self.node

    def tried(self, key: str) -> bool:
        """Return whether the file gives *key* a value, valid or not."""
        pair = self.node.pairs.get(key)
        return pair is not None and not is_null(pair[1])


class Key:
    """One key of a mapping, declared once: what it is called, holds, means and defaults to."""

    __slots__ = ("default", "doc", "example", "kind", "name")

    def __init__(self, name: str, kind: Kind, doc: str, example: str, default: str = "") -> None:
        self.name = name
        self.kind = kind
        self.doc = doc
        self.example = example  # YAML, as it stands behind the key
        self.default = default  # for readers; "" is none


class Fields(Kind):
    """A mapping with known keys.

    *refused* names keys that are understood and not to be had here: name → (what, hint).
    *build* turns the Table into the final value; it reports through the decoder.
    """

    nullable = True

    def __init__(
        self,
        label: str,
        keys: Iterable[Key],
        *,
        refused: Map[str, tuple[str, str]] | None = None,
        build: Callable[[Decoder, Table, str], Any] | None = None,
        encode: Callable[[Any], dict[str, Any]] | None = None,
        required: tuple[str, ...] = (),
    ) -> None:
        self.label = label
        self.keys = {key.name: key for key in keys}
        self.refused = refused or {}
        self.build = build
        self.encoder = encode
        self.required = required

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return the Table at *node*, or what *build* makes of it."""
        if not isinstance(node, Mapping):
            return self.refuse(decoder, node, path)
        table = Table(node)
        prefix = f"{path}." if path else ""
        complete = True
        for name, (key_node, value_node) in node.pairs.items():
            key = self.keys.get(name)
            if key is None:
                complete = self._unknown(decoder, name, key_node, path) and complete
                continue
            if key.kind.nullable and is_null(value_node):
                continue
            before = len(decoder.problems)
            value = key.kind.decode(decoder, value_node, prefix + name)
            decoder.problems.add_hints(before, f"as in {name}: {key.example}")
            if value is INVALID:
                complete = False
            else:
                table[name] = value
        for name in self.required:
            if name not in node.pairs:
                hint = f"as in {name}: {self.keys[name].example}"
                decoder.problem(node, path, f"needs the key '{name}'", hint)
                complete = False
        if self.build is None:
            return table
        return self.build(decoder, table, path) if complete else INVALID

    def _unknown(self, decoder: Decoder, name: str, key_node: YamlNode, path: str) -> bool:
        if name.startswith("x-"):
            return True
        full = f"{path}.{name}" if path else name
        if name in self.refused:
            what, hint = self.refused[name]
        else:
            what = f"unknown key '{name[:60]}'"
            hint = decoder.problems.suggest(name, self.keys)
            hint = hint or f"known here: {', '.join(sorted(self.keys))}"
        decoder.problem(key_node, full, what, hint)
        return False

    def encode(self, value: Any) -> Any:
        """Return the mapping, every key written out."""
        if self.encoder is not None:
            return self.encoder(value)
        return {
            name: key.kind.encode(getattr(value, name))
            for name, key in self.keys.items()
            if getattr(value, name) is not None or isinstance(key.kind, Maybe)
        }

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        schema: dict[str, Any] = {
            "type": ["object", "null"],
            "properties": {name: _property(key) for name, key in self.keys.items()},
            "patternProperties": {"^x-": {}},
            "additionalProperties": False,
        }
        if self.required:
            schema["type"] = "object"
            schema["required"] = list(self.required)
        return schema


def _property(key: Key) -> dict[str, Any]:
    schema = {"description": key.doc, **key.kind.json_schema()}
    if key.kind.nullable and schema.get("type") == "object":
        schema["type"] = ["object", "null"]
    return schema


class MapOf(Kind):
    """A mapping with free keys; a Table."""

    nullable = True

    def __init__(self, value: Kind, label: str, *, null_is: Callable[[], Any] | None = None):
        self.value = value
        self.label = label
        self.null_is = null_is  # what a key without a value stands for

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return the Table at *node*; entries that are invalid are left out."""
        if not isinstance(node, Mapping):
            return self.refuse(decoder, node, path)
        table = Table(node)
        for name, (_, value_node) in node.pairs.items():
            if self.null_is is not None and is_null(value_node):
                table[name] = self.null_is()
                continue
            value = self.value.decode(decoder, value_node, f"{path}.{name}")
            if value is not INVALID:
                table[name] = value
        return table

    def encode(self, value: Any) -> Any:
        """Return the mapping."""
        return {name: self.value.encode(item) for name, item in value.items()}

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        return {"type": ["object", "null"], "additionalProperties": self.value.json_schema()}


class OneOf(Kind):
    """One of several forms, told apart by the shape of the node: scalar, list, mapping."""

    def __init__(
        self,
        label: str,
        *,
        scalar: Kind | None = None,
        sequence: Kind | None = None,
        mapping: Kind | None = None,
    ) -> None:
        self.label = label
        self.scalar = scalar
        self.sequence = sequence
        self.mapping = mapping
        forms = [kind for kind in (scalar, sequence, mapping) if kind]
        self.forms = forms
        self.nullable = any(kind.nullable for kind in forms)

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return what the form that fits *node* decodes to."""
        kind = self.mapping
        if isinstance(node, Scalar):
            kind = self.scalar
        elif isinstance(node, Sequence):
            kind = self.sequence
        if kind is None:
            return self.refuse(decoder, node, path)
        return kind.decode(decoder, node, path)

    def encode(self, value: Any) -> Any:
        """Return the value as the last form that is declared writes it."""
        return self.forms[-1].encode(value)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        return {"anyOf": [kind.json_schema() for kind in self.forms]}
