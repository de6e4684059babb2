"""Failures of a build as a person is told them: the place in the Dockerfile, the lines around it."""

from __future__ import annotations

from contextlib import contextmanager

from runtime.builder.executor import Failed
from runtime.dockerfile.dockerfile_error import DockerfileError
from runtime.model.errors import RuntimeFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.dockerfile.commands import Place

_AROUND = 2  # lines shown before and after
_MOST = 12  # lines of the instruction itself
_RULE = "-" * 20


@contextmanager
def at(place: Place) -> Iterator[None]:
    """Say of a failure inside that it is this instruction's."""
    try:
        yield
    except (Failed, DockerfileError):
        raise
    except RuntimeFailure as failure:
        raise Failed(failure, place.first_line, place.last_line) from failure


@contextmanager
def located(name: str, text: bytes) -> Iterator[None]:
    """Put the place in the Dockerfile *name*, which is *text*, into the failures inside."""
    try:
        yield
    except DockerfileError as problem:
        place = f"{name}:{problem.line}: " if problem.line else f"{name}: "
        hint = f"{problem.hint}\n" if problem.hint else ""
        shown = _excerpt(text, problem.line, problem.line) if problem.line else ""
        raise RuntimeFailure(
            f"cannot build: {place}{problem.what}", f"{hint}{shown}".rstrip("\n"), 1
        ) from problem
    except Failed as failure:
        message = f"cannot build: {name}:{failure.first}: {failure.message}"
        shown = _excerpt(text, failure.first, failure.last)
        hint = f"{failure.hint}\n" if failure.hint else ""
        raise RuntimeFailure(message, f"{hint}{shown}".rstrip("\n"), 1) from failure


def _excerpt(text: bytes, first: int, last: int) -> str:
    """Return the instruction's lines marked, and some around them."""
    lines = text.decode(errors="replace").rstrip("\n").split("\n")  # as the parser counts them
    last = min(last, first + _MOST)
    shown = []
    for number in range(max(1, first - _AROUND), min(len(lines), last + _AROUND) + 1):
        mark = ">>>" if first <= number <= last else "   "
        shown.append(f"{number:4} | {mark} {lines[number - 1]}".rstrip())
    return "\n".join([_RULE, *shown, _RULE])
