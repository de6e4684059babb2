"""Our contexts against the originals: the same blocks end in the same way."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from runtime.model import contexts

Notes = list[str]


def fails(word: str) -> None:
    raise OSError(word)


def suppressed(module: Any, notes: Notes) -> None:
    with module.suppress(KeyError, OSError):
        notes.append("in")
        fails("suppressed")
    notes.append("after")


def not_suppressed(module: Any, notes: Notes) -> None:
    with module.suppress(KeyError):
        raise ValueError("other")


def generated(module: Any, notes: Notes) -> None:
    @module.contextmanager  # type: ignore[untyped-decorator, unused-ignore]
    def make(word: str) -> Iterator[str]:
        notes.append(word)
        try:
            yield word.upper()
        finally:
            notes.append("undone")

    with make("a") as got:
        notes.append(got)
    with make("b"):
        raise ValueError("through")


def caught_by_a_generator(module: Any, notes: Notes) -> None:
    @module.contextmanager  # type: ignore[untyped-decorator, unused-ignore]
    def make() -> Iterator[None]:
        try:
            yield
        except ValueError:
            notes.append("caught")

    with make():
        int("no number")
    with make():
        raise StopIteration("through")


def turned_by_a_generator(module: Any, notes: Notes) -> None:
    @module.contextmanager  # type: ignore[untyped-decorator, unused-ignore]
    def make() -> Iterator[None]:
        try:
            yield
        except ValueError:
            raise KeyError("turned") from None

    with make():
        raise ValueError("it")


def yields_twice(module: Any, notes: Notes) -> None:
    @module.contextmanager  # type: ignore[untyped-decorator, unused-ignore]
    def make() -> Iterator[None]:
        yield
        yield

    with make():
        notes.append("in")


def stacked(module: Any, notes: Notes) -> None:
    with module.ExitStack() as stack:
        stack.callback(notes.append, "first")
        stack.callback(fails, word="second")
        stack.callback(notes.append, "third")
        notes.append("in")


@pytest.mark.parametrize(
    "scene",
    [
        suppressed,
        not_suppressed,
        generated,
        caught_by_a_generator,
        turned_by_a_generator,
        yields_twice,
        stacked,
    ],
)
def test_a_block_ends_as_with_contextlib(scene: Callable[[Any, Notes], None]) -> None:
    ends = []
    for module in (contextlib, contexts):
        notes: Notes = []
        error: BaseException | None = None
        try:
            scene(module, notes)
        except (KeyError, OSError, RuntimeError, StopIteration, ValueError) as raised:
            error = raised
        ends.append((notes, type(error), type(error) is RuntimeError or str(error)))

    assert ends[0] == ends[1]
