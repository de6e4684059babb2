"""A Dockerfile's text as logical lines: directives, continuation, comments and heredocs.

Knows the shape of each instruction's arguments (words, key=value, JSON, the rest of the line) and
no more: `runtime.dockerfile.instructions` makes commands of it.  Source: the Dockerfile reference,
"Format" and "Parser directives", and BuildKit's `frontend/dockerfile/parser`.
"""

from __future__ import annotations

import re

from runtime.dockerfile import heredocs, shapes
from runtime.dockerfile.commands import Heredoc, Place
from runtime.dockerfile.dockerfile_error import DockerfileError
from supervise.model.record import Record

LONGEST_LINE = 65535  # bytes, its newline not counted
_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*")
_DIRECTIVES = ("check", "escape", "syntax")
_DEEPEST = 10  # ONBUILDs in front of each other; the second is refused in time
_WITH_HEREDOCS = ("add", "copy", "run")


class InstructionNode(Record):
    """One instruction with its arguments apart."""

    place: Place
    name: str  # as written
    flags: tuple[str, ...]
    words: shapes.Words
    heredocs: tuple[Heredoc, ...] = ()
    sub: InstructionNode | None = None  # ONBUILD's


class DockerfileText(Record):
    """A whole file."""

    nodes: tuple[InstructionNode, ...]
    escape: str
    warnings: tuple[str, ...]


def read(text: str) -> DockerfileText:
    """Split *text* into instructions.

    Raises:
        DockerfileError: with its line, where the text cannot be split or holds no instruction.
    """
    return _LineReader(text).read()


def node(line: str, place: Place, escape: str, depth: int = 0) -> InstructionNode:
    """Read one logical line; *depth* ONBUILDs stood in front of it."""
    name, flags, rest = shapes.split_command(line)
    if name.lower() == "onbuild":
        if depth > _DEEPEST:
            raise DockerfileError(
                "ONBUILD of ONBUILD of ONBUILD …", place.first_line, "one is enough", place.text
            )
        sub = node(rest, place, escape, depth + 1) if rest else None
        return InstructionNode(place, name, flags, shapes.Words(()), sub=sub)
    try:
        words = shapes.read(name.lower(), rest, escape)
    except DockerfileError as problem:
        raise problem.at(place.first_line, place.text) from None
    return InstructionNode(place, name, flags, words)


class _LineReader:
    def __init__(self, text: str) -> None:
        self._lines = text.removeprefix("\ufeff").split("\n")
        if not self._lines[-1]:
            del self._lines[-1]  # a file ends with a newline; what follows it is no line
        self._at = 0
        self._escape = "\\"
        self._directives: set[str] | None = set()  # None: they are over
        self._warnings: list[str] = []

    def read(self) -> DockerfileText:
        nodes = []
        while self._at < len(self._lines):
            first = self._at
            line = self._logical_line()
            if line.strip():
                nodes.append(self._node(line, first + 1))
        if not nodes:
            raise DockerfileError(
                "there is no instruction in the file", hint="the first one is FROM IMAGE"
            )
        return DockerfileText(tuple(nodes), self._escape, tuple(self._warnings))

    def _next(self) -> str:
        line = self._lines[self._at]
        self._at += 1
        if len(line) > LONGEST_LINE // 4 and len(line.encode(errors="replace")) > LONGEST_LINE:
            raise DockerfileError(
                f"the line is longer than {LONGEST_LINE} bytes",
                self._at,
                "is it a Dockerfile? -f names another file",
            )
        return line.rstrip("\r")

    def _logical_line(self) -> str:
        """Return one line with its continuations; empty for a comment."""
        line = self._next().lstrip()
        self._directive(line)
        if line.startswith("#"):
            return ""
        parts, more = self._continued(line)
        result, empty = [parts], False
        while more and self._at < len(self._lines):
            line = self._next()
            if line.lstrip().startswith("#"):
                continue
            if not line.strip():
                empty = True
                continue
            parts, more = self._continued(line)
            result.append(parts)
        joined = "".join(result)
        if empty:
            self._warnings.append(f"Empty continuation line found in: {joined}")
        return joined

    def _continued(self, line: str) -> tuple[str, bool]:
        """Return *line* without its continuation character, and whether it had one."""
        bare = line.rstrip(" \t")
        if not bare.endswith(self._escape):
            return line, False
        before = bare[:-1]
        if before.endswith(self._escape):
            return line, False  # an escaped escape character is a letter
        return before, True

    def _directive(self, line: str) -> None:
        if self._directives is None:
            return
        match = _DIRECTIVE.fullmatch(line)
        if match is None:
            self._directives = None
            return
        name, value = match[1].lower(), match[2]
        if name not in _DIRECTIVES:
            return
        if name in self._directives:
            raise DockerfileError(
                f"the directive '{name}' stands twice", self._at, "remove one", line
            )
        self._directives.add(name)
        if name == "escape":
            if value not in ("\\", "`"):
                raise DockerfileError(
                    f"'{value}' cannot be the escape character",
                    self._at,
                    "it is \\ or `",
                    line,
                )
            self._escape = value

    def _node(self, line: str, first: int) -> InstructionNode:
        place = Place(first, self._at, line.strip())
        if "\0" in line:
            raise DockerfileError("the line holds a NUL byte", first, "is it a text file?")
        made = node(line, place, self._escape)
        inner = made.sub if made.sub is not None else made
        if inner.name.lower() not in _WITH_HEREDOCS or inner.words.json or "<<" not in line:
            return made
        opened = tuple(self._body(heredoc, place) for heredoc in heredocs.opened_by(line))
        if inner.name.lower() == "run" and any("\0" in heredoc.content for heredoc in opened):
            raise DockerfileError("the heredoc holds a NUL byte", first, "is it a script?", line)
        place = place.replace(last_line=self._at)
        if made.sub is None:
            return made.replace(heredocs=opened, place=place)
        return made.replace(place=place, sub=inner.replace(heredocs=opened, place=place))

    def _body(self, heredoc: Heredoc, place: Place) -> Heredoc:
        lines: list[str] = []
        while self._at < len(self._lines):
            self._next()
            raw = self._lines[self._at - 1]
            line = raw.rstrip("\r")
            if (line.lstrip("\t") if heredoc.chomp else line) == heredoc.name:
                content = "".join(f"{line}\n" for line in lines)
                if heredoc.chomp:
                    content = heredocs.without_tabs(content)
                return heredoc.replace(content=content)
            lines.append(raw)
        raise DockerfileError(
            f"the heredoc '{heredoc.name}' does not end",
            place.first_line,
            f"end it with a line that is '{heredoc.name}' and nothing else",
            place.text,
        )
