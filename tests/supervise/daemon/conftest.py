"""A loop of its own for each test, what it complains of, and pipes to feed it with."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from supervise.daemon.loop import Loop
from tests.support.loops import Faults, Pipe


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def loop(faults: Faults) -> Iterator[Loop]:
    made = Loop(faults.take)
    yield made
    made.close()


@pytest.fixture
def pipes() -> Iterator[Callable[[], Pipe]]:
    """Makes non-blocking pipes and closes them after the test."""
    made: list[int] = []

    def make() -> Pipe:
        ends = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        made.extend(ends)
        return ends

    yield make
    for fd in made:
        os.close(fd)
