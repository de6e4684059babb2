"""The words of a process's life: its states, what can happen to it, what must be done about it.

Values only; which event leads where is in `supervise.model.lifecycle`.  Current state and desired
state are different fields: a service may be stopping and wanted up.
"""

from __future__ import annotations

import enum

from supervise.model.announcement import Announcement
from supervise.model.exitstatus import ExitStatus
from supervise.model.record import Record
from supervise.model.service import ServiceSpec


class ProcessState(enum.Enum):
    """Where the process is."""

    STOPPED = "stopped"  # no process, and none is wanted
    STARTING = "starting"  # being spawned, or not ready yet
    RUNNING = "running"
    BACKOFF = "backoff"  # ended; starts again after a delay
    STOPPING = "stopping"  # told to end, or its leftovers are
    EXITED = "exited"  # ended for good, and well
    FAILED = "failed"  # ended for good, and badly


class Desired(enum.Enum):
    """What is wanted of the service."""

    UP = "up"
    DOWN = "down"


class StopReason(enum.Enum):
    """Why a process is being stopped; decides what follows."""

    REQUESTED = "asked to"
    RESTART = "restart asked for"
    UNHEALTHY = "unhealthy"
    START_TIMEOUT = "not ready in time"
    LEFTOVERS = "processes left behind"


class Deadline(enum.Enum):
    """The timers a process can have, at most one of each."""

    BACKOFF = "backoff"
    START = "start"
    STOP = "stop"


class Scope(enum.Enum):
    """Who gets a signal."""

    ALL = "all"  # the process, its group and every descendant, also those that called setsid
    PROCESS = "process"


class Process(Record):
    """How one service fares.  Times are monotonic seconds."""

    spec: ServiceSpec
    state: ProcessState = ProcessState.STOPPED
    desired: Desired = Desired.DOWN
    pid: int | None = None  # of the main process, from exec to exit
    since: float = 0.0  # when `state` was entered
    started_at: float | None = None  # when the last program was executed
    ready: bool = False
    health: str = ""  # healthy | unhealthy | starting, "" without a check
    status_text: str = ""  # what it said of itself (sd_notify STATUS)
    attempts: int = 0  # unrequested ends in a row
    restarts: int = 0  # starts after such ends, in all
    starts: tuple[float, ...] = ()  # those that the start limit counts
    next_start: float | None = None  # in BACKOFF
    last_exit: ExitStatus | None = None
    cut_off: bool = False  # we ended it for its failure: its code does not tell why
    failure: str = ""  # why it is FAILED or in BACKOFF, one clause
    reason: StopReason | None = None  # in STOPPING
    killed: bool = False  # in STOPPING: SIGKILL has been sent


# -- events, in the past tense


class Wanted(Record):
    """A start is wanted, but the dependencies do not allow it yet."""


class StartRequested(Record):
    """A start is wanted, and the dependencies allow it."""


class StopRequested(Record):
    """A stop is wanted; *grace* seconds instead of its own, if given."""

    grace: float | None = None


class RestartRequested(Record):
    """A new process is wanted."""

    grace: float | None = None


class Spawned(Record):
    """The program has been executed."""

    pid: int


class SpawnFailed(Record):
    """The program was not executed: *stage* of the preparation failed with *errno*."""

    stage: str  # fork, exec, chdir, user, …
    errno: int
    message: str  # one sentence, with the name of the thing


class ProcessExited(Record):
    """The main process has been reaped; *survivors*: other processes of the service live on."""

    status: ExitStatus
    survivors: bool = False


class SurvivorsGone(Record):
    """The last of the other processes has been reaped too."""


class DeadlineReached(Record):
    """A timer that was armed has run out."""

    deadline: Deadline


class BecameReady(Record):
    """The readiness probe succeeded, or the service said READY=1."""


class HealthChanged(Record):
    """The health check has another result."""

    health: str
    message: str = ""


class StatusReported(Record):
    """The service said how it is."""

    text: str


class StopCommandEnded(Record):
    """The stop command is over, well or badly."""


class HurryRequested(Record):
    """The rest of the grace is waived."""


class ShutdownBegan(Record):
    """The container ends: what ends from here on stays down."""


class InternalFault(Record):
    """Something of ours failed for this service: it is given up, in whatever state it is."""


Event = (
    Wanted
    | StartRequested
    | StopRequested
    | RestartRequested
    | Spawned
    | SpawnFailed
    | ProcessExited
    | SurvivorsGone
    | DeadlineReached
    | BecameReady
    | HealthChanged
    | StatusReported
    | StopCommandEnded
    | HurryRequested
    | ShutdownBegan
    | InternalFault
)


# -- effects, in the imperative


class Spawn(Record):
    """Start the program; the answer is Spawned or SpawnFailed."""


class SendSignal(Record):
    """Send *number* to everyone in *scope*."""

    number: int
    scope: Scope


class RunStopCommand(Record):
    """Run spec.stop_command; the answer is StopCommandEnded."""


class ArmTimer(Record):
    """Report DeadlineReached(deadline) after *delay* seconds, replacing an armed one."""

    deadline: Deadline
    delay: float


class DisarmTimer(Record):
    """Forget the timer."""

    deadline: Deadline


class WatchReadiness(Record):
    """Ask spec.ready until it says yes."""


class WatchHealth(Record):
    """Ask spec.healthcheck from here on."""


class StopWatching(Record):
    """Stop the probes of readiness and health."""


class Announce(Record):
    """Tell the world."""

    announcement: Announcement


Effect = (
    Spawn
    | SendSignal
    | RunStopCommand
    | ArmTimer
    | DisarmTimer
    | WatchReadiness
    | WatchHealth
    | StopWatching
    | Announce
)


def has_ended_for_good(process: Process) -> bool:
    """Return whether it ended by itself and will not start again by itself."""
    return process.state in (ProcessState.EXITED, ProcessState.FAILED)


def is_active(process: Process) -> bool:
    """Return whether there is, or is about to be, a process."""
    return process.state not in (ProcessState.STOPPED, *_FOR_GOOD)


_FOR_GOOD = (ProcessState.EXITED, ProcessState.FAILED)
