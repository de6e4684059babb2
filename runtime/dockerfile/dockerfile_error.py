"""What is said of a Dockerfile that cannot be built."""

from __future__ import annotations

from runtime.model.errors import RuntimeFailure

_SHOWN = 200  # characters of a line that a message repeats


class DockerfileError(RuntimeFailure):
    """One problem at one line: `Dockerfile:12: what`, the line, and the way out.

    *line* counts from 1; 0 where the file as a whole is meant.
    """

    def __init__(self, what: str, line: int = 0, hint: str = "", text: str = "") -> None:
        self.what = what
        self.line = line
        self.text = text  # the instruction, as far as it is known
        shown = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
        place = f"Dockerfile:{line}: " if line else "Dockerfile: "
        message = f"{place}{what}"
        if shown:
            message += f"\n  {line:>4} | {shown}"
        super().__init__(message, hint, code=1)

    def at(self, line: int, text: str = "", hint: str = "") -> DockerfileError:
        """Return the same problem with its place, and *hint* if it has none of its own."""
        if self.line:
            return self
        return DockerfileError(self.what, line, self.hint or hint, text)


class UnterminatedError(DockerfileError):
    """A quote or a brace that is not closed in its word."""
