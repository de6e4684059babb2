"""YAML text → a tree of nodes that know where they stand.

The parser's events are composed here, not by PyYAML, because a configuration file may be
hostile or a mistake: nesting has a limit and no recursion, aliases are counted before they are
followed (a "billion laughs" file is refused at the alias that crosses the limit), and a
duplicate key, a foreign tag or a second document is a problem with a place.

Anchors, aliases and merge keys work.  What scalars mean is not decided here.
"""

from __future__ import annotations

from supervise.config.yaml import libyaml
from supervise.model.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Report = Callable[[Problem], None]

MAX_DEPTH = 100
_TOO_DEEP = (f"nested deeper than {MAX_DEPTH} levels", "no key of this file goes deeper than 6")
MAX_NODES = 1_000_000  # aliases followed; about 300 bytes each

_CORE_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS = {f"{_CORE_TAG}{name}" for name in ("str", "int", "float", "bool", "null")}
_HINTS = (
    ("mapping values are not allowed", "quote a value that contains ': ', or mend the indentation"),
    ("did not find expected key", "check the indentation of this line and of those above"),
    ("expected <block end>", "check the indentation of this line and of those above"),
    ("could not find expected ':'", "a key is followed by a colon and a space"),
    ("did not find expected '-'", "check the indentation of this line and of those above"),
    ("did not find expected ',' or", "a bracket or a comma is missing"),
    ("expected ',' or", "a bracket or a comma is missing"),
    ("unexpected end of stream", "a closing quote is missing"),
    ("undefined alias", "an anchor, &name, comes before its aliases"),
)


class YamlNode:
    """A value and its place; line and column are counted from 1."""

    __slots__ = ("column", "file", "line", "weight")

    def __init__(self, file: str, mark: Any) -> None:
        self.file = file
        self.line: int = mark.line + 1
        self.column: int = mark.column + 1
        self.weight = 1  # nodes below and including this one, aliases followed


class Scalar(YamlNode):
    """Text, and whether it was written plain: only then does ``5`` mean a number."""

    __slots__ = ("plain", "text")

    def __init__(self, file: str, mark: Any, text: str, *, plain: bool) -> None:
        super().__init__(file, mark)
        self.text = text
        self.plain = plain


class Sequence(YamlNode):
    """A list."""

    __slots__ = ("items",)

    def __init__(self, file: str, mark: Any) -> None:
        super().__init__(file, mark)
        self.items: list[YamlNode] = []


class Mapping(YamlNode):
    """A mapping: key text → (key, value), in the order of the file, merged keys last."""

    __slots__ = ("merges", "pairs")

    def __init__(self, file: str, mark: Any) -> None:
        super().__init__(file, mark)
        self.pairs: dict[str, tuple[YamlNode, YamlNode]] = {}
        self.merges: list[YamlNode] = []


class _UnreadableError(Exception):
    """The file cannot be read any further; the reason has been reported."""


def compose(text: str, file: str, report: Report) -> YamlNode | None:
    """Return the tree of the one document in *text*, None if there is none to be had.

    Problems go to *report*; the tree holds whatever could be read before and around them.
    """
    return _Composer(text, file, report).compose()


class _Composer:
    def __init__(self, text: str, file: str, report: Report) -> None:
        self.text = text
        self.file = file
        self.report = report
        self.anchors: dict[str, YamlNode] = {}
        self.open: list[YamlNode] = []  # collections begun and not ended, outermost first
        self.keys: list[
            YamlNode | None
        ] = []  # of each open mapping: the key that waits for its value
        self.total = 0
        self.root: YamlNode | None = None

    def compose(self) -> YamlNode | None:
        try:
            yaml = libyaml.backend()
        except ModuleNotFoundError:
            what = "cannot read YAML: this Python has no PyYAML"
            hint = "pip install pyyaml (Debian: python3-yaml), or supervise compile where it is"
            self.report(Problem(self.file, 0, 0, "", what, hint))
            return None
        try:
            self._consume(yaml.parser(self.text))
        except _UnreadableError:
            return None
        except yaml.error as error:
            self._syntax_error(error)
            return None
        return self.root

    def _consume(self, parser: Any) -> None:
        handlers = {
            "ScalarEvent": self._on_scalar,
            "SequenceStartEvent": self._on_sequence,
            "MappingStartEvent": self._on_mapping,
            "SequenceEndEvent": self._on_end,
            "MappingEndEvent": self._on_end,
            "AliasEvent": self._on_alias,
            "DocumentStartEvent": self._on_document,
        }
        while parser.check_event():
            event = parser.get_event()
            handler = handlers.get(type(event).__name__)
            if handler is not None:
                handler(event)

    def _on_document(self, event: Any) -> None:
        if self.root is not None:
            self._problem(
                event.start_mark,
                "a second document begins here; a file holds one",
                "put it into a file of its own and name that in `include`",
            )
            raise _UnreadableError

    def _on_scalar(self, event: Any) -> None:
        plain = event.style is None or event.style == ""
        tag = event.tag
        if tag is not None and tag != "!":
            if tag not in _SCALAR_TAGS:
                self._foreign_tag(event)
            plain = plain and tag != f"{_CORE_TAG}str"
        elif tag == "!":
            plain = False
        self._add(Scalar(self.file, event.start_mark, event.value, plain=plain), event.anchor)

    def _on_sequence(self, event: Any) -> None:
        if event.tag not in (None, "!", f"{_CORE_TAG}seq"):
            self._foreign_tag(event)
        self._open(Sequence(self.file, event.start_mark), event)

    def _on_mapping(self, event: Any) -> None:
        if event.tag not in (None, "!", f"{_CORE_TAG}map"):
            self._foreign_tag(event)
        self._open(Mapping(self.file, event.start_mark), event)

    def _open(self, node: YamlNode, event: Any) -> None:
        if len(self.open) >= MAX_DEPTH:
            self._problem(event.start_mark, *_TOO_DEEP)
            raise _UnreadableError
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        self._count(1, event.start_mark)
        self.open.append(node)
        self.keys.append(None)

    def _on_end(self, _event: Any) -> None:
        node = self.open.pop()
        self.keys.pop()
        if isinstance(node, Mapping):
            self._merge(node)
        self._place(node)

    def _on_alias(self, event: Any) -> None:
        node = self.anchors.get(event.anchor)
        if node is None:
            self._problem(
                event.start_mark,
                f"there is no anchor &{event.anchor} above",
                "an anchor, &name, comes before its aliases",
            )
            raise _UnreadableError
        if node in self.open:
            self._problem(
                event.start_mark,
                f"*{event.anchor} stands inside its own anchor",
                "a value cannot contain itself",
            )
            raise _UnreadableError
        self._count(node.weight, event.start_mark)
        self._place(node)

    def _add(self, node: YamlNode, anchor: str | None) -> None:
        if anchor is not None:
            self.anchors[anchor] = node
        self._count(1, node)
        self._place(node)

    def _count(self, weight: int, place: Any) -> None:
        self.total += weight
        if self.total > MAX_NODES:
            self._problem(
                place,
                f"more than {MAX_NODES:,} values once aliases are followed",
                "such a file is refused before it fills the memory",
            )
            raise _UnreadableError

    def _place(self, node: YamlNode) -> None:
        """Put *node* where it belongs in the innermost open collection."""
        if not self.open:
            self.root = node
            return
        parent = self.open[-1]
        parent.weight += node.weight
        if isinstance(parent, Sequence):
            parent.items.append(node)
            return
        assert isinstance(parent, Mapping)
        key = self.keys[-1]
        if key is None:
            self.keys[-1] = node
            return
        self.keys[-1] = None
        self._pair(parent, key, node)

    def _pair(self, mapping: Mapping, key: YamlNode, value: YamlNode) -> None:
        if not isinstance(key, Scalar):
            self._problem(key, "a key is a word, not a list or a mapping", "quote it")
        elif key.plain and key.text == "<<":
            mapping.merges.append(value)
        elif key.text in mapping.pairs:
            first = mapping.pairs[key.text][0]
            self.keys[-1] = key
            self._problem(
                key,
                f"the key '{key.text[:60]}' is here twice",
                f"the first is in line {first.line}: keep one of them",
            )
            self.keys[-1] = None
        else:
            mapping.pairs[key.text] = (key, value)

    def _merge(self, mapping: Mapping) -> None:
        """Carry out ``<<``: keys of *mapping* itself win, then those of earlier sources."""
        for merged in mapping.merges:
            sources = merged.items if isinstance(merged, Sequence) else [merged]
            for source in sources:
                if not isinstance(source, Mapping):
                    self._problem(source, "'<<' takes a mapping or a list of them", "use *alias")
                    continue
                for name, pair in source.pairs.items():
                    mapping.pairs.setdefault(name, pair)
        mapping.merges.clear()

    def _foreign_tag(self, event: Any) -> None:
        tag = event.tag.replace(_CORE_TAG, "!!")
        self._problem(event.start_mark, f"the tag '{tag}' means nothing here", "leave it out")

    def _problem(self, place: Any, what: str, hint: str = "") -> None:
        self.report(Problem(self.file, *_line_column(place), self._path(), what, hint))

    def _path(self) -> str:
        """Return the path of what is being read, such as services.web.depends_on[1]."""
        path = ""
        for node, key in zip(self.open, self.keys, strict=True):
            if isinstance(node, Sequence):
                path += f"[{len(node.items)}]"
            elif isinstance(key, Scalar):
                path += f".{key.text[:60]}" if path else key.text[:60]
        return path[:200]

    def _syntax_error(self, error: Any) -> None:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        if mark is None:  # yaml.reader.ReaderError: a character YAML does not allow
            line, column = _position(
                self.text, error.position, in_bytes=libyaml.backend().counts_bytes
            )
            character = error.character
            number = ord(character) if isinstance(character, str) else character
            what, hint = f"the character U+{number:04X} is not allowed in YAML", "delete it"
            self.report(Problem(self.file, line, column, "", what, hint))
            return
        context = f"{error.context}: " if error.context else ""
        what = f"not valid YAML: {context}{error.problem}"
        hint = next((hint for start, hint in _HINTS if start in what), "")
        rest = _rest_of_line(self.text, mark)
        if "',' or '}'" in what and rest.startswith("{"):
            hint = 'quote a variable inside braces: {NAME: "${VALUE}"}'
        if "maximum nesting depth" in error.problem:  # libyaml from 0.2.6, which reads ahead
            what, hint = _TOO_DEEP
        if rest.startswith("\t"):
            what, hint = "not valid YAML: a tab in the indentation", "indent with spaces"
        self._problem(mark, what, hint)


def _line_column(place: Any) -> tuple[int, int]:
    if isinstance(place, YamlNode):
        return place.line, place.column
    return place.line + 1, place.column + 1


def _rest_of_line(text: str, mark: Any) -> str:
    lines = text.split("\n", mark.line + 1)
    line = lines[mark.line] if mark.line < len(lines) else ""
    return line[mark.column :]


def _position(text: str, offset: int, *, in_bytes: bool) -> tuple[int, int]:
    before = text.encode()[:offset].decode(errors="ignore") if in_bytes else text[:offset]
    line = before.count("\n") + 1
    return line, len(before) - (before.rfind("\n") + 1) + 1
