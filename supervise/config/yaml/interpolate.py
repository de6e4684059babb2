"""``${VAR}`` in the values of a configuration, with compose's syntax and meaning.

========================  =======================================================
``$VAR`` ``${VAR}``       the value; the empty string, with a warning, when unset
``${VAR:-word}``          *word* when VAR is unset or empty
``${VAR-word}``           *word* when VAR is unset
``${VAR:?message}``       a problem when VAR is unset or empty; ``${VAR?message}`` when unset
``${VAR:+word}``          *word* when VAR is set and not empty; ``${VAR+word}`` when set
``$$``                    a dollar sign
========================  =======================================================

A *word* or *message* may hold further ``${…}``.  Keys are never interpolated.  No I/O: the
environment is an argument.
"""

from __future__ import annotations

from supervise.config import digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_START = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_INNER = _START | frozenset("0123456789")
_OPERATORS = (":-", ":?", ":+", "-", "?", "+")  # the longer ones first
_MAX_NESTING = 20


class InterpolationError(Exception):
    """A value that cannot be interpolated: what is wrong, and what to do about it."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class Interpolator:
    """Expands variables of one environment, and remembers which it looked at."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.local: dict[str, str] = {}  # of an env file being read; the environment wins
        self.consulted: dict[str, str] = {}  # name → digest of the value, "" unset
        self.unset: list[str] = []  # plain references to unset variables; the caller empties it

    def lookup(self, name: str) -> str | None:
        """Return the value of *name*, noting that the plan depends on it."""
        value = self.environ.get(name)
        if name not in self.consulted:
            self.consulted[name] = digest.of_variable(value)
        return self.local.get(name) if value is None else value

    def expand(self, text: str) -> str:
        """Return *text* with its variables replaced; raises `InterpolationError`."""
        return self._expand(text, 0) if "$" in text else text

    def _expand(self, text: str, depth: int) -> str:
        if depth > _MAX_NESTING:
            raise InterpolationError(
                f"variables nested deeper than {_MAX_NESTING} levels", "simplify the default"
            )
        parts: list[str] = []
        position = 0
        while (dollar := text.find("$", position)) >= 0:
            parts.append(text[position:dollar])
            value, position = self._reference(text, dollar, depth)
            parts.append(value)
        parts.append(text[position:])
        return "".join(parts)

    def _reference(self, text: str, dollar: int, depth: int) -> tuple[str, int]:
        """Return the value of the reference at *dollar*, and where the text goes on."""
        following = text[dollar + 1 : dollar + 2]
        if following == "$":
            return "$", dollar + 2
        if following in _START and following:
            end = _name_end(text, dollar + 1)
            return self._plain(text[dollar + 1 : end]), end
        if following != "{":
            raise InterpolationError(
                f"{text[dollar : dollar + 2]!r} is no variable", "write $$ for a dollar sign"
            )
        close = _closing_brace(text, dollar + 2)
        return self._braced(text[dollar + 2 : close], depth), close + 1

    def _plain(self, name: str) -> str:
        value = self.lookup(name)
        if value is None:
            self.unset.append(name)
            return ""
        return value

    def _braced(self, inner: str, depth: int) -> str:
        end = _name_end(inner, 0)
        name, rest = inner[:end], inner[end:]
        if not name or name[0] not in _START:
            raise InterpolationError(
                f"'${{{inner}}}' is no variable", "write ${NAME}, or $$ for a dollar sign"
            )
        if not rest:
            return self._plain(name)
        operator = next((known for known in _OPERATORS if rest.startswith(known)), None)
        if operator is None:
            raise InterpolationError(
                f"'${{{inner}}}' is not understood after the name",
                "known are :- - :? ? :+ +, as in ${NAME:-default}",
            )
        word = rest[len(operator) :]
        value = self.lookup(name)
        present = bool(value) if operator.startswith(":") else value is not None
        if operator.endswith("+"):
            return self._expand(word, depth + 1) if present else ""
        if present and value is not None:
            return value
        if operator.endswith("-"):
            return self._expand(word, depth + 1)
        state = "is not set" if value is None else "is empty"
        message = self._expand(word, depth + 1)
        raise InterpolationError(
            f"the variable '{name}' {state}{': ' if message else ''}{message}",
            f"set {name} in the environment of supervise",
        )


def _name_end(text: str, start: int) -> int:
    end = start
    while end < len(text) and text[end] in _INNER:
        end += 1
    return end


def _closing_brace(text: str, start: int) -> int:
    """Return where the brace that opened before *start* closes; ``${`` inside opens another."""
    depth = 1
    position = start
    while position < len(text):
        if text.startswith("${", position):
            depth += 1
            position += 1
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
        position += 1
    raise InterpolationError("'${' is not closed", "add the '}', or write $$ for a dollar sign")
