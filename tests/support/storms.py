"""Every signal at once: what a stopped process finds pending when it is continued."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable

from supervise.linux import signals
from tests.support import procfs
from tests.support.eventually import eventually

# All that can be pending at once: 1 to 64, but the two that are never and the two that libc keeps.
ALL = frozenset(map(int, signal.valid_signals())) - {signal.SIGKILL, signal.SIGSTOP}
CAUGHT = frozenset(signals.catchable())
# They ask supervise without a main command to shut down.
ENDS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGPWR, 37})


def burst(pid: int, numbers: Iterable[int]) -> None:
    """Let all of *numbers* be pending at once for process *pid*.

    SIGCONT is among them in any case: it is what continues the process, and comes last.
    """
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: procfs.row(pid).state == "T")
    for number in sorted(set(numbers) - {signal.SIGCONT, signal.SIGKILL, signal.SIGSTOP}):
        if number not in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):  # CONT takes them back
            os.kill(pid, number)
    os.kill(pid, signal.SIGCONT)
