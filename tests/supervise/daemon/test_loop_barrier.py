from __future__ import annotations

import os
import signal
from collections.abc import Callable

from supervise.daemon.loop import READABLE, Loop
from tests.support.isolated import isolated
from tests.support.loops import Faults, Pipe


class BrokenError(Exception):
    """What the callbacks of these tests raise."""


class SomeOwner:
    """Counts how often it was given up."""

    def __init__(self, name: str = "owner") -> None:
        self.name = name
        self.abandoned = 0

    def abandon(self) -> None:
        self.abandoned += 1


def raiser(text: str = "boom") -> Callable[..., None]:
    def callback(*_: object) -> None:
        raise BrokenError(text)

    return callback


def test_callback_that_raises_costs_its_owner_and_nobody_else(
    loop: Loop, faults: Faults, pipes: Callable[[], Pipe]
) -> None:
    bad, good = SomeOwner("bad"), SomeOwner("good")
    (bad_fd, bad_write), (good_fd, good_write) = pipes(), pipes()
    seen: list[int] = []
    for write_fd in (bad_write, good_write):
        os.write(write_fd, b"x")
    loop.watch(bad_fd, READABLE, raiser(), bad)
    loop.watch(good_fd, READABLE, seen.append, good)

    for _ in range(3):
        loop.turn()

    assert faults == [("bad", "boom")]
    assert (bad.abandoned, good.abandoned) == (1, 0)
    assert seen == [READABLE] * 3


def test_faulty_descriptor_without_an_owner_is_forgotten(
    loop: Loop, faults: Faults, pipes: Callable[[], Pipe]
) -> None:
    read_fd, write_fd = pipes()
    os.write(write_fd, b"x")
    loop.watch(read_fd, READABLE, raiser())

    for _ in range(3):
        loop.turn()

    assert faults == [("supervise", "boom")]
    loop.watch(read_fd, READABLE, lambda _: None)  # the number is free again


def test_faulty_timer_costs_its_owner_and_nobody_else(loop: Loop, faults: Faults) -> None:
    owner = SomeOwner()
    ran: list[str] = []
    moment = loop.now()
    loop.call_at(moment, raiser(), owner)
    loop.call_at(moment, lambda: ran.append("next"))

    loop.turn()

    assert (faults, owner.abandoned, ran) == ([("owner", "boom")], 1, ["next"])


def test_faulty_soon_costs_its_owner_and_nobody_else(loop: Loop, faults: Faults) -> None:
    owner = SomeOwner()
    ran: list[str] = []
    loop.call_soon(raiser(), owner)
    loop.call_soon(lambda: ran.append("next"))

    loop.turn()

    assert (faults, owner.abandoned, ran) == ([("owner", "boom")], 1, ["next"])


def test_owner_that_cannot_even_be_given_up_is_told_of_twice(loop: Loop, faults: Faults) -> None:
    owner = SomeOwner()
    owner.abandon = raiser("bang")  # type: ignore[method-assign]
    loop.call_soon(raiser(), owner)

    loop.turn()

    assert faults == [("owner", "boom"), ("owner", "bang")]


def test_what_an_owner_watches_afresh_when_it_is_given_up_stays(
    loop: Loop, pipes: Callable[[], Pipe]
) -> None:
    read_fd, write_fd = pipes()
    os.write(write_fd, b"x")
    owner, other = SomeOwner(), SomeOwner("other")
    seen: list[int] = []

    def abandon() -> None:
        loop.forget(read_fd)
        loop.watch(read_fd, READABLE, seen.append, other)

    owner.abandon = abandon  # type: ignore[method-assign]
    loop.watch(read_fd, READABLE, raiser(), owner)

    loop.turn()
    loop.turn()

    assert seen == [READABLE]


@isolated
def test_faulty_signal_callback_costs_one_signal(loop: Loop, faults: Faults) -> None:
    seen: list[int] = []

    def callback(number: int) -> None:
        seen.append(number)
        if number == signal.SIGUSR1:
            raise BrokenError("boom")

    loop.take_signals([signal.SIGUSR1, signal.SIGUSR2], callback)
    os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR2)

    loop.turn()

    assert (seen, faults) == ([signal.SIGUSR1, signal.SIGUSR2], [("supervise", "boom")])
