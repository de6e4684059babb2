"""Go templates, the part of them that people write after ``--format``.

Values are JSON's (dict, list, str, int, float, bool, None) and, as methods, Python callables in a
dict: ``{{.Label "x"}}``.  Text is parsed by `parse` and carried out by `Template.render`;
the functions are in `runtime.language.template_functions`.  Not there: define, template, block.
"""

from __future__ import annotations

from runtime.language.printf import show
from runtime.language.template_functions import FUNCTIONS, TemplateError, is_true
from runtime.language.template_lexer import Word, split
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

__all__ = ["Template", "TemplateError", "parse"]


_LONGEST = 16 * 1024 * 1024  # characters of one rendering; a template may repeat without end


class TemplateText(Record):
    """Literal text."""

    text: str


class Operand(Record):
    """One value: a literal, ``.A.B``, ``$x.A``, a function's name, ``(…).A``."""

    kind: str  # literal | dot | variable | function | pipe
    value: Any  # the literal, a name, a Pipe
    fields: tuple[str, ...] = ()


class Pipe(Record):
    """``$k, $v := a b | c``: commands, each a row of operands."""

    commands: tuple[tuple[Operand, ...], ...]
    variables: tuple[str, ...] = ()
    declares: bool = True  # := and not =


class Branch(Record):
    """``if``, ``range`` or ``with``."""

    kind: str
    pipe: Pipe
    body: tuple[Any, ...]
    otherwise: tuple[Any, ...] = ()


def parse(text: str) -> Template:
    """Return the template in *text*.

    Raises:
        TemplateError: the text is not a template; the sentence is Go's.
    """
    try:
        return Template(_Parser(text).whole())
    except RecursionError:
        raise TemplateError("template: :1: max expression depth exceeded") from None


class Template:
    """A parsed template."""

    def __init__(self, nodes: tuple[Any, ...]) -> None:
        self._nodes = nodes

    def render(self, data: Any, screen: Callable[[str], str] | None = None) -> str:
        """Return the text that *data* gives; *screen* is applied to values, not to the template.

        Raises:
            TemplateError: a field is missing, a function got what it cannot use.
        """
        run = _Execution(screen)
        try:
            run.run(self._nodes, data, [{"": data}])
        except RecursionError:
            raise _failed("", "exceeded maximum template depth") from None
        return "".join(run.out)

    def fields(self) -> set[str]:
        """Return the names of the fields of the top that it mentions, without what is below."""
        found: set[str] = set()
        try:
            _collect(self._nodes, found)
        except RecursionError:
            raise TemplateError("template: :1: max expression depth exceeded") from None
        return found


def _collect(value: Any, found: set[str]) -> None:
    if isinstance(value, Operand):
        if value.kind == "dot" or (value.kind == "variable" and not value.value):
            found.update(value.fields[:1] or ("",))
        _collect(value.value, found)
    elif isinstance(value, Record):
        for field in value._fields:
            _collect(getattr(value, field), found)
    elif isinstance(value, tuple):
        for item in value:
            _collect(item, found)


class _Parser:
    """Reads words into nodes."""

    def __init__(self, text: str) -> None:
        self._words: list[Word] = split(text)
        self._at = 0

    def whole(self) -> tuple[Any, ...]:
        nodes, end = self._nodes()
        if end:
            raise self._error(f"unexpected {{{{{end}}}}}")
        return nodes

    def _nodes(self) -> tuple[tuple[Any, ...], str]:
        """Return (nodes, the word that ended them: else, end, or nothing)."""
        nodes: list[Any] = []
        while self._at < len(self._words):
            word = self._words[self._at]
            self._at += 1
            if word.kind == "text":
                nodes.append(TemplateText(word.text))
                continue
            first = self._peek()  # word is the {{
            if first.kind == "name" and first.text in ("else", "end"):
                self._at += 1
                return tuple(nodes), first.text
            if first.kind == "name" and first.text in ("if", "range", "with"):
                self._at += 1
                nodes.append(self._branch(first.text))
            else:
                nodes.append(self._pipe("close"))
        return tuple(nodes), ""

    def _branch(self, kind: str) -> Branch:
        pipe = self._pipe("close")
        body, end = self._nodes()
        otherwise: tuple[Any, ...] = ()
        if end == "else":
            inner = self._peek()
            if inner.kind == "name" and inner.text in ("if", "with"):
                self._at += 1
                return Branch(kind, pipe, body, (self._branch(inner.text),))
            self._expect("close", "else")
            otherwise, end = self._nodes()
        if end != "end":
            raise self._error("unexpected EOF")
        self._expect("close", "end")
        return Branch(kind, pipe, body, otherwise)

    def _pipe(self, until: str) -> Pipe:
        variables, declares = self._declared()
        commands: list[tuple[Operand, ...]] = []
        operands: list[Operand] = []
        while True:
            word = self._peek()
            if word.kind in ("pipe", until):
                self._at += 1
                if not operands:
                    raise self._error("missing value for command")
                commands.append(tuple(operands))
                operands = []
                if word.kind == until:
                    return Pipe(tuple(commands), variables, declares)
            else:
                operands.append(self._operand())

    def _declared(self) -> tuple[tuple[str, ...], bool]:
        """Return ($k, $v) of ``$k, $v :=``, and whether it declares."""
        start, names = self._at, []
        while self._peek().kind == "variable":
            names.append(self._peek().text)
            self._at += 1
            after = self._peek()
            self._at += 1
            if after.kind in ("declare", "assign"):
                return tuple(names), after.kind == "declare"
            if after.kind != "comma":
                break
        self._at = start
        return (), True

    def _operand(self) -> Operand:
        word = self._peek()
        self._at += 1
        if word.kind == "open":
            made = Operand("pipe", self._pipe("shut"))
        elif word.kind == "literal":
            made = Operand("literal", word.value)
        elif word.kind == "field":
            return Operand("dot", None, word.fields)
        elif word.kind == "variable":
            return Operand("variable", word.text, word.fields)
        elif word.kind == "name":
            if word.text not in FUNCTIONS:
                raise self._error(f'function "{word.text}" not defined')
            return Operand("function", word.text)
        else:
            raise self._error(f'unexpected "{word.text}" in operand')
        if self._peek().kind == "field" and self._peek().glued:
            made = made.replace(fields=self._peek().fields)
            self._at += 1
        return made

    def _peek(self) -> Word:
        if self._at >= len(self._words):
            raise self._error("unexpected EOF")
        return self._words[self._at]

    def _expect(self, kind: str, where: str) -> None:
        word = self._peek()
        if word.kind != kind:
            raise self._error(f'unexpected "{word.text}" in {where}')
        self._at += 1

    def _error(self, reason: str) -> TemplateError:
        at = min(self._at, len(self._words)) - 1
        line = self._words[at].line if self._words else 1
        return TemplateError(f"template: :{line}: {reason}")


_Scopes = list[dict[str, "Any"]]


class _Execution:
    """One rendering."""

    def __init__(self, screen: Callable[[str], str] | None) -> None:
        self.out: list[str] = []
        self._screen = screen
        self._room = _LONGEST

    def run(self, nodes: tuple[Any, ...], dot: Any, scopes: _Scopes) -> None:
        for node in nodes:
            if isinstance(node, TemplateText):
                self._say(node.text)
            elif isinstance(node, Branch):
                self._branch(node, dot, scopes)
            else:
                value = self._pipe(node, dot, scopes)
                if not node.variables:
                    text = show(value)
                    self._say(self._screen(text) if self._screen else text)

    def _say(self, text: str) -> None:
        self._room -= len(text) + 1
        if self._room < 0:
            raise _failed("", f"the output is longer than {_LONGEST} characters")
        self.out.append(text)

    def _branch(self, node: Branch, dot: Any, scopes: _Scopes) -> None:
        inner = [*scopes, {}]
        value = self._pipe(node.pipe, dot, inner)
        if node.kind == "range":
            done = False
            for key, item in _pairs(value):
                done = True
                names = node.pipe.variables
                found = (key, item) if len(names) == 2 else (item,)
                own = dict(zip(names, found, strict=False))
                self.run(node.body, item, [*scopes, own])
            if not done:
                self.run(node.otherwise, dot, inner)
        elif is_true(value):
            self.run(node.body, value if node.kind == "with" else dot, inner)
        else:
            self.run(node.otherwise, dot, inner)

    def _pipe(self, pipe: Pipe, dot: Any, scopes: _Scopes) -> Any:
        last: tuple[Any, ...] = ()
        value: Any = None
        for command in pipe.commands:
            value = self._command(command, last, dot, scopes)
            last = (value,)
        for name in pipe.variables[-1:]:
            holder = scopes[-1] if pipe.declares else _holder(name, scopes)
            holder[name] = value
        return value

    def _command(
        self, command: tuple[Operand, ...], last: tuple[Any, ...], dot: Any, scopes: _Scopes
    ) -> Any:
        first, rest = command[0], command[1:]
        arguments = (*(self._value(operand, dot, scopes) for operand in rest), *last)
        if first.kind == "function":
            return _call(FUNCTIONS[first.value], first.value, arguments)
        value = self._value(first, dot, scopes)
        if callable(value):
            return _call(value, first.fields[-1], arguments)
        if arguments:
            name = ".".join(("", *first.fields)) or first.value
            raise _failed(name, "can't give argument to non-function")
        return value

    def _value(self, operand: Operand, dot: Any, scopes: _Scopes) -> Any:
        if operand.kind == "literal":
            value = operand.value
        elif operand.kind == "dot":
            value = dot
        elif operand.kind == "pipe":
            value = self._pipe(operand.value, dot, scopes)
        elif operand.kind == "function":
            return _call(FUNCTIONS[operand.value], operand.value, ())
        else:
            value = _holder(operand.value, scopes)[operand.value]
        for field in operand.fields:
            value = _field(value, field, operand)
        return value


def _holder(name: str, scopes: _Scopes) -> dict[str, Any]:
    for scope in reversed(scopes):
        if name in scope:
            return scope
    raise TemplateError(f'template: :1: undefined variable "${name}"')


def _pairs(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        yield from ((key, value[key]) for key in sorted(value))
    elif isinstance(value, list | tuple):
        yield from enumerate(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield from ((number, number) for number in range(value))
    elif value is not None:
        raise _failed("range", f"range can't iterate over {show(value)}")


def _field(value: Any, field: str, operand: Operand) -> Any:
    path = ".".join(("", *operand.fields))
    if value is None:
        raise _failed(path, f'nil data; no entry for key "{field}"')
    if not isinstance(value, dict):
        raise _failed(path, f"can't evaluate field {field} in {show(value)}")
    if field in value:
        return value[field]
    # Go's struct fields: .ID of what JSON has as "Id".
    for key in value:
        if key.lower() == field.lower():
            return value[key]
    if value and not all(key[:1].isupper() for key in value):
        return None  # a map of the user's own, labels say: <no value>
    raise _failed(path, f'map has no entry for key "{field}"')


def _call(function: Any, name: str, arguments: tuple[Any, ...]) -> Any:
    try:
        return function(*arguments)
    except TypeError:
        raise _failed(name, f"wrong arguments for {name}: {len(arguments)} given") from None
    except ValueError as error:
        raise _failed(name, f"error calling {name}: {error}") from error


def _failed(where: str, reason: str) -> TemplateError:
    return TemplateError(f'template: :1: executing "" at <{where}>: {reason}')
