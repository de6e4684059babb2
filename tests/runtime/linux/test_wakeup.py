"""A signal is heard in poll(2), however late it comes before the call."""

from __future__ import annotations

import os
import select
import signal

from runtime.linux.wakeup import WakeUp


def test_a_signal_before_the_wait_ends_the_wait() -> None:
    before = signal.signal(signal.SIGUSR1, lambda _number, _frame: None)
    poll = select.poll()
    try:
        with WakeUp() as wakeup:
            poll.register(wakeup.fd, select.POLLIN)
            os.kill(os.getpid(), signal.SIGUSR1)  # its handler has run when this returns

            assert poll.poll(0) == [(wakeup.fd, select.POLLIN)]
            wakeup.drain()
            assert poll.poll(0) == []
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_who_was_told_before_is_told_again_afterwards() -> None:
    with WakeUp() as outer:
        with WakeUp():
            pass
        assert signal.set_wakeup_fd(-1) > 0
        signal.set_wakeup_fd(-1)
        assert os.fstat(outer.fd)
