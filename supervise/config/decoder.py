"""What every kind of value needs while it is decoded: a place for problems, and the variables.

`kinds`, `forms` and `decode` are the callers.
"""

from __future__ import annotations

from supervise.config.source.interpolate import InterpolationError, Interpolator
from supervise.config.source.nodes import Mapping, Node, Scalar, Sequence
from supervise.config.source.scalars import resolve
from supervise.model.errors import Problem
from supervise.model.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Mapping as Map

# A hostile file must not make its own error report the expensive part.
MAX_PROBLEMS = 10_000
_LONGEST = 400  # characters of one part of a problem
_MAX_SUGGESTIONS = 100


class _Invalid:
    """Stands for a value that could not be decoded; the problem has been reported."""

    def __repr__(self) -> str:
        return "INVALID"


INVALID = _Invalid()


class Decoder:
    """Collects problems and warnings; expands variables."""

    def __init__(self, environ: Map[str, str]) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.interpolator = Interpolator(environ)
        self._seen: set[Problem] = set()
        self._suggestions = 0

    def report(self, problem: Problem) -> None:
        """Note *problem* once: an alias shows the same mistake wherever it is used."""
        problem = _one_line(problem)
        key = problem.replace(path="")
        if key not in self._seen and len(self.problems) < MAX_PROBLEMS:
            self._seen.add(key)
            self.problems.append(problem)

    def problem(self, node: Node, path: str, what: str, hint: str = "") -> None:
        """Note that the value at *node* cannot be used."""
        self.report(Problem(node.file, node.line, node.column, path, what, hint))

    def add_hints(self, first: int, hint: str) -> None:
        """Give *hint* to the problems from index *first* on that have none."""
        for index in range(first, len(self.problems)):
            if not self.problems[index].hint:
                self.problems[index] = self.problems[index].replace(hint=hint)

    def warn(self, node: Node, path: str, what: str, hint: str = "") -> None:
        """Note something that is probably not meant, and harmless."""
        self.report_warning(Problem(node.file, node.line, node.column, path, what, hint))

    def report_warning(self, warning: Problem) -> None:
        """Note *warning* once."""
        warning = _one_line(warning)
        if warning not in self._seen and len(self.warnings) < MAX_PROBLEMS:
            self._seen.add(warning)
            self.warnings.append(warning)

    def text(self, node: Scalar, path: str) -> str | None:
        """Return the text of *node* with its variables expanded; None after a problem."""
        if "$" not in node.text:
            text = node.text
        else:
            try:
                text = self.interpolator.expand(node.text)
            except InterpolationError as error:
                self.problem(node, path, error.what, error.hint)
                return None
            for name in self.interpolator.unset:
                self.warn(
                    node,
                    path,
                    f"the variable '{name}' is not set: empty",
                    f"write ${{{name}:-}} if that is meant",
                )
            self.interpolator.unset.clear()
        if "\0" in text:
            self.problem(node, path, "holds a NUL byte, which no argument can", "delete it")
            return None
        return text

    def scalar(self, node: Scalar, path: str) -> object:
        """Return what *node* means: None, bool, int, float, str; INVALID after a problem.

        What comes out of a variable is text and may become a number or a boolean, quoted or not.
        """
        text = self.text(node, path)
        if text is None:
            return INVALID
        return resolve(text) if node.plain or "$" in node.text else text

    def suggest(self, word: str, known: Iterable[str]) -> str:
        """Return ``did you mean 'x'?`` for the nearest of *known*, else ""."""
        self._suggestions += 1
        if self._suggestions > _MAX_SUGGESTIONS or len(word) > 100:
            return ""
        from difflib import get_close_matches  # 9 ms, and only when something is wrong

        folded = {name.lower(): name for name in known}
        close = get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
        return f"did you mean '{folded[close[0]]}'?" if close else ""


def _one_line(problem: Problem) -> Problem:
    """Return *problem* fit for one line of a terminal: what a file says may hold anything."""
    texts = (problem.file, problem.path, problem.what, problem.hint)
    if all(text.isprintable() and len(text) <= _LONGEST for text in texts):
        return problem
    shown = {key: _shortened(getattr(problem, key)) for key in ("file", "path", "what", "hint")}
    return problem.replace(**shown)


def _shortened(text: str) -> str:
    """Return *text* as one line, not longer than _LONGEST: the reason stands at the end."""
    shown = printable(text)
    if len(shown) > _LONGEST:
        shown = f"{shown[: _LONGEST // 2]}…{shown[-_LONGEST // 2 :]}"
    return shown


def is_null(node: Node) -> bool:
    """Say whether *node* is YAML's null: nothing, ``~`` or ``null``."""
    return isinstance(node, Scalar) and node.plain and resolve(node.text) is None


def describe(node: Node, interpolator: Interpolator) -> str:
    """Name what stands at *node*, as in "must be a duration, not a list"."""
    if isinstance(node, Sequence):
        return "a list"
    if isinstance(node, Mapping):
        return "a mapping"
    assert isinstance(node, Scalar)
    if "$" in node.text:
        return _describe_variable(node.text, interpolator)
    value = resolve(node.text) if node.plain else node.text
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return node.text
    return f"the {'text' if isinstance(value, str) else 'number'} {_shorten(node.text)!r}"


def _describe_variable(text: str, interpolator: Interpolator) -> str:
    try:
        expanded = interpolator.expand(text)
    except InterpolationError:  # a list or a mapping is wanted here: text of any kind is wrong
        return f"the text {_shorten(text)!r}"
    finally:
        interpolator.unset.clear()
    return f"{_shorten(expanded)!r}, which {_shorten(text)} comes to"


def _shorten(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
