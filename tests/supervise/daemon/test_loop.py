from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from supervise.daemon.loop import HANGUP, READABLE, WRITABLE, Loop, Timer
from tests.support.loops import Pipe

# -- timers


def test_due_timers_run_in_the_order_of_their_moments(loop: Loop) -> None:
    ran: list[str] = []
    start = loop.now()
    for name, age in (("b", 2.0), ("c", 1.0), ("a", 3.0), ("b2", 2.0)):
        loop.call_at(start - age, lambda name=name: ran.append(name))  # type: ignore[misc]

    loop.turn()

    assert ran == ["a", "b", "b2", "c"]


def test_timers_of_one_moment_run_in_the_order_of_the_calls(loop: Loop) -> None:
    ran: list[int] = []
    moment = loop.now()
    for number in range(5):
        loop.call_at(moment, lambda number=number: ran.append(number))  # type: ignore[misc]

    loop.turn()

    assert ran == [0, 1, 2, 3, 4]


def test_timer_runs_once_and_not_before_its_moment(loop: Loop) -> None:
    ran: list[float] = []
    due = loop.now() + 0.02
    loop.call_at(due, lambda: ran.append(loop.now()))
    loop.call_at(due + 0.02, loop.stop)

    loop.run()

    assert len(ran) == 1
    assert ran[0] >= due


def test_a_timer_beyond_what_the_kernel_counts_breaks_nothing(
    loop: Loop, pipes: Callable[[], Pipe]
) -> None:
    ran: list[str] = []
    loop.call_later(10_000 * 86400.0, lambda: ran.append("in 27 years"))
    read_fd, write_fd = pipes()
    loop.watch(read_fd, READABLE, lambda _: loop.stop())
    os.write(write_fd, b"x")

    loop.run()

    assert ran == []


def test_cancelled_timer_does_not_run(loop: Loop) -> None:
    ran: list[str] = []
    timer = loop.call_later(0.0, lambda: ran.append("cancelled"))
    loop.call_later(0.0, loop.stop)

    timer.cancel()
    timer.cancel()
    loop.run()

    assert ran == []


def test_timer_may_cancel_another_that_is_due_as_well(loop: Loop) -> None:
    ran: list[str] = []
    moment = loop.now()
    second: Timer | None = None

    def cancel_the_second() -> None:
        assert second is not None
        second.cancel()

    loop.call_at(moment, cancel_the_second)
    second = loop.call_at(moment, lambda: ran.append("second"))

    loop.turn()

    assert ran == []


def test_cancelling_after_the_fact_does_nothing(loop: Loop) -> None:
    ran: list[str] = []
    timer = loop.call_at(loop.now(), lambda: ran.append("timer"))
    loop.turn()

    timer.cancel()
    loop.call_at(loop.now(), lambda: ran.append("next"))
    loop.turn()

    assert ran == ["timer", "next"]


def test_timer_that_arms_itself_again_lets_others_have_their_turn(
    loop: Loop, pipes: Callable[[], Pipe]
) -> None:
    def again() -> None:
        loop.call_later(0.0, again)

    read_fd, write_fd = pipes()
    loop.watch(read_fd, READABLE, lambda _: loop.stop())
    os.write(write_fd, b"x")
    again()

    loop.run()

    assert not loop._running


def test_many_cancelled_timers_are_freed(loop: Loop) -> None:
    kept = loop.call_later(3600.0, lambda: None)

    for _ in range(20_000):
        loop.call_later(3600.0, lambda: None).cancel()

    assert len(loop._timers) < 1000
    assert any(entry[2] is kept for entry in loop._timers)


def test_timers_that_are_left_run_after_the_dead_ones_are_freed(loop: Loop) -> None:
    ran: list[int] = []
    moment = loop.now()
    timers = [
        loop.call_at(moment, lambda number=number: ran.append(number))  # type: ignore[misc]
        for number in range(2000)
    ]
    for timer in timers[::2] + timers[1:-4:2]:
        timer.cancel()

    loop.turn()

    assert ran == [1997, 1999]


def test_wall_clock_has_no_part_in_a_delay(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    def set_back() -> float:
        raise AssertionError("the wall clock was asked")

    for name in ("time", "time_ns", "clock_gettime"):
        monkeypatch.setattr(time, name, set_back)
    ran: list[str] = []
    loop.call_later(0.01, lambda: ran.append("timer"))
    loop.call_later(0.02, loop.stop)

    loop.run()

    assert ran == ["timer"]


# -- call_soon


def test_soon_is_in_order_and_never_from_within_the_caller(loop: Loop) -> None:
    ran: list[int] = []

    loop.call_soon(lambda: ran.append(1))
    loop.call_soon(lambda: ran.append(2))
    before = list(ran)
    loop.turn()

    assert (before, ran) == ([], [1, 2])


def test_soon_from_within_soon_waits_for_the_next_turn(loop: Loop) -> None:
    ran: list[str] = []
    loop.call_soon(lambda: loop.call_soon(lambda: ran.append("inner")))

    loop.turn()
    before = list(ran)
    loop._running = True  # so that it would sleep if it forgot about the callback
    loop.turn()

    assert (before, ran) == ([], ["inner"])


def test_soon_comes_after_all_else_of_the_turn(loop: Loop, pipes: Callable[[], Pipe]) -> None:
    ran: list[str] = []
    read_fd, write_fd = pipes()
    os.write(write_fd, b"x")
    loop.watch(read_fd, READABLE, lambda _: ran.append("descriptor"))
    loop.call_soon(lambda: ran.append("soon"))
    loop.call_at(loop.now(), lambda: ran.append("timer"))

    loop.turn()

    assert ran == ["timer", "descriptor", "soon"]


def test_stop_ends_the_run_with_the_turn(loop: Loop) -> None:
    ran: list[str] = []
    loop.call_soon(loop.stop)
    loop.call_soon(lambda: ran.append("same turn"))

    loop.run()

    assert ran == ["same turn"]


# -- descriptors


def test_descriptor_is_reported_as_long_as_it_is_ready(
    loop: Loop, pipes: Callable[[], Pipe]
) -> None:
    read_fd, write_fd = pipes()
    os.write(write_fd, b"ab")
    got: list[bytes] = []
    loop.watch(read_fd, READABLE, lambda _: got.append(os.read(read_fd, 1)))

    for _ in range(4):
        loop.turn()

    assert got == [b"a", b"b"]


def test_events_are_told_apart(loop: Loop) -> None:
    read_fd, write_fd = os.pipe()
    seen: list[int] = []
    loop.watch(write_fd, WRITABLE, seen.append)
    loop.turn()
    loop.change(write_fd, 0)
    loop.turn()
    os.close(read_fd)
    loop.turn()

    assert len(seen) == 2
    assert seen[0] == WRITABLE
    assert seen[1] & HANGUP
    os.close(write_fd)


def test_forgotten_descriptor_is_not_reported(loop: Loop, pipes: Callable[[], Pipe]) -> None:
    read_fd, write_fd = pipes()
    os.write(write_fd, b"x")
    seen: list[int] = []
    loop.watch(read_fd, READABLE, seen.append)

    loop.forget(read_fd)
    loop.forget(read_fd)
    loop.turn()

    assert seen == []


def test_descriptor_forgotten_within_the_turn_is_not_reported(
    loop: Loop, pipes: Callable[[], Pipe]
) -> None:
    ends = [pipes(), pipes()]
    reported: list[int] = []

    def forget_the_others(fd: int) -> None:
        reported.append(fd)
        for other, _ in ends:
            loop.forget(other)

    for read_fd, write_fd in ends:
        os.write(write_fd, b"x")
        loop.watch(read_fd, READABLE, lambda _, fd=read_fd: forget_the_others(fd))  # type: ignore[misc]

    loop.turn()

    assert len(reported) == 1


def test_number_that_is_used_again_within_the_turn_does_not_get_the_old_ones_event(
    loop: Loop, pipes: Callable[[], Pipe]
) -> None:
    ends = [pipes(), pipes()]
    silent, _ = pipes()
    reported: list[str] = []

    def replace_the_other(this: int) -> None:
        (other,) = {read_fd for read_fd, _ in ends} - {this}
        loop.forget(other)
        os.dup2(silent, other)  # closes the old one
        loop.watch(other, READABLE, lambda _: reported.append("the new one"))

    for read_fd, write_fd in ends:
        os.write(write_fd, b"x")
        loop.watch(read_fd, READABLE, lambda _, fd=read_fd: replace_the_other(fd))  # type: ignore[misc]

    loop.turn()

    assert reported == []
