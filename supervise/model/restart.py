"""Restart policy: shall an ended service start again, and when.

Pure: callers pass the number of attempts, the time and the jitter.
`supervise.model.aftermath` and `supervise.daemon.survivors` call this.
"""

from __future__ import annotations

import enum
import errno

from supervise.model.exitstatus import Exited, ExitStatus
from supervise.model.service import Backoff, RestartMode, ServiceSpec, StartLimit

# execve and fork fail with these when the machine is short of something; that passes.
PASSING_ERRNOS = frozenset(
    {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ETXTBSY, errno.EINTR}
)


class Verdict(enum.Enum):
    """What follows the unrequested end of a process."""

    RESTART = "restart"
    COMPLETE = "complete"  # ended for good, and well
    FAIL = "fail"  # ended for good, and badly


def is_success(spec: ServiceSpec, status: ExitStatus) -> bool:
    """Return whether *status* is one the service may end with."""
    return isinstance(status, Exited) and status.code in spec.success_exit_codes


def judge(spec: ServiceSpec, *, success: bool, attempts: int) -> Verdict:
    """Decide what follows the end of a process; *attempts* counts this end."""
    mode = spec.restart.mode
    if mode is RestartMode.ALWAYS or mode is RestartMode.UNLESS_STOPPED:
        return Verdict.RESTART
    if success:
        return Verdict.COMPLETE
    if mode is RestartMode.NO:
        return Verdict.FAIL
    limit = spec.restart.max_retries
    return Verdict.FAIL if limit is not None and attempts > limit else Verdict.RESTART


def next_attempt(backoff: Backoff, attempts: int, ran_for: float) -> int:
    """Return the number of the coming attempt: 1 again after a run of `reset_after` seconds."""
    return 1 if ran_for >= backoff.reset_after else attempts + 1


def delay(backoff: Backoff, attempt: int, jitter: float) -> float:
    """Return the seconds to wait before the start that follows end number *attempt*.

    *jitter* lies between -1 and 1; the same value gives the same delay.  The result never
    exceeds ``backoff.max``, so that the documented ceiling is one.
    """
    if backoff.initial <= 0:
        return 0.0
    try:
        base = min(backoff.initial * float(backoff.factor) ** (attempt - 1), backoff.max)
    except OverflowError:  # 2.0 ** 1024, after months of attempts
        base = backoff.max
    return min(max(0.0, base * (1.0 + backoff.jitter * jitter)), backoff.max)


def recent(limit: StartLimit, starts: tuple[float, ...], now: float) -> tuple[float, ...]:
    """Return those of *starts* that the limit still counts at *now*."""
    return tuple(moment for moment in starts if now - moment < limit.interval)
