from __future__ import annotations

import fcntl
import os
import signal
import termios

import pytest

from supervise.linux import signal_actions, tty
from tests.support import procfs
from tests.support.isolated import isolated
from tests.support.spawning import held, make_request


def terminal(*, ours: bool) -> tuple[int, int]:
    """Return a new terminal's (master, slave), our controlling terminal if it is to be *ours*."""
    os.setsid()
    master, slave = os.openpty()
    if ours:
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    signal_actions.ignore_terminal_stops()
    return master, slave


@isolated
def test_program_is_the_foreground_of_our_terminal_in_our_session() -> None:
    _, slave = terminal(ours=True)

    with held(make_request("cat", terminal_fd=slave)) as pid:
        assert os.tcgetpgrp(slave) == pid == os.getpgid(pid)
        assert os.getsid(pid) == os.getsid(0)


@isolated
def test_terminal_that_is_not_ours_becomes_the_programs() -> None:
    master, slave = terminal(ours=False)

    with held(make_request("cat", terminal_fd=slave)) as pid:
        assert os.getsid(pid) == pid
        assert os.tcgetpgrp(master) == pid


@isolated
def test_program_with_the_terminal_starts_with_default_signal_actions() -> None:
    _, slave = terminal(ours=True)

    with held(make_request("cat", terminal_fd=slave)) as pid:
        assert procfs.signal_set(pid, "SigIgn") <= {32, 33}  # glibc's own
        assert procfs.signal_set(pid, "SigBlk") == set()


@isolated
def test_foreground_is_taken_back() -> None:
    _, slave = terminal(ours=True)
    with held(make_request("cat", terminal_fd=slave)) as pid:
        before = os.tcgetpgrp(slave)
        tty.take_back(slave)
        after = os.tcgetpgrp(slave)

    assert (before, after) == (pid, os.getpgrp())


@pytest.mark.parametrize("ours", [True, False])
@isolated
def test_terminal_that_is_gone_is_not_taken_back(*, ours: bool) -> None:
    master, slave = terminal(ours=ours)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what losing one's terminal means
    os.close(master)

    tty.take_back(slave)

    assert os.getpgrp() == os.getpid()


def test_terminal_is_told_from_other_descriptors() -> None:
    master, slave = os.openpty()
    read_fd, write_fd = os.pipe()

    assert tty.is_terminal(slave)
    assert not tty.is_terminal(read_fd)
    for fd in (master, slave, read_fd, write_fd):
        os.close(fd)
    assert not tty.is_terminal(slave)


@isolated
def test_terminal_has_hung_up_once_its_other_end_is_closed() -> None:
    master, slave = terminal(ours=True)
    signal.signal(signal.SIGHUP, lambda *_: told.append(tty.has_hung_up(slave)))
    told: list[bool] = []

    before = tty.has_hung_up(slave)
    os.kill(os.getpid(), signal.SIGHUP)
    os.close(master)

    # The kernel's own SIGHUP comes when the terminal has gone already.
    assert (before, told) == (False, [False, True])
