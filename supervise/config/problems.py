"""The problems and warnings of one configuration, gathered while it is read.

Any dialect reports here, with the place in its own file; `load` hands them on in order.
"""

from __future__ import annotations

from supervise.model.errors import Problem
from supervise.model.printable import printable
from supervise.model.suggest import abbreviated, closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# A hostile file must not make its own error report the expensive part.
MAX_PROBLEMS = 10_000
_LONGEST = 400  # characters of one part of a problem
_MAX_SUGGESTIONS = 100
_MAX_COMPARED = 200_000  # letters of a word, times the names it is compared with, in all


class Problems:
    """Gathers problems, which forbid a plan, and warnings, which do not; each once."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self._warnings: list[Problem] = []
        self._seen: set[Problem] = set()
        self._order: dict[str, int] = {}  # file → when it was read
        self._suggestions = 0
        self._compared = 0

    def __len__(self) -> int:
        """Return how many problems there are; warnings do not count."""
        return len(self._problems)

    def read(self, file: str) -> None:
        """Note that *file* is read: its problems stand behind those of the files before it."""
        self._order.setdefault(file, len(self._order))

    def report(self, problem: Problem) -> None:
        """Note *problem* once: an alias shows the same mistake wherever it is used."""
        problem = _one_line(problem)
        key = problem.replace(path="")
        if key not in self._seen and len(self._problems) < MAX_PROBLEMS:
            self._seen.add(key)
            self._problems.append(problem)

    def warn(self, warning: Problem) -> None:
        """Note *warning* once: something that is probably not meant, and harmless."""
        warning = _one_line(warning)
        if warning not in self._seen and len(self._warnings) < MAX_PROBLEMS:
            self._seen.add(warning)
            self._warnings.append(warning)

    def add_hints(self, first: int, hint: str) -> None:
        """Give *hint* to the problems from index *first* on that have none."""
        for index in range(first, len(self._problems)):
            if not self._problems[index].hint:
                self._problems[index] = self._problems[index].replace(hint=hint)

    def suggest(self, word: str, known: Iterable[str]) -> str:
        """Return ``did you mean 'x'?`` for the nearest of *known*, else ""."""
        self._suggestions += 1
        if self._suggestions > _MAX_SUGGESTIONS or len(word) > 100:
            return ""
        names = tuple(known)
        self._compared += len(word) * len(names)
        if self._compared > _MAX_COMPARED:
            return ""
        close = closest(word, names) or abbreviated(word, names)
        return f"did you mean '{close}'?" if close else ""

    def problems(self) -> tuple[Problem, ...]:
        """Return the problems by file in the order of reading, then by line and column."""
        return self._in_order(self._problems)

    def warnings(self) -> tuple[Problem, ...]:
        """Return the warnings, ordered as the problems are."""
        return self._in_order(self._warnings)

    def _in_order(self, found: list[Problem]) -> tuple[Problem, ...]:
        last = len(self._order)
        return tuple(sorted(found, key=lambda p: (self._order.get(p.file, last), p.line, p.column)))


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
