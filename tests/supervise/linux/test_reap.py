from __future__ import annotations

import os
import signal

import pytest

from supervise.linux import prctl, reap
from supervise.model.exitstatus import Exited, Killed
from tests.support import procfs
from tests.support.eventually import eventually
from tests.support.isolated import isolated


def child(code: int = 0) -> int:
    """Start a child that ends at once, and wait until it has; it is not reaped."""
    pid = os.fork()
    if pid == 0:
        os._exit(code)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return pid


def sleeper() -> int:
    """Start a child that never ends by itself."""
    pid = os.fork()
    if pid == 0:
        while True:
            signal.pause()
    return pid


@isolated
def test_without_children_there_is_nothing_to_reap() -> None:
    assert reap.reap() == []
    assert not reap.has_children()


@isolated
def test_all_who_ended_are_reaped_at_once() -> None:
    expected = {child(code): Exited(code) for code in (0, 1, 255)}

    assert dict(reap.reap()) == expected
    assert not reap.has_children()


@isolated
def test_death_by_signal_is_told_from_an_exit() -> None:
    pid = sleeper()
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    assert reap.reap() == [(pid, Killed(9))]


@isolated
def test_limit_leaves_the_rest_for_the_next_call() -> None:
    pids = [child() for _ in range(5)]

    first, second = reap.reap(limit=3), reap.reap(limit=3)

    assert (len(first), len(second)) == (3, 2)
    assert sorted(pid for pid, _ in first + second) == sorted(pids)


@isolated
def test_living_child_is_left_alone() -> None:
    pid = sleeper()

    assert reap.reap() == []
    assert reap.has_children()

    os.kill(pid, signal.SIGKILL)


@isolated
def test_stop_is_no_end() -> None:
    pid = sleeper()
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: procfs.row(pid).state == "T")

    assert reap.reap() == []
    assert reap.stopped_children() == [(pid, signal.SIGSTOP)]
    assert reap.stopped_children() == []

    os.kill(pid, signal.SIGKILL)


@isolated
def test_looking_takes_nothing_away() -> None:
    pid = child(7)

    assert reap.has_children()
    assert reap.stopped_children() == []
    assert reap.reap() == [(pid, Exited(7))]


@isolated
def test_stopped_children_of_none_are_none() -> None:
    assert reap.stopped_children() == []


@isolated
def test_orphans_are_reaped_as_our_own() -> None:
    prctl.set_child_subreaper()
    read_fd, write_fd = os.pipe()
    parent = os.fork()
    if parent == 0:
        orphan = os.fork()
        if orphan == 0:
            os.close(write_fd)
            os.read(read_fd, 1)  # until the parent is gone
            os._exit(9)
        os._exit(0)
    os.waitpid(parent, 0)
    orphan = procfs.children(os.getpid())[0]
    os.close(write_fd)

    assert eventually(reap.reap) == [(orphan, Exited(9))]


def test_isolated_test_that_fails_fails() -> None:
    @isolated
    def broken() -> None:
        assert reap.has_children()

    with pytest.raises(AssertionError, match="has_children"):
        broken()
