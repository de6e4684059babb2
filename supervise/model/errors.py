"""The errors a user can mend, with their fields first and their text last.

Two other families need no class here: the system's refusals are `OSError`, and every other
exception is a bug of ours.
"""

from __future__ import annotations

from supervise.model.record import Record


class Problem(Record):
    """One thing that is wrong in a configuration.

    Rendered as ``file:line:column: path: what; hint``.
    """

    file: str
    line: int  # counted from 1; 0 when the problem belongs to no line
    column: int  # counted from 1
    path: str  # dotted, such as services.web.stop_signal; empty for the whole file
    what: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        path = f"{self.path}: " if self.path else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{place}: {path}{self.what}{hint}"


class ConfigError(Exception):
    """The user's configuration cannot be used; every problem found, in file order."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def reason_of(error: Exception) -> str:
    """Return why *error* came about in words; of a bug its class and text.

    What Python says of text that the kernel cannot take names neither the text nor the trouble.
    """
    if isinstance(error, UnicodeError):
        return "half a surrogate pair is no text"
    if isinstance(error, ValueError) and str(error).startswith("embedded null"):
        return "a NUL is in it"
    return f"{type(error).__name__}: {error}"
