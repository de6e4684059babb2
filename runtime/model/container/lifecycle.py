"""The life of one container: (Life, event) → (Life, effects).  Pure and total.

`TRANSITIONS` is the whole machine.  A start that is under way shows the status from before it.
A freeze may fail, so a wish (`PauseAsked`) and its fulfilment (`Frozen`) are two events.  What is
not in the table means nothing in that status, or is refused if a person asked for it.  The
monitor feeds events in and carries effects out, in order; see `runtime.container.monitor`.
"""

from __future__ import annotations

from runtime.model.container import restarting
from runtime.model.container.spec import ContainerRestartPolicy
from runtime.model.container.statuses import CREATED, EXITED, PAUSED, RESTARTING, RUNNING
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SIGKILL = 9


# -- what happens


class ProgramStarted(Record):
    """The container's program runs."""


class StartFailed(Record):
    """The program never ran."""

    message: str
    hint: str
    exit_code: int


class ProgramEnded(Record):
    """The first process has been reaped; `ran_for` is in seconds."""

    exit_code: int
    ran_for: float
    oom_killed: bool = False


class StopAsked(Record):
    """A person wants it to end; a negative `grace` waits without end."""

    number: int
    grace: float  # seconds


class GraceOver(Record):
    """It was told to end, and has had its time."""


class KillAsked(Record):
    """A person sends it a signal."""

    number: int


class PauseAsked(Record):
    """A person wants its processes frozen."""


class UnpauseAsked(Record):
    """A person wants its processes to go on."""


class Frozen(Record):
    """Its processes have been frozen."""


class Thawed(Record):
    """Its processes go on."""


class PolicyChanged(Record):
    """A person gave it another restart policy."""

    policy: ContainerRestartPolicy


class RestartDue(Record):
    """The delay before the next start is over."""


# -- what is to be done


class WriteRecord(Record):
    """Write what is known now; `ended`: it has no network any more."""

    ended: bool = False


class TellToEnd(Record):
    """Send the stop signal, and remember whom to tell why it took a kill."""

    number: int
    grace: float


class ArmGrace(Record):
    """Feed `GraceOver` after so many seconds."""

    seconds: float


class KillAtLast(Record):
    """Send SIGKILL, for the grace is over."""


class SignalProgram(Record):
    """Send a signal to the first process."""

    number: int


class SignalStart(Record):
    """Hand a signal to the start that is under way."""

    number: int


class EndStart(Record):
    """End the start that is under way; `StartFailed` follows."""


class ArmRestart(Record):
    """Feed `RestartDue` after so many seconds."""

    seconds: float


class BeginStart(Record):
    """Start the program again."""


class FreezeProcesses(Record):
    """Freeze; feed `Frozen` if that succeeds, else leave out what follows."""


class ThawProcesses(Record):
    """Thaw; feed `Thawed` if that succeeds, else leave out what follows."""


class ReportStart(Record):
    """Tell the clients that it runs, and pass its streams on."""


class Repeat(Record):
    """Feed the event again: the status has changed."""

    event: Record


class BeginChecks(Record):
    """Let the health check run."""


class EndChecks(Record):
    """Let no health check run."""


class NoteEvent(Record):
    """Write an event that `runtime events` shows."""

    action: str
    details: tuple[tuple[str, str], ...] = ()


class ClearUpRun(Record):
    """Tell those who wait, and undo what this one run had."""


class AbandonStart(Record):
    """Tell why it never ran, and leave nothing but its record."""

    failure: StartFailed


class FinishRun(Record):
    """End for good, after a run."""


class GiveUpRestart(Record):
    """End for good, between two starts."""


class Refuse(Record):
    """Tell the person who asked that the container is not `wanted`."""

    wanted: str


class Life(Record):
    """Where a container's life is at."""

    policy: ContainerRestartPolicy = ContainerRestartPolicy()
    status: str = CREATED
    starting: bool = True  # its program is being started
    stopping: bool = False  # it was told to end
    stopped_by_user: bool = False
    restarts: int = 0
    delay: float = 0.0  # seconds, the last one before a restart


if TYPE_CHECKING:
    Effects = list[Record]
    Change = tuple[Life, Effects]


def step(life: Life, event: Record) -> Change:
    """Return the life after *event* and the effects to carry out, in order."""
    row = TRANSITIONS.get((life.status, type(event)))
    if row is not None:
        return row[0](life, event)
    refused = _REFUSED.get(type(event))
    return life, [Refuse(refused)] if refused else []


def _started(life: Life, _event: ProgramStarted) -> Change:
    if not life.starting:
        return life, []
    return life.replace(status=RUNNING, starting=False), [
        *(WriteRecord(), ReportStart(), NoteEvent("start"), BeginChecks())
    ]


def _start_failed(life: Life, event: StartFailed) -> Change:
    if not life.starting:
        return life, []
    return life.replace(status=CREATED, starting=False), [AbandonStart(event)]


def _ended(life: Life, event: ProgramEnded) -> Change:
    code = event.exit_code
    effects: Effects = [NoteEvent("oom")] if event.oom_killed else []
    effects.append(NoteEvent("die", (("exitCode", str(code)),)))
    if life.stopping:
        effects.append(NoteEvent("stop"))
    life = life.replace(stopping=False)
    delay = restarting.delay(
        life.policy,
        exit_code=code,
        restarts=life.restarts,
        previous=life.delay,
        ran_for=event.ran_for,
        stopped_by_user=life.stopped_by_user,
    )
    if delay is None:
        return life.replace(status=EXITED), [*effects, FinishRun()]
    after = life.replace(status=RESTARTING, restarts=life.restarts + 1, delay=delay)
    return after, [*effects, ClearUpRun(), WriteRecord(ended=True), ArmRestart(delay)]


def _stop_start(life: Life, _event: StopAsked) -> Change:
    return life.replace(stopped_by_user=True), [EndStart()] if life.starting else []


def _stop_between(life: Life, event: StopAsked) -> Change:
    if life.starting:
        return _stop_start(life, event)
    return life.replace(status=EXITED, stopped_by_user=True), [GiveUpRestart()]


def _stop(life: Life, event: StopAsked) -> Change:
    unwanted = life.replace(stopped_by_user=True, stopping=True)
    if life.stopping:
        return unwanted, []  # the second one waits too
    told = NoteEvent("kill", (("signal", str(event.number)),))
    grace: Effects = [ArmGrace(event.grace)] if event.grace >= 0 else []
    return unwanted, [TellToEnd(event.number, event.grace), told, *grace]


def _stop_paused(life: Life, event: StopAsked) -> Change:
    unwanted = life.replace(stopped_by_user=True)
    return unwanted, [] if life.stopping else [ThawProcesses(), Repeat(event)]


def _grace_over(life: Life, _event: GraceOver) -> Change:
    return life, [KillAtLast()] if life.stopping else []


def _kill_start(life: Life, event: KillAsked) -> Change:
    return life, [SignalStart(event.number) if life.starting else Refuse(RUNNING)]


def _kill(life: Life, event: KillAsked) -> Change:
    by_user = life.stopped_by_user or event.number == SIGKILL
    return life.replace(stopped_by_user=by_user), [SignalProgram(event.number)]


def _kill_paused(life: Life, event: KillAsked) -> Change:
    if event.number != SIGKILL:
        return _kill(life, event)
    return life.replace(stopped_by_user=True), [ThawProcesses(), Repeat(event)]


def _pause(life: Life, _event: PauseAsked) -> Change:
    return life, [FreezeProcesses()]


def _frozen(life: Life, _event: Frozen) -> Change:
    return life.replace(status=PAUSED), [EndChecks(), WriteRecord(), NoteEvent("pause")]


def _unpause(life: Life, _event: UnpauseAsked) -> Change:
    return life, [ThawProcesses()]


def _thawed(life: Life, _event: Thawed) -> Change:
    effects: Effects = [WriteRecord(), NoteEvent("unpause")]
    return life.replace(status=RUNNING), effects + ([] if life.stopping else [BeginChecks()])


def _policy_changed(life: Life, event: PolicyChanged) -> Change:
    return life.replace(policy=event.policy), []


def _restart(life: Life, _event: RestartDue) -> Change:
    return (life, []) if life.starting else (life.replace(starting=True), [BeginStart()])


# (status, event) → (handler, the statuses it may lead to).
TRANSITIONS: dict[tuple[str, type[Record]], tuple[Callable[[Life, Any], Change], tuple[str, ...]]]
TRANSITIONS = {
    (CREATED, ProgramStarted): (_started, (RUNNING, CREATED)),
    (CREATED, StartFailed): (_start_failed, (CREATED,)),
    (CREATED, StopAsked): (_stop_start, (CREATED,)),
    (CREATED, KillAsked): (_kill_start, (CREATED,)),
    (CREATED, PolicyChanged): (_policy_changed, (CREATED,)),
    (RUNNING, ProgramEnded): (_ended, (RESTARTING, EXITED)),
    (RUNNING, StopAsked): (_stop, (RUNNING,)),
    (RUNNING, GraceOver): (_grace_over, (RUNNING,)),
    (RUNNING, KillAsked): (_kill, (RUNNING,)),
    (RUNNING, PauseAsked): (_pause, (RUNNING,)),
    (RUNNING, Frozen): (_frozen, (PAUSED,)),
    (RUNNING, PolicyChanged): (_policy_changed, (RUNNING,)),
    (PAUSED, ProgramEnded): (_ended, (RESTARTING, EXITED)),
    (PAUSED, StopAsked): (_stop_paused, (PAUSED,)),
    (PAUSED, GraceOver): (_grace_over, (PAUSED,)),
    (PAUSED, KillAsked): (_kill_paused, (PAUSED,)),
    (PAUSED, UnpauseAsked): (_unpause, (PAUSED,)),
    (PAUSED, Thawed): (_thawed, (RUNNING,)),
    (PAUSED, PolicyChanged): (_policy_changed, (PAUSED,)),
    (RESTARTING, ProgramStarted): (_started, (RUNNING, RESTARTING)),
    (RESTARTING, StartFailed): (_start_failed, (CREATED, RESTARTING)),
    (RESTARTING, StopAsked): (_stop_between, (RESTARTING, EXITED)),
    (RESTARTING, KillAsked): (_kill_start, (RESTARTING,)),
    (RESTARTING, RestartDue): (_restart, (RESTARTING,)),
    (RESTARTING, PolicyChanged): (_policy_changed, (RESTARTING,)),
}
_REFUSED = {KillAsked: RUNNING, PauseAsked: RUNNING, UnpauseAsked: PAUSED}
