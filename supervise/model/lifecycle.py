"""The life of one process: (Process, event, now) → (Process, effects).  Pure and total.

`TRANSITIONS` is the whole state machine: what is not in it means nothing in that state and
changes nothing, because late timers and crossed signals are normal, not bugs.

The daemon feeds events in and carries effects out, in order; see `supervise.daemon.supervisor`.
"""

from __future__ import annotations

from supervise.model import aftermath, restart
from supervise.model.exitstatus import Exited as ExitedStatus
from supervise.model.exitstatus import exec_failure_code
from supervise.model.process import (
    ArmTimer,
    BecameReady,
    Deadline,
    DeadlineReached,
    Desired,
    DisarmTimer,
    Effect,
    Event,
    HealthChanged,
    HurryRequested,
    InternalFault,
    Process,
    ProcessExited,
    ProcessState,
    RestartRequested,
    RunStopCommand,
    Scope,
    SendSignal,
    ShutdownBegan,
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

FAULT = "an internal fault of supervise; its log has the traceback"

if TYPE_CHECKING:
    Step = tuple[Process, list[Effect]]
    Handler = Callable[[Process, Any, float, float], Step]

# (state, event) → (handler, the states it may lead to).  Filled by `_on`; docs/states.svg and
# docs/states.md are generated from it.
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
_SETTLED = (*_RETRIED, ProcessState.EXITED, ProcessState.STOPPED)


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
@_on(ShutdownBegan, ProcessState.STOPPED, to=(ProcessState.STOPPED,))
@_on(ShutdownBegan, ProcessState.STARTING, to=(ProcessState.STARTING,))
@_on(ShutdownBegan, ProcessState.RUNNING, to=(ProcessState.RUNNING,))
@_on(ShutdownBegan, ProcessState.STOPPING, to=(ProcessState.STOPPING,))
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
    after, effects = aftermath.spawn(fresh, now)
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
@_on(ShutdownBegan, ProcessState.BACKOFF, to=(ProcessState.STOPPED,))
def _stop_without_process(process: Process, _event: Record, now: float, _jitter: float) -> Step:
    effects: list[Effect] = []
    if process.state is ProcessState.BACKOFF:
        effects.append(DisarmTimer(Deadline.BACKOFF))
    after, announced = aftermath.stopped(process, now)
    return after, effects + announced


@_on(Spawned, ProcessState.STARTING, to=(ProcessState.STARTING, ProcessState.RUNNING))
def _spawned(process: Process, event: Spawned, now: float, _jitter: float) -> Step:
    spec = process.spec
    up = process.replace(pid=event.pid, started_at=now, status_text="", last_exit=None, failure="")
    effects: list[Effect] = [aftermath.announce("service.started", up, pid=event.pid)]
    if process.ready:
        effects.append(aftermath.announce("service.ready", up, after=0.0))
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


@_on(SpawnFailed, ProcessState.STARTING, to=(*_RETRIED, ProcessState.STOPPED))
def _spawn_failed(process: Process, event: SpawnFailed, now: float, jitter: float) -> Step:
    status = ExitedStatus(exec_failure_code(event.errno))
    ended = process.replace(pid=None, started_at=None, last_exit=status, failure=event.message)
    told = aftermath.announce(
        "service.spawn_failed", process, stage=event.stage, message=event.message
    )
    passing = event.errno in restart.PASSING_ERRNOS
    if passing:  # the service is not to blame: its start limit does not count this one
        ended = ended.replace(starts=ended.starts[:-1])
    after, effects = aftermath.follow(ended, now, jitter, success=False, must_retry=passing)
    return after, [told, *effects]


@_on(SpawnFailed, ProcessState.STOPPING, to=(*_RETRIED, ProcessState.STOPPED))
def _spawn_failed_while_stopping(
    process: Process, event: SpawnFailed, now: float, jitter: float
) -> Step:
    status = ExitedStatus(exec_failure_code(event.errno))
    return aftermath.settle(process.replace(pid=None, last_exit=status), now, jitter)


@_on(BecameReady, ProcessState.STARTING, to=(ProcessState.STARTING, ProcessState.RUNNING))
def _became_ready(process: Process, _event: Record, now: float, _jitter: float) -> Step:
    if process.pid is None:  # its READY=1 overtook the verdict of its exec
        return process.replace(ready=True), []
    took = now - process.started_at if process.started_at is not None else 0.0
    effects: list[Effect] = [
        DisarmTimer(Deadline.START),
        aftermath.announce("service.ready", process, after=round(took, 3)),
    ]
    return _running(process, now, ready=True, effects=effects)


@_on(HealthChanged, ProcessState.RUNNING, to=(ProcessState.RUNNING, ProcessState.STOPPING))
def _health_changed(process: Process, event: HealthChanged, now: float, _jitter: float) -> Step:
    changed = process.replace(health=event.health)
    if event.health == "healthy":
        return changed, [aftermath.announce("service.healthy", process)]
    if event.health != "unhealthy":
        return changed, []
    told = aftermath.announce("service.unhealthy", process, message=event.message)
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
    told = aftermath.announce("service.status", process, message=event.text)
    return process.replace(status_text=event.text), [told]


@_on(
    ProcessExited,
    ProcessState.STARTING,
    ProcessState.RUNNING,
    to=(*_SETTLED, ProcessState.STOPPING),
)
def _exited(process: Process, event: ProcessExited, now: float, jitter: float) -> Step:
    ran = now - process.started_at if process.started_at is not None else 0.0
    success = restart.is_success(process.spec, event.status)
    ended = process.replace(
        pid=None, last_exit=event.status, failure="" if success else str(event.status)
    )
    effects: list[Effect] = [StopWatching(), DisarmTimer(Deadline.START)]
    if success and process.spec.type is ServiceType.ONESHOT:
        told = aftermath.announce(
            "service.completed", process, pid=process.pid, after=round(ran, 3)
        )
    else:
        told = aftermath.announce_exit(process, event.status, ran)
    effects.append(told)
    if event.survivors and process.spec.kill_mode is KillMode.GROUP:
        stopping = ended.replace(
            state=ProcessState.STOPPING, since=now, reason=StopReason.LEFTOVERS, killed=False
        )
        return stopping, effects + _stop_effects(process.spec, None)
    after, more = aftermath.follow(ended, now, jitter, success=success)
    return after, effects + more


@_on(
    ProcessExited,
    ProcessState.STOPPING,
    to=(*_RETRIED, ProcessState.STOPPED, ProcessState.STOPPING),
)
def _exited_while_stopping(
    process: Process, event: ProcessExited, now: float, jitter: float
) -> Step:
    if process.reason is StopReason.LEFTOVERS:
        return process, []  # its end is known; only what it left behind is waited for
    ended = process.replace(pid=None, last_exit=event.status)
    if event.survivors and process.spec.kill_mode is KillMode.GROUP:
        return ended, []
    return aftermath.settle(ended, now, jitter)


@_on(SurvivorsGone, ProcessState.STOPPING, to=(*_SETTLED, ProcessState.STOPPING))
def _survivors_gone(process: Process, _event: Record, now: float, jitter: float) -> Step:
    # None of them is the program that is being spawned: its Spawned or SpawnFailed will come.
    begins = process.started_at is None
    return (process, []) if process.pid or begins else aftermath.settle(process, now, jitter)


@_on(StopCommandEnded, ProcessState.STOPPING, to=(ProcessState.STOPPING,))
def _stop_command_ended(process: Process, _event: Record, _now: float, _jitter: float) -> Step:
    # What the command did not end gets the signal, as in systemd.service(5), ExecStop=.
    return process, [] if process.killed else _signals(process.spec)


@_on(HurryRequested, ProcessState.STOPPING, to=(ProcessState.STOPPING,))
def _hurry(process: Process, _event: Record, now: float, _jitter: float) -> Step:
    return (process, []) if process.killed else _kill(process, now)


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
    return aftermath.spawn(process, now, again=True)


@_on(DeadlineReached, ProcessState.STOPPING, to=(*_SETTLED, ProcessState.STOPPING))
def _grace_over(process: Process, event: DeadlineReached, now: float, jitter: float) -> Step:
    if event.deadline is not Deadline.STOP:
        return process, []
    if not process.killed:
        return _kill(process, now)
    told = aftermath.announce("service.unkillable", process, pid=process.pid)
    if process.pid is None or process.desired is Desired.DOWN:
        after, effects = aftermath.settle(process.replace(pid=None), now, jitter)
        return after, [told, *effects]
    # It still runs, whatever it was stopped for: a second one beside it would do harm.
    why = f"pid {process.pid} survives SIGKILL"
    after, effects = aftermath.fail(process, now, why)
    return after, [told, DisarmTimer(Deadline.STOP), *effects]


@_on(InternalFault, *ProcessState, to=(ProcessState.FAILED,))
def _internal_fault(process: Process, _event: Record, now: float, _jitter: float) -> Step:
    return aftermath.fail(process, now, FAULT)


# -- what handlers share


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
    told = aftermath.announce(
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


def _kill(process: Process, now: float) -> Step:
    scope = Scope.ALL if process.spec.kill_mode is KillMode.GROUP else Scope.PROCESS
    told = aftermath.announce("service.killed", process, grace=round(now - process.since, 1))
    return process.replace(killed=True), [
        told,
        SendSignal(SIGKILL, scope),
        ArmTimer(Deadline.STOP, KILL_PATIENCE),
    ]
