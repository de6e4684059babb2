"""Runs the real event loop in a test until something is true."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from supervise.daemon.loop import Loop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class NoTimeLeftError(AssertionError):
    """The fact did not become true in time."""


def turn_until(loop: Loop, fact: Callable[[], object], timeout: float = 10.0) -> None:
    """Turn *loop* until *fact* is true; fail after *timeout* seconds.

    Between turns the loop sleeps as it does in PID 1, so a fact that is made true from outside,
    and not by one of its callbacks, is noticed at the loop's next event.
    """
    loop._running = True  # else `turn` only polls, for it must not sleep after `stop`
    end = loop.call_later(timeout, lambda: None)
    deadline = time.monotonic() + timeout
    while not fact():
        if time.monotonic() >= deadline:
            raise NoTimeLeftError(f"still not true after {timeout} s")
        loop.turn()
    end.cancel()


def turn_for(loop: Loop, seconds: float) -> None:
    """Let *loop* work for *seconds*: for facts of the kind "nothing happens"."""
    done: list[bool] = []
    loop.call_later(seconds, lambda: done.append(True))
    turn_until(loop, lambda: done, seconds + 10.0)


@contextlib.contextmanager
def running_loop() -> Iterator[Loop]:
    """Yield a loop that lets no fault pass: the test fails with what a callback raised."""
    faults: list[Exception] = []
    loop = Loop(lambda _owner, error: faults.append(error))
    try:
        yield loop
    finally:
        loop.close()
    if faults:
        raise faults[0]


Pipe = tuple[int, int]  # (read end, write end)


class Faults(list[tuple[str, str]]):
    """(owner, text) of every fault that a loop contained."""

    def take(self, owner: str, error: Exception) -> None:
        """Note a fault; what a `Loop` is given as *on_fault*."""
        self.append((owner, str(error)))
