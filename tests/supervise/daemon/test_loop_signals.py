from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable

from supervise.daemon.loop import Loop
from tests.support import procfs
from tests.support.eventually import eventually, holds
from tests.support.isolated import isolated
from tests.support.loops import Pipe


class BrokenError(Exception):
    """What the callbacks of these tests raise."""


@isolated
def test_no_signal_is_lost_when_the_wake_up_pipe_is_full(loop: Loop) -> None:
    seen: list[int] = []
    loop.take_signals([signal.SIGUSR1, signal.SIGUSR2], seen.append)
    size = fcntl.fcntl(loop._wake_write, fcntl.F_SETPIPE_SZ, 4096)
    sent = [signal.SIGUSR1, signal.SIGUSR2] * 5000
    for number in sent:
        os.kill(os.getpid(), number)

    loop.turn()

    assert size < len(sent)
    assert seen == sent


@isolated
def test_loop_sleeps_again_after_a_full_wake_up_pipe(loop: Loop) -> None:
    loop.take_signals([signal.SIGUSR1], lambda _: None)
    for _ in range(10_000):
        os.kill(os.getpid(), signal.SIGUSR1)

    loop.turn()

    assert loop._epoll.poll(0) == []


@isolated
def test_signal_during_a_turn_is_delivered_in_it(loop: Loop) -> None:
    seen: list[int] = []
    loop.take_signals([signal.SIGUSR1], seen.append)
    loop.call_at(loop.now(), lambda: os.kill(os.getpid(), signal.SIGUSR1))

    loop.turn()

    assert seen == [signal.SIGUSR1]


@isolated
def test_signal_at_the_end_of_a_turn_keeps_the_next_from_sleeping(loop: Loop) -> None:
    seen: list[int] = []
    loop.take_signals([signal.SIGUSR1], seen.append)
    loop.call_soon(lambda: os.kill(os.getpid(), signal.SIGUSR1))
    loop.turn()
    loop._running = True  # it may sleep for ever

    loop.turn()

    assert seen == [signal.SIGUSR1]


@isolated
def test_signal_noted_before_the_loop_runs_is_delivered(loop: Loop) -> None:
    seen: list[int] = []
    loop.note_signal(signal.SIGTERM)
    loop.take_signals([signal.SIGTERM], seen.append)
    loop._running = True

    loop.turn()

    assert seen == [signal.SIGTERM]


def start_idle_loop(loop: Loop, told: int) -> int:
    """Fork a process that runs *loop* with nothing to do; SIGUSR1 makes it write to *told*."""
    report = open(told, "w", closefd=False)  # noqa: SIM115 - the child's, until it is killed
    pid = os.fork()
    if pid == 0:
        loop.take_signals([signal.SIGUSR1], lambda _: print(end="!", file=report, flush=True))
        loop.call_later(3600.0, lambda: None)
        loop.call_later(1.0, lambda: None).cancel()
        loop.run()
    eventually(lambda: procfs.row(pid).state == "S")
    return pid


@isolated
def test_signal_ends_the_sleep(loop: Loop, pipes: Callable[[], Pipe]) -> None:
    read_fd, write_fd = pipes()
    os.set_blocking(read_fd, True)
    pid = start_idle_loop(loop, write_fd)

    os.kill(pid, signal.SIGUSR1)

    assert os.read(read_fd, 1) == b"!"
    os.kill(pid, signal.SIGKILL)


@isolated
def test_idle_loop_never_wakes_up(loop: Loop, pipes: Callable[[], Pipe]) -> None:
    pid = start_idle_loop(loop, pipes()[1])
    asleep_since = procfs.voluntary_switches(pid)

    # Longer than the timer that was cancelled.
    holds(lambda: procfs.voluntary_switches(pid) == asleep_since, seconds=1.5)

    assert procfs.row(pid).state == "S"
    os.kill(pid, signal.SIGKILL)


@isolated
def test_closed_loop_leaves_nothing_behind() -> None:
    before = procfs.descriptors()
    loop = Loop(lambda _owner, _error: None)
    loop.take_signals([signal.SIGUSR1], lambda _: None)

    loop.close()

    assert procfs.descriptors() == before
    assert signal.set_wakeup_fd(-1) == -1
