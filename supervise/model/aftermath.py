"""What follows the end of a process: a new start, a backoff, or an end for good.  Pure.

`supervise.model.lifecycle` says which event leads here; it is the only caller.
"""

from __future__ import annotations

from supervise.model import restart
from supervise.model.announcement import Announcement
from supervise.model.exitstatus import ExitStatus, Killed, shell_code
from supervise.model.process import (
    Announce,
    ArmTimer,
    Deadline,
    Desired,
    DisarmTimer,
    Effect,
    Process,
    ProcessState,
    Spawn,
    StopReason,
)
from supervise.model.restart import Verdict
from supervise.model.signals import signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    Step = tuple[Process, list[Effect]]

# The stops after which a service that is not wanted up is stopped, and has not ended by itself.
_ASKED_FOR = (StopReason.REQUESTED, StopReason.RESTART)


def spawn(process: Process, now: float, *, again: bool = False) -> Step:
    """Start the program, unless the start limit forbids it; *again*: by policy, not by request."""
    limit = process.spec.start_limit
    starts = restart.recent(limit, process.starts, now) if limit else ()
    if limit and len(starts) >= limit.burst:
        why = f"started {limit.burst} times within {limit.interval:g} s"
        return fail(process, now, f"{why}; {process.failure}" if process.failure else why)
    starting = _cleared(
        process,
        now,
        state=ProcessState.STARTING,
        desired=Desired.UP,
        started_at=None,
        starts=(*starts, now) if limit else (),
        restarts=process.restarts + again,
        cut_off=False,
    )
    return starting, [announce("service.starting", process), Spawn()]


def settle(process: Process, now: float, jitter: float) -> Step:
    """Decide what follows once the whole process is gone, by the reason of its stop."""
    disarm: list[Effect] = [DisarmTimer(Deadline.STOP)]
    if process.desired is Desired.DOWN and process.reason in _ASKED_FOR:
        after, effects = stopped(process, now)
    elif process.reason is StopReason.RESTART:
        after, effects = spawn(process.replace(attempts=0, starts=(), failure=""), now)
    else:
        last = process.last_exit
        left = process.reason is StopReason.LEFTOVERS
        success = left and last is not None and restart.is_success(process.spec, last)
        why = process.failure or (process.reason.value if process.reason else "")
        ended = process.replace(failure=why, cut_off=not left)
        after, effects = follow(ended, now, jitter, success=success)
    return after, disarm + effects


def stopped(process: Process, now: float) -> Step:
    """Put the service at rest once it is not wanted any more."""
    status = str(process.last_exit) if process.last_exit is not None else ""
    after = _cleared(
        process, now, state=ProcessState.STOPPED, desired=Desired.DOWN, attempts=0, failure=""
    )
    return after, [announce("service.stopped", process, status=status)]


def follow(
    process: Process, now: float, jitter: float, *, success: bool, must_retry: bool = False
) -> Step:
    """Decide what follows an end that was not requested."""
    spec = process.spec
    ran = now - process.started_at if process.started_at is not None else 0.0
    attempt = restart.next_attempt(spec.backoff, process.attempts, ran)
    ended = _cleared(process, now, attempts=attempt)
    verdict = restart.judge(spec, success=success, attempts=attempt)
    if must_retry:
        verdict = Verdict.RESTART
    if verdict is Verdict.COMPLETE:
        return ended.replace(state=ProcessState.EXITED), []
    if verdict is Verdict.FAIL:
        return fail(ended, now, process.failure)
    if process.desired is Desired.DOWN:
        return stopped(ended, now)  # the container ends
    # A start that failed for want of memory or processes must not spin, whatever is configured.
    wait = max(restart.delay(spec.backoff, attempt, jitter), 0.1 if must_retry else 0.0)
    if wait == 0.0:
        return spawn(ended, now, again=True)
    waiting = ended.replace(state=ProcessState.BACKOFF, next_start=now + wait)
    told = announce("service.backoff", process, delay=round(wait, 3), attempt=attempt)
    return waiting, [told, ArmTimer(Deadline.BACKOFF, wait)]


def fail(process: Process, now: float, why: str) -> Step:
    """End it for good, and badly; *why* is one clause."""
    failed = _cleared(process, now, state=ProcessState.FAILED, failure=why)
    return failed, [announce("service.failed", process, reason=why)]


def _cleared(process: Process, now: float, **changes: object) -> Process:
    """Return *process* with *changes*, and without all that belongs to one program's life."""
    return process.replace(
        pid=None,
        since=now,
        ready=False,
        health="",
        next_start=None,
        reason=None,
        killed=False,
        **changes,
    )


def announce(name: str, process: Process, **fields: object) -> Announce:
    """Return the effect that announces *name* of this service."""
    return Announce(Announcement(name, {"service": process.spec.name, **fields}))


def announce_exit(process: Process, status: ExitStatus, ran: float) -> Announce:
    """Return the effect that announces an unrequested end, after *ran* seconds."""
    return announce(
        "service.exited",
        process,
        pid=process.pid,
        status=str(status),
        exit_code=shell_code(status),
        signal=signal_name(status.signal) if isinstance(status, Killed) else "",
        after=round(ran, 3),
    )
