"""Every signal at once: what a stopped process finds pending when it is continued."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable

from supervise.linux import signal_actions
from tests.support import procfs
from tests.support.eventually import eventually

# All that can be pending at once: 1 to 64, but the two that are never and the two that libc keeps.
ALL = frozenset(map(int, signal.valid_signals())) - {signal.SIGKILL, signal.SIGSTOP}
CAUGHT = frozenset(signal_actions.catchable())
# They ask supervise without a main command to shut down.
ENDS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGPWR, 37})
_STOPS = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}


def burst(
    pid: int,
    numbers: Iterable[int],
    *,
    times: int = 1,
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Let all of *numbers* be pending at once for process *pid*, real-time ones *times* times.

    SIGCONT is among them in any case: it is what continues the process, and comes last.  The other
    stop signals are left out, because it takes them back.  *meanwhile* is called while
    *pid* is stopped.
    """
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: procfs.row(pid).state == "T")
    if meanwhile is not None:
        meanwhile()
    for number in sorted(set(numbers) - _STOPS - {signal.SIGCONT}):
        for _ in range(times):
            os.kill(pid, number)
    os.kill(pid, signal.SIGCONT)
