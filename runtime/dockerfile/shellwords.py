"""Words as a shell reads them: quotes, escapes and `${…}`.

The lexer behind variable expansion and the finding of heredocs.  Pure; nothing is executed.
Source: BuildKit's `frontend/dockerfile/shell`, whose cases the tests hold it to, and POSIX Shell
Command Language 2.6.2.
"""

from __future__ import annotations

from runtime.dockerfile import shell_patterns
from runtime.dockerfile.dockerfile_error import DockerfileError, UnterminatedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_SPECIAL = "@*#?-$!0"
_DIGITS = frozenset("0123456789")
_DEEPEST = 100  # ${a:-${b:-…}} within each other; real files have fewer than ten
_END = ""


class Lexer:
    """One reading of one *source* with the variables *env*.

    `matched` collects the names of variables that were set, `unmatched` of those that were not and
    for which the word itself says nothing else, as `${x:-other}` does.
    """

    def __init__(
        self,
        source: str,
        env: Mapping[str, str],
        escape: str = "\\",
        *,
        raw_quotes: bool = False,
        raw_escapes: bool = False,
        keep_unset: bool = False,
        plain_quotes: bool = False,
    ) -> None:
        self._source = source
        self._at = 0
        self._env = env
        self._escape = escape
        self._raw_quotes = raw_quotes  # quotes stay in the result
        self._raw_escapes = raw_escapes  # so do escape characters
        self._keep_unset = keep_unset  # `$x` stays where x is not set
        self._plain_quotes = plain_quotes  # a quote is a letter like another
        self._depth = 0
        self.matched: set[str] = set()
        self.unmatched: set[str] = set()

    def read(self) -> tuple[str, list[str]]:
        """Return the source with everything replaced, as one word and as several.

        Raises:
            DockerfileError: a quote or brace is not closed, or a `${…}` makes no sense.
        """
        words = _Words()
        return self._until(_END, words, raw_escapes=self._raw_escapes), words.finish()

    def _peek(self) -> str:
        return self._source[self._at : self._at + 1]

    def _next(self) -> str:
        letter = self._peek()
        self._at += 1
        return letter

    def _until(self, stop: str, words: _Words, *, raw_escapes: bool) -> str:
        before, self._raw_escapes = self._raw_escapes, raw_escapes
        result: list[str] = []
        while letter := self._peek():
            if letter == stop:
                self._at += 1
                self._raw_escapes = before
                return "".join(result)
            result.append(self._piece(letter, words))
        if stop:
            raise UnterminatedError(f"'{stop}' is missing at the end of '{self._source}'")
        return "".join(result)

    def _piece(self, letter: str, words: _Words) -> str:
        if letter == "$":
            piece = self._dollar()
            words.add(piece)
            return piece
        if letter in "'\"" and not self._plain_quotes:
            piece = self._single_quoted() if letter == "'" else self._double_quoted()
            words.add_quoted(piece)
            return piece
        self._at += 1
        if letter != self._escape:
            words.add(letter)
            return letter
        following = self._next()
        piece = letter + following if self._raw_escapes else following
        words.add_quoted(piece)
        return piece

    def _single_quoted(self) -> str:
        end = self._source.find("'", self._at + 1)
        if end < 0:
            raise UnterminatedError(f"the single quote in '{self._source}' is not closed")
        inside = self._source[self._at + 1 : end]
        self._at = end + 1
        return f"'{inside}'" if self._raw_quotes else inside

    def _double_quoted(self) -> str:
        quote = '"' if self._raw_quotes else ""
        self._at += 1
        result = [quote]
        while letter := self._peek():
            if letter == "$":
                result.append(self._dollar())
                continue
            self._at += 1
            if letter == '"':
                result.append(quote)
                return "".join(result)
            if letter == self._escape:
                if self._raw_escapes:
                    result.append(letter)
                if not self._peek():
                    break
                # Only these can be escaped here; before any other letter the escape is a letter.
                if self._peek() in ('"', "$", self._escape):
                    letter = self._next()
            result.append(letter)
        raise UnterminatedError(f"the double quote in '{self._source}' is not closed")

    def _name(self) -> str:
        first = self._peek()
        if first and first in _SPECIAL and first not in _DIGITS:
            return self._next()
        start = self._at
        if first and first in _DIGITS:
            while (digit := self._peek()) and digit in _DIGITS:
                self._at += 1
        else:
            while (letter := self._peek()) and (letter.isalnum() or letter == "_"):
                self._at += 1
        return self._source[start : self._at]

    def _value(self, name: str, *, has_default: bool = False) -> str | None:
        value = self._env.get(name)
        if value is not None:
            self.matched.add(name)
        elif not has_default:
            self.unmatched.add(name)
        return value

    def _dollar(self) -> str:
        self._at += 1
        if self._peek() != "{":
            name = self._name()
            if not name:
                return "$"
            value = self._value(name)
            if value is None:
                return f"${name}" if self._keep_unset else ""
            return value
        self._at += 1
        if not self._peek():
            raise UnterminatedError(f"'}}' is missing at the end of '{self._source}'")
        if self._peek() in "{}:":
            raise self._unusable()
        self._depth += 1
        if self._depth > _DEEPEST:
            raise DockerfileError(f"more than {_DEEPEST} variables within each other")
        try:
            return self._braced(self._name())
        finally:
            self._depth -= 1

    def _unusable(self, modifier: str = "") -> DockerfileError:
        told = f"modifier '{modifier}'" if modifier else "substitution"
        return DockerfileError(
            f"unknown {told} in '{self._source}'",
            hint="known: ${V} ${V:-default} ${V:+other} ${V:?message} ${V#p} ${V%p} ${V/p/r}; "
            "write \\$ for a dollar sign",
        )

    def _braced(self, name: str) -> str:
        modifier = self._next()
        if modifier == "}":
            value = self._value(name)
            if value is None:
                return f"${{{name}}}" if self._keep_unset else ""
            return value
        if not modifier:
            raise UnterminatedError(f"'}}' is missing at the end of '{self._source}'")
        if modifier == "/":
            return self._replaced(name)
        colon = modifier == ":"
        if colon:
            modifier = self._next()
        sign = f":{modifier}" if colon else modifier
        if not modifier or modifier not in "+-?#%":
            raise self._unusable(sign)
        word = self._until("}", _Words(), raw_escapes=modifier in "#%")
        value = self._value(name, has_default=modifier in "+-?")
        if value == "" and colon:
            value = None
        if value is None and self._keep_unset:
            return f"${{{name}{sign}{word}}}"
        return self._modified(name, modifier, word, value)

    def _modified(self, name: str, modifier: str, word: str, value: str | None) -> str:
        if modifier == "-":
            return word if value is None else value
        if modifier == "+":
            return "" if value is None else word
        if modifier == "?":
            if value is None:
                raise DockerfileError(
                    f"{name}: {word or 'is not set'}",
                    hint=f"give it a value: ARG {name}=… before this line, or --build-arg {name}=…",
                )
            return value
        greedy = word.startswith(modifier)
        word = word[1:] if greedy else word
        if modifier == "#":
            return shell_patterns.without_prefix(word, value or "", greedy=greedy)
        return shell_patterns.without_suffix(word, value or "", greedy=greedy)

    def _replaced(self, name: str) -> str:
        everywhere = self._peek() == "/"
        if everywhere:
            self._at += 1
        pattern = self._until("/", _Words(), raw_escapes=True)
        replacement = self._until("}", _Words(), raw_escapes=True)
        value = self._value(name)
        if value is None and self._keep_unset:
            return f"${{{name}/{'/' * everywhere}{pattern}/{replacement}}}"
        return shell_patterns.replaced(pattern, replacement, value or "", everywhere=everywhere)


class _Words:
    """Splits what the lexer reads at unquoted white space."""

    def __init__(self) -> None:
        self._done: list[str] = []
        self._word = ""

    def add(self, piece: str) -> None:
        """Take *piece* in; its white space separates."""
        for letter in piece:
            if letter.isspace():
                self._close()
            else:
                self._word += letter

    def add_quoted(self, piece: str) -> None:
        """Take *piece* in as part of the word."""
        self._word += piece

    def _close(self) -> None:
        if self._word:
            self._done.append(self._word)
            self._word = ""

    def finish(self) -> list[str]:
        """Return the words."""
        self._close()
        return self._done
