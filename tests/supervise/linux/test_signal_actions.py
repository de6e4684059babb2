from __future__ import annotations

import os
import signal

import pytest

from supervise.linux import signal_actions
from tests.support import procfs
from tests.support.eventually import eventually
from tests.support.isolated import isolated


def test_everything_is_caught_but_what_cannot_or_must_not_be() -> None:
    left_out = {
        "SIGKILL", "SIGSTOP",  # cannot
        "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGSEGV", "SIGSYS",  # a crash
        "SIGTTIN", "SIGTTOU",  # ignored instead
    }  # fmt: skip

    caught = signal_actions.catchable()

    assert caught == sorted(signal.valid_signals() - {getattr(signal, name) for name in left_out})


@isolated
def test_what_is_caught_can_be_caught() -> None:
    for number in signal_actions.catchable():
        signal.signal(number, lambda *_: None)

    assert procfs.signal_set(os.getpid(), "SigCgt") >= set(signal_actions.catchable())


@isolated
def test_unblocking_tells_what_was_held_back() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGTERM, signal.SIGRTMIN + 3})

    held_back = signal_actions.unblock_all()

    assert held_back == {15, 37}
    assert procfs.signal_set(os.getpid(), "SigBlk") == set()


@isolated
def test_signal_that_was_held_back_arrives() -> None:
    got: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: got.append(number))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    os.kill(os.getpid(), signal.SIGTERM)

    signal_actions.unblock_all()

    assert got == [signal.SIGTERM]


@isolated
def test_blocking_is_undone_exactly() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR1})

    mask = signal_actions.block_all()
    blocked = procfs.signal_set(os.getpid(), "SigBlk")
    signal_actions.restore_mask(mask)

    unblockable = {signal.SIGKILL, signal.SIGSTOP}
    assert blocked == signal.valid_signals() - unblockable
    assert procfs.signal_set(os.getpid(), "SigBlk") == {signal.SIGUSR1}


@isolated
def test_terminal_stops_are_ignored_and_given_back() -> None:
    signal_actions.ignore_terminal_stops()
    ignored = procfs.signal_set(os.getpid(), "SigIgn") & {signal.SIGTTIN, signal.SIGTTOU}
    told = signal_actions.terminal_stops_are_ignored()
    signal_actions.default_terminal_stops()

    assert (ignored, told) == ({signal.SIGTTIN, signal.SIGTTOU}, True)
    assert not signal_actions.terminal_stops_are_ignored()
    assert not procfs.signal_set(os.getpid(), "SigIgn") & {signal.SIGTTIN, signal.SIGTTOU}


@isolated
def test_reset_leaves_no_handler_and_nothing_ignored() -> None:
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    signal_actions.reset_all()

    assert procfs.signal_set(os.getpid(), "SigCgt") - {32, 33} == set()
    assert procfs.signal_set(os.getpid(), "SigIgn") - {32, 33} == set()


@isolated
def test_kill_tells_whether_there_is_such_a_process() -> None:
    pid = os.fork()
    if pid == 0:
        signal.pause()

    sent = signal_actions.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)

    assert (sent, os.WTERMSIG(status)) == (True, signal.SIGKILL)
    assert not signal_actions.kill(pid, signal.SIGKILL)


@isolated
def test_group_is_signalled_whole_and_then_gone() -> None:
    leader = os.fork()
    if leader == 0:
        os.setpgid(0, 0)
        os.fork()
        while True:
            signal.pause()
    eventually(lambda: os.getpgid(leader) == leader)

    assert signal_actions.kill_group(leader, 0)
    assert signal_actions.kill_group(leader, signal.SIGKILL)

    os.waitpid(leader, 0)
    # Its other member is reaped by whoever adopted it.
    eventually(lambda: not signal_actions.kill_group(leader, 0))


@pytest.mark.needs("root")
@isolated
def test_process_of_another_user_is_not_ours_to_kill() -> None:
    os.setresuid(65534, 65534, 65534)

    with pytest.raises(PermissionError):
        signal_actions.kill(1, signal.SIGTERM)


@pytest.mark.needs("root")
@isolated
def test_group_of_another_user_still_counts_as_there() -> None:
    theirs = os.getpgid(os.getppid())
    os.setpgid(0, 0)
    os.setresuid(65534, 65534, 65534)

    assert signal_actions.kill_group(theirs, 0)
