"""The life of one process: (Process, event, now) → (Process, effects).  Pure and total.

`TRANSITIONS` is the whole state machine: what is not in it means nothing in that state and
changes nothing, because late timers and crossed signals are normal, not bugs.

The daemon feeds events in and carries effects out, in order; see `supervise.daemon.supervisor`.
"""

from __future__ import annotations

from supervise.model import restart
from supervise.model.announcement import Announcement
from supervise.model.exitstatus import Exited as ExitedStatus
from supervise.model.exitstatus import ExitStatus, Killed, exec_failure_code, shell_code
from supervise.model.process import (
    Announce,
    ArmTimer,
    BecameReady,
    Deadline,
    DeadlineReached,
    Desired,
    DisarmTimer,
    Effect,
    Event,
    Exited,
    HealthChanged,
    HurryRequested,
    Process,
    ProcessState,
    RestartRequested,
    RunStopCommand,
    Scope,
    SendSignal,
    Spawn,
    Spawned,
    SpawnFailed,
    StartRequested,
    StatusReported,
    StopCommandEnded,
    StopReason,
    StopRequested,
    StopWatching,
    SurvivorsGone,
    Wanted,
    WatchHealth,
    WatchReadiness,
)
from supervise.model.record import Record
from supervise.model.restart import Verdict
from supervise.model.service import KillMode, OnUnhealthy, ServiceSpec, ServiceType
from supervise.model.signals import SIGNALS, signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SIGKILL, SIGCONT = SIGNALS["SIGKILL"], SIGNALS["SIGCONT"]

# SIGKILL does not end a process in uninterruptible sleep (D state).  Waiting longer would let one
# dead NFS server hold a whole shutdown.
KILL_PATIENCE = 2.0  # seconds

if TYPE_CHECKING:
    Step = tuple[Process, list[Effect]]
    Handler = Callable[[Process, Any, float, float], Step]

# (state, event) → (handler, the states it may lead to).  Filled by `_on`; docs/states.svg and the
# table in docs/architecture.md are generated from it.
TRANSITIONS: dict[tuple[ProcessState, type[Record]], tuple[Handler, tuple[ProcessState, ...]]] = {}


def on_event(process: Process, event: Event, now: float, jitter: float = 0.0) -> Step:
    """Return the successor of *process* and the effects to carry out, in order.

    *jitter*, between -1 and 1, spreads a backoff delay that may come of the event.  An event
    that means nothing in this state returns the same object and no effects.
    """
    found = TRANSITIONS.get((process.state, type(event)))
    return found[0](process, event, now, jitter) if found else (process, [])


def _on(
    event: type[Record], *states: ProcessState, to: tuple[ProcessState, ...]
) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        for state in states:
            assert (state, event) not in TRANSITIONS
            TRANSITIONS[state, event] = (handler, to)
        return handler

    return register


_RETRIED = (ProcessState.STARTING, ProcessState.BACKOFF, ProcessState.FAILED)
_ENDED = (*_RETRIED, ProcessState.EXITED)
_SETTLED = (*_ENDED, ProcessState.STOPPED)


@_on(
    Wanted,
    ProcessState.STOPPED,
    ProcessState.EXITED,
    ProcessState.FAILED,
    to=(ProcessState.STOPPED,),
)
def _wanted(process: Process, _event: Record, now: float, _jitter: float) -> Step:
    return process.replace(
        state=ProcessState.STOPPED, desired=Desired.UP, since=now, attempts=0, starts=(), failure=""
    ), []


@_on(StopRequested, ProcessState.STOPPED, to=(ProcessState.STOPPED,))
def _no_longer_wanted(process: Process, _event: Record, _now: float, _jitter: float) -> Step:
    return process.replace(desired=Desired.DOWN), []


@_on(
    StartRequested,
    ProcessState.STOPPED,
    ProcessState.EXITED,
    ProcessState.FAILED,
    ProcessState.BACKOFF,
    to=(ProcessState.STARTING,),
)
@_on(
    RestartRequested,
    ProcessState.STOPPED,
    ProcessState.EXITED,
    ProcessState.FAILED,
    ProcessState.BACKOFF,
    to=(ProcessState.STARTING,),
)
def _start_afresh(process: Process, _event: Record, now: float, _jitter: float) -> Step:
    # A person's start forgives what was before: attempts and the start limit count anew.
    fresh = process.replace(attempts=0, starts=(), failure="")
    after, effects = _spawn(fresh, now)
    if process.state is ProcessState.BACKOFF:
        effects.insert(0, DisarmTimer(Deadline.BACKOFF))
    return after, effects


@_on(StartRequested, ProcessState.STOPPING, to=(ProcessState.STOPPING,))
@_on(RestartRequested, ProcessState.STOPPING, to=(ProcessState.STOPPING,))
def _start_once_stopped(process: Process, _event: Record, _now: float, _jitter: float) -> Step:
    return process.replace(desired=Desired.UP, reason=StopReason.RESTART), []


@_on(RestartRequested, ProcessState.STARTING, ProcessState.RUNNING, to=(ProcessState.STOPPING,))
def _restart(process: Process, event: RestartRequested, now: float, _jitter: float) -> Step:
    return _begin_stop(process, StopReason.RESTART, now, event.grace)


@_on(StopRequested, ProcessState.STARTING, ProcessState.RUNNING, to=(ProcessState.STOPPING,))
def _stop(process: Process, event: StopRequested, now: float, _jitter: float) -> Step:
    unwanted = process.replace(desired=Desired.DOWN)
    return _begin_stop(unwanted, StopReason.REQUESTED, now, event.grace)


@_on(StopRequested, ProcessState.STOPPING, to=(ProcessState.STOPPING,))
def _stop_while_stopping(process: Process, event: StopRequested, _now: float, _j: float) -> Step:
    unwanted = process.replace(desired=Desired.DOWN, reason=StopReason.REQUESTED)
    if event.grace is None or process.killed:
        return unwanted, []
    return unwanted, [ArmTimer(Deadline.STOP, event.grace)]


@_on(
    StopRequested,
    ProcessState.BACKOFF,
    ProcessState.EXITED,
    ProcessState.FAILED,
    to=(ProcessState.STOPPED,),
)
def _stop_without_process(process: Process, _event: Record, now: float, _jitter: float) -> Step:
    effects: list[Effect] = []
    if process.state is ProcessState.BACKOFF:
        effects.append(DisarmTimer(Deadline.BACKOFF))
    after, announced = _stopped(process, now)
    return after, effects + announced


@_on(Spawned, ProcessState.STARTING, to=(ProcessState.STARTING, ProcessState.RUNNING))
def _spawned(process: Process, event: Spawned, now: float, _jitter: float) -> Step:
    spec = process.spec
    up = process.replace(pid=event.pid, started_at=now, status_text="", last_exit=None, failure="")
    effects: list[Effect] = [_announce("service.started", up, pid=event.pid)]
    if process.ready:
        effects.append(_announce("service.ready", up, after=0.0))
        return _running(up, now, ready=True, effects=effects)
    if spec.ready is not None:
        effects += [ArmTimer(Deadline.START, spec.start_timeout), WatchReadiness()]
        return up, effects
    ready = spec.type is not ServiceType.ONESHOT
    return _running(up, now, ready=ready, effects=effects)


@_on(Spawned, ProcessState.STOPPING, to=(ProcessState.STOPPING,))
def _spawned_too_late(process: Process, event: Spawned, now: float, _jitter: float) -> Step:
    # The stop overtook the exec; the signal was sent to the pid that is to be the program's.
    return process.replace(pid=event.pid, started_at=now), []


@_on(SpawnFailed, ProcessState.STARTING, to=_RETRIED)
def _spawn_failed(process: Process, event: SpawnFailed, now: float, jitter: float) -> Step:
    status = ExitedStatus(exec_failure_code(event.errno))
    ended = process.replace(pid=None, started_at=None, last_exit=status, failure=event.message)
    told = _announce("service.spawn_failed", process, stage=event.stage, message=event.message)
    passing = event.errno in restart.PASSING_ERRNOS
    after, effects = _follow(ended, now, jitter, success=False, must_retry=passing)
    return after, [told, *effects]


@_on(SpawnFailed, ProcessState.STOPPING, to=(*_RETRIED, ProcessState.STOPPED))
def _spawn_failed_while_stopping(
    process: Process, event: SpawnFailed, now: float, jitter: float
) -> Step:
    status = ExitedStatus(exec_failure_code(event.errno))
    return _settle(process.replace(pid=None, last_exit=status), now, jitter)


@_on(BecameReady, ProcessState.STARTING, to=(ProcessState.STARTING, ProcessState.RUNNING))
def _became_ready(process: Process, _event: Record, now: float, _jitter: float) -> Step:
    if process.pid is None:  # its READY=1 overtook the verdict of its exec
        return process.replace(ready=True), []
    took = now - process.started_at if process.started_at is not None else 0.0
    effects: list[Effect] = [
        DisarmTimer(Deadline.START),
        _announce("service.ready", process, after=round(took, 3)),
    ]
    return _running(process, now, ready=True, effects=effects)


@_on(HealthChanged, ProcessState.RUNNING, to=(ProcessState.RUNNING, ProcessState.STOPPING))
def _health_changed(process: Process, event: HealthChanged, now: float, _jitter: float) -> Step:
    changed = process.replace(health=event.health)
    if event.health == "healthy":
        return changed, [_announce("service.healthy", process)]
    if event.health != "unhealthy":
        return changed, []
    told = _announce("service.unhealthy", process, message=event.message)
    check = process.spec.healthcheck
    if check is None or check.on_unhealthy is OnUnhealthy.NONE:
        return changed, [told]
    after, effects = _begin_stop(changed, StopReason.UNHEALTHY, now, None)
    return after, [told, *effects]


@_on(StatusReported, ProcessState.STARTING, to=(ProcessState.STARTING,))
@_on(StatusReported, ProcessState.RUNNING, to=(ProcessState.RUNNING,))
@_on(StatusReported, ProcessState.STOPPING, to=(ProcessState.STOPPING,))
def _status_reported(process: Process, event: StatusReported, _now: float, _jitter: float) -> Step:
    if event.text == process.status_text:
        return process, []
    told = _announce("service.status", process, message=event.text)
    return process.replace(status_text=event.text), [told]


@_on(Exited, ProcessState.STARTING, ProcessState.RUNNING, to=(*_ENDED, ProcessState.STOPPING))
def _exited(process: Process, event: Exited, now: float, jitter: float) -> Step:
    ran = now - process.started_at if process.started_at is not None else 0.0
    success = restart.is_success(process.spec, event.status)
    ended = process.replace(
        pid=None, last_exit=event.status, failure="" if success else str(event.status)
    )
    effects: list[Effect] = [StopWatching(), DisarmTimer(Deadline.START)]
    if success and process.spec.type is ServiceType.ONESHOT:
        told = _announce("service.completed", process, pid=process.pid, after=round(ran, 3))
    else:
        told = _announce_exit(process, event.status, ran)
    effects.append(told)
    if event.survivors and process.spec.kill_mode is KillMode.GROUP:
        stopping = ended.replace(
            state=ProcessState.STOPPING, since=now, reason=StopReason.LEFTOVERS, killed=False
        )
        return stopping, effects + _stop_effects(process.spec, None)
    after, more = _follow(ended, now, jitter, success=success)
    return after, effects + more


@_on(Exited, ProcessState.STOPPING, to=(*_RETRIED, ProcessState.STOPPED, ProcessState.STOPPING))
def _exited_while_stopping(process: Process, event: Exited, now: float, jitter: float) -> Step:
    ended = process.replace(pid=None, last_exit=event.status)
    if event.survivors and process.spec.kill_mode is KillMode.GROUP:
        return ended, []
    return _settle(ended, now, jitter)


@_on(SurvivorsGone, ProcessState.STOPPING, to=(*_SETTLED, ProcessState.STOPPING))
def _survivors_gone(process: Process, _event: Record, now: float, jitter: float) -> Step:
    # None of them is the program that is being spawned: its Spawned or SpawnFailed will come.
    begins = process.started_at is None
    return (process, []) if process.pid or begins else _settle(process, now, jitter)


@_on(StopCommandEnded, ProcessState.STOPPING, to=(ProcessState.STOPPING,))
def _stop_command_ended(process: Process, _event: Record, _now: float, _jitter: float) -> Step:
    # What the command did not end gets the signal, as in systemd.service(5), ExecStop=.
    return process, [] if process.killed else _signals(process.spec)


@_on(HurryRequested, ProcessState.STOPPING, to=(ProcessState.STOPPING,))
def _hurry(process: Process, _event: Record, _now: float, _jitter: float) -> Step:
    return (process, []) if process.killed else _kill(process)


@_on(DeadlineReached, ProcessState.STARTING, to=(ProcessState.STARTING, ProcessState.STOPPING))
def _start_timed_out(process: Process, event: DeadlineReached, now: float, _jitter: float) -> Step:
    if event.deadline is not Deadline.START:
        return process, []
    late = process.replace(failure=f"not ready within {process.spec.start_timeout:g} s")
    return _begin_stop(late, StopReason.START_TIMEOUT, now, None)


@_on(DeadlineReached, ProcessState.BACKOFF, to=_RETRIED)
def _backoff_over(process: Process, event: DeadlineReached, now: float, _jitter: float) -> Step:
    if event.deadline is not Deadline.BACKOFF:
        return process, []
    return _spawn(process, now, again=True)


@_on(DeadlineReached, ProcessState.STOPPING, to=(*_SETTLED, ProcessState.STOPPING))
def _grace_over(process: Process, event: DeadlineReached, now: float, jitter: float) -> Step:
    if event.deadline is not Deadline.STOP:
        return process, []
    if not process.killed:
        return _kill(process)
    told = _announce("service.unkillable", process, pid=process.pid)
    after, effects = _settle(process.replace(pid=None), now, jitter)
    return after, [told, *effects]


# -- what handlers share


def _spawn(process: Process, now: float, *, again: bool = False) -> Step:
    """Start the program, unless the start limit forbids it; *again*: nobody asked for it."""
    limit = process.spec.start_limit
    starts = restart.recent(limit, process.starts, now) if limit else ()
    if limit and len(starts) >= limit.burst:
        why = f"started {limit.burst} times within {limit.interval:g} s"
        return _fail(process, now, f"{why}; {process.failure}" if process.failure else why)
    starting = process.replace(
        state=ProcessState.STARTING,
        desired=Desired.UP,
        pid=None,
        since=now,
        started_at=None,
        ready=False,
        health="",
        starts=(*starts, now) if limit else (),
        restarts=process.restarts + again,
        next_start=None,
        reason=None,
        killed=False,
    )
    return starting, [_announce("service.starting", process), Spawn()]


def _running(process: Process, now: float, *, ready: bool, effects: list[Effect]) -> Step:
    check = process.spec.healthcheck
    if check is not None:
        effects.append(WatchHealth())
    health = "starting" if check is not None else ""
    up = process.replace(state=ProcessState.RUNNING, since=now, ready=ready, health=health)
    return up, effects


def _begin_stop(process: Process, reason: StopReason, now: float, grace: float | None) -> Step:
    spec = process.spec
    stopping = process.replace(
        state=ProcessState.STOPPING, since=now, ready=False, reason=reason, killed=False
    )
    told = _announce(
        "service.stopping",
        process,
        pid=process.pid,
        signal=signal_name(spec.stop_signal),
        reason=reason.value,
    )
    effects: list[Effect] = [StopWatching(), DisarmTimer(Deadline.START), told]
    return stopping, effects + _stop_effects(spec, grace)


def _stop_effects(spec: ServiceSpec, grace: float | None) -> list[Effect]:
    patience = spec.stop_grace_period if grace is None else grace
    ask: list[Effect] = [RunStopCommand()] if spec.stop_command else _signals(spec)
    return [ArmTimer(Deadline.STOP, patience), *ask]


def _signals(spec: ServiceSpec) -> list[Effect]:
    scope = Scope.ALL if spec.kill_mode is KillMode.GROUP else Scope.PROCESS
    # A stopped (T) process handles nothing until it is continued.
    return [SendSignal(spec.stop_signal, scope), SendSignal(SIGCONT, scope)]


def _kill(process: Process) -> Step:
    scope = Scope.ALL if process.spec.kill_mode is KillMode.GROUP else Scope.PROCESS
    told = _announce("service.killed", process, grace=process.spec.stop_grace_period)
    return process.replace(killed=True), [
        told,
        SendSignal(SIGKILL, scope),
        ArmTimer(Deadline.STOP, KILL_PATIENCE),
    ]


def _settle(process: Process, now: float, jitter: float) -> Step:
    """Nothing of the process is left: what follows depends on why it was stopped."""
    disarm: list[Effect] = [DisarmTimer(Deadline.STOP)]
    if process.desired is Desired.DOWN:
        after, effects = _stopped(process, now)
    elif process.reason is StopReason.RESTART:
        after, effects = _spawn(process.replace(attempts=0, starts=(), failure=""), now)
    else:
        last = process.last_exit
        left = process.reason is StopReason.LEFTOVERS
        success = left and last is not None and restart.is_success(process.spec, last)
        why = process.failure or (process.reason.value if process.reason else "")
        after, effects = _follow(process.replace(failure=why), now, jitter, success=success)
    return after, disarm + effects


def _stopped(process: Process, now: float) -> Step:
    status = str(process.last_exit) if process.last_exit is not None else ""
    after = process.replace(
        state=ProcessState.STOPPED,
        desired=Desired.DOWN,
        pid=None,
        since=now,
        ready=False,
        health="",
        attempts=0,
        next_start=None,
        failure="",
        reason=None,
        killed=False,
    )
    return after, [_announce("service.stopped", process, status=status)]


def _follow(
    process: Process, now: float, jitter: float, *, success: bool, must_retry: bool = False
) -> Step:
    """Decide what comes after an end that nobody asked for."""
    spec = process.spec
    ran = now - process.started_at if process.started_at is not None else 0.0
    attempt = restart.next_attempt(spec.backoff, process.attempts, ran)
    ended = process.replace(
        attempts=attempt, ready=False, health="", reason=None, killed=False, since=now
    )
    verdict = restart.judge(spec, success=success, attempts=attempt)
    if must_retry:
        verdict = Verdict.RESTART
    if verdict is Verdict.COMPLETE:
        return ended.replace(state=ProcessState.EXITED), []
    if verdict is Verdict.FAIL:
        return _fail(ended, now, process.failure)
    # A start that failed for want of memory or processes must not spin, whatever is configured.
    wait = max(restart.delay(spec.backoff, attempt, jitter), 0.1 if must_retry else 0.0)
    if wait == 0.0:
        return _spawn(ended, now, again=True)
    waiting = ended.replace(state=ProcessState.BACKOFF, next_start=now + wait)
    told = _announce("service.backoff", process, delay=round(wait, 3), attempt=attempt)
    return waiting, [told, ArmTimer(Deadline.BACKOFF, wait)]


def _fail(process: Process, now: float, why: str) -> Step:
    failed = process.replace(
        state=ProcessState.FAILED,
        since=now,
        pid=None,
        ready=False,
        health="",
        failure=why,
        next_start=None,
    )
    return failed, [_announce("service.failed", process, reason=why)]


def _announce(name: str, process: Process, **fields: object) -> Announce:
    return Announce(Announcement(name, {"service": process.spec.name, **fields}))


def _announce_exit(process: Process, status: ExitStatus, ran: float) -> Announce:
    return _announce(
        "service.exited",
        process,
        pid=process.pid,
        status=str(status),
        exit_code=shell_code(status),
        signal=signal_name(status.signal) if isinstance(status, Killed) else "",
        after=round(ran, 3),
    )
