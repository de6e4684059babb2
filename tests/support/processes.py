"""Processes and specs of the model, with what a test does not care about filled in."""

from __future__ import annotations

from typing import Any

from supervise.model.lifecycle import SIGCONT
from supervise.model.process import (
    Announce,
    ArmTimer,
    Deadline,
    Desired,
    DisarmTimer,
    Effect,
    Process,
    ProcessState,
    Scope,
    SendSignal,
)
from supervise.model.service import (
    Backoff,
    RestartMode,
    RestartPolicy,
    ServiceSpec,
)

PID = 42
STEADY = Backoff(initial=1.0, factor=2.0, max=30.0, jitter=0.0, reset_after=10.0)

NEVER = RestartPolicy(RestartMode.NO)
ON_FAILURE = RestartPolicy(RestartMode.ON_FAILURE)


def make_spec(name: str = "web", **fields: Any) -> ServiceSpec:
    """Return a service whose delays are whole seconds, without jitter."""
    return ServiceSpec(name, ("/bin/true",), **{"backoff": STEADY, **fields})


def make_process(
    state: ProcessState = ProcessState.STOPPED, spec: ServiceSpec | None = None, **fields: Any
) -> Process:
    """Return a process in *state*, as it looks there after an ordinary life; entered at 0.0."""
    usual: dict[ProcessState, dict[str, Any]] = {
        ProcessState.STOPPED: {"desired": Desired.DOWN},
        ProcessState.STARTING: {},
        ProcessState.RUNNING: {"pid": PID, "started_at": 0.0, "ready": True},
        ProcessState.BACKOFF: {"attempts": 1, "next_start": 1.0},
        ProcessState.STOPPING: {"pid": PID, "started_at": 0.0, "desired": Desired.DOWN},
        ProcessState.EXITED: {},
        ProcessState.FAILED: {"failure": "exit code 1"},
    }
    values: dict[str, Any] = {"desired": Desired.UP, "state": state, **usual[state], **fields}
    return Process(spec or make_spec(), **values)


def announced(effects: list[Effect]) -> list[str]:
    """Return the names of what *effects* announce, in order."""
    return [each.announcement.name for each in effects if isinstance(each, Announce)]


def announcement(effects: list[Effect], name: str) -> dict[str, Any]:
    """Return the fields of the announcement *name* in *effects*."""
    for effect in effects:
        if isinstance(effect, Announce) and effect.announcement.name == name:
            return dict(effect.announcement.fields)
    raise AssertionError(f"{name} is not among {announced(effects)}")


def stop_effects(grace: float, number: int = 15, scope: Scope = Scope.ALL) -> list[Effect]:
    """Return what asks a service to stop: the timer, the signal, and SIGCONT to wake it."""
    return [ArmTimer(Deadline.STOP, grace), SendSignal(number, scope), SendSignal(SIGCONT, scope)]


def without_announcements(effects: list[Effect]) -> list[Effect]:
    """Return what *effects* do, without what they say."""
    return [each for each in effects if not isinstance(each, Announce)]


class Timers:
    """The timers of one process, as the daemon keeps them."""

    def __init__(self) -> None:
        self.armed: set[Deadline] = set()

    def carry_out(self, effects: list[Effect]) -> None:
        """Arm and disarm what *effects* say, in order."""
        for effect in effects:
            if isinstance(effect, ArmTimer):
                self.armed.add(effect.deadline)
            elif isinstance(effect, DisarmTimer):
                self.armed.discard(effect.deadline)
