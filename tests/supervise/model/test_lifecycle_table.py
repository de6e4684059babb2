"""Every (state, event) pair, with the states it may lead to: written by hand, not derived.

The oracle for `lifecycle.TRANSITIONS`.  An empty tuple: the event means nothing there.
"""

from __future__ import annotations

from typing import Any, cast, get_args

import pytest

from supervise.model import lifecycle
from supervise.model.exitstatus import Exited as ExitedStatus
from supervise.model.exitstatus import Killed
from supervise.model.process import (
    BecameReady,
    Deadline,
    DeadlineReached,
    Desired,
    Event,
    HealthChanged,
    HurryRequested,
    InternalFault,
    Process,
    ProcessExited,
    ProcessState,
    RestartRequested,
    ShutdownBegan,
    Spawned,
    SpawnFailed,
    StartRequested,
    StatusReported,
    StopCommandEnded,
    StopReason,
    StopRequested,
    SurvivorsGone,
    Wanted,
)
from supervise.model.record import Record
from supervise.model.service import (
    Backoff,
    HealthCheck,
    OnUnhealthy,
    Probe,
    Ready,
    StartLimit,
)
from tests.support.processes import NEVER, PID, make_process, make_spec

S = ProcessState
RETRIED = (S.STARTING, S.BACKOFF, S.FAILED)  # after an end that was no success

EXPECTED: dict[type[Record], dict[ProcessState, tuple[ProcessState, ...]]] = {
    Wanted: {
        S.STOPPED: (S.STOPPED,),
        S.STARTING: (),
        S.RUNNING: (),
        S.BACKOFF: (),
        S.STOPPING: (),
        S.EXITED: (S.STOPPED,),
        S.FAILED: (S.STOPPED,),
    },
    StartRequested: {
        S.STOPPED: (S.STARTING,),
        S.STARTING: (),
        S.RUNNING: (),
        S.BACKOFF: (S.STARTING,),
        S.STOPPING: (S.STOPPING,),
        S.EXITED: (S.STARTING,),
        S.FAILED: (S.STARTING,),
    },
    RestartRequested: {
        S.STOPPED: (S.STARTING,),
        S.STARTING: (S.STOPPING,),
        S.RUNNING: (S.STOPPING,),
        S.BACKOFF: (S.STARTING,),
        S.STOPPING: (S.STOPPING,),
        S.EXITED: (S.STARTING,),
        S.FAILED: (S.STARTING,),
    },
    StopRequested: {
        S.STOPPED: (S.STOPPED,),
        S.STARTING: (S.STOPPING,),
        S.RUNNING: (S.STOPPING,),
        S.BACKOFF: (S.STOPPED,),
        S.STOPPING: (S.STOPPING,),
        S.EXITED: (S.STOPPED,),
        S.FAILED: (S.STOPPED,),
    },
    Spawned: {
        S.STOPPED: (),
        S.STARTING: (S.STARTING, S.RUNNING),
        S.RUNNING: (),
        S.BACKOFF: (),
        S.STOPPING: (S.STOPPING,),
        S.EXITED: (),
        S.FAILED: (),
    },
    SpawnFailed: {
        S.STOPPED: (),
        S.STARTING: (*RETRIED, S.STOPPED),
        S.RUNNING: (),
        S.BACKOFF: (),
        S.STOPPING: (*RETRIED, S.STOPPED),
        S.EXITED: (),
        S.FAILED: (),
    },
    ProcessExited: {
        S.STOPPED: (),
        S.STARTING: (*RETRIED, S.EXITED, S.STOPPED, S.STOPPING),
        S.RUNNING: (*RETRIED, S.EXITED, S.STOPPED, S.STOPPING),
        S.BACKOFF: (),
        S.STOPPING: (*RETRIED, S.STOPPED, S.STOPPING),
        S.EXITED: (),
        S.FAILED: (),
    },
    SurvivorsGone: {
        S.STOPPED: (),
        S.STARTING: (),
        S.RUNNING: (),
        S.BACKOFF: (),
        S.STOPPING: (*RETRIED, S.EXITED, S.STOPPED, S.STOPPING),
        S.EXITED: (),
        S.FAILED: (),
    },
    DeadlineReached: {
        S.STOPPED: (),
        S.STARTING: (S.STARTING, S.STOPPING),
        S.RUNNING: (),
        S.BACKOFF: (S.BACKOFF, S.STARTING, S.FAILED),
        S.STOPPING: (*RETRIED, S.EXITED, S.STOPPED, S.STOPPING),
        S.EXITED: (),
        S.FAILED: (),
    },
    BecameReady: {
        S.STOPPED: (),
        S.STARTING: (S.STARTING, S.RUNNING),
        S.RUNNING: (),
        S.BACKOFF: (),
        S.STOPPING: (),
        S.EXITED: (),
        S.FAILED: (),
    },
    HealthChanged: {
        S.STOPPED: (),
        S.STARTING: (),
        S.RUNNING: (S.RUNNING, S.STOPPING),
        S.BACKOFF: (),
        S.STOPPING: (),
        S.EXITED: (),
        S.FAILED: (),
    },
    StatusReported: {
        S.STOPPED: (),
        S.STARTING: (S.STARTING,),
        S.RUNNING: (S.RUNNING,),
        S.BACKOFF: (),
        S.STOPPING: (S.STOPPING,),
        S.EXITED: (),
        S.FAILED: (),
    },
    StopCommandEnded: {
        S.STOPPED: (),
        S.STARTING: (),
        S.RUNNING: (),
        S.BACKOFF: (),
        S.STOPPING: (S.STOPPING,),
        S.EXITED: (),
        S.FAILED: (),
    },
    HurryRequested: {
        S.STOPPED: (),
        S.STARTING: (),
        S.RUNNING: (),
        S.BACKOFF: (),
        S.STOPPING: (S.STOPPING,),
        S.EXITED: (),
        S.FAILED: (),
    },
    ShutdownBegan: {
        S.STOPPED: (S.STOPPED,),
        S.STARTING: (S.STARTING,),
        S.RUNNING: (S.RUNNING,),
        S.BACKOFF: (S.STOPPED,),
        S.STOPPING: (S.STOPPING,),
        S.EXITED: (),
        S.FAILED: (),
    },
    InternalFault: {
        S.STOPPED: (S.FAILED,),
        S.STARTING: (S.FAILED,),
        S.RUNNING: (S.FAILED,),
        S.BACKOFF: (S.FAILED,),
        S.STOPPING: (S.FAILED,),
        S.EXITED: (S.FAILED,),
        S.FAILED: (S.FAILED,),
    },
}
Pair = tuple[ProcessState, type[Record]]
PAIRS: list[Pair] = [(state, event) for event, row in EXPECTED.items() for state in row]
MEANINGFUL = [(state, event) for state, event in PAIRS if EXPECTED[event][state]]
MEANINGLESS = [(state, event) for state, event in PAIRS if not EXPECTED[event][state]]


_PROBE = Probe(tcp="127.0.0.1:1")
_CHECK = HealthCheck(_PROBE, on_unhealthy=OnUnhealthy.RESTART)
# Between them, these specs, fields and events show every target of every pair.
_SPECS = (
    make_spec(ready=Ready(_PROBE), healthcheck=_CHECK),
    make_spec(restart=NEVER, healthcheck=_CHECK),
    make_spec(backoff=Backoff(initial=0.0)),
    make_spec(start_limit=StartLimit(burst=1)),
)
_PENDING: dict[str, Any] = {"pid": None, "started_at": None}  # Spawn was asked for, no answer yet
_ALIVE: dict[str, Any] = {"pid": PID, "started_at": 0.0}
_LEFT: dict[str, Any] = {"pid": None, "started_at": 0.0, "reason": StopReason.LEFTOVERS}
_REASONS: list[dict[str, Any]] = [
    {"desired": Desired.DOWN, "reason": StopReason.REQUESTED},
    {"desired": Desired.UP, "reason": StopReason.RESTART},
    {"desired": Desired.UP, "reason": StopReason.UNHEALTHY},
    {"desired": Desired.UP, "reason": StopReason.START_TIMEOUT},
]
_FIELDS: dict[ProcessState, list[dict[str, Any]]] = {
    S.STARTING: [
        *({**child, "desired": desired} for child in (_PENDING, _ALIVE) for desired in Desired)
    ],
    S.RUNNING: [{**_ALIVE, "desired": desired} for desired in Desired],
    S.BACKOFF: [{"starts": (0.0,)}],
    S.STOPPING: [
        *({**child, **reason} for child in (_PENDING, _ALIVE, _LEFT) for reason in _REASONS),
        *({**_LEFT, "desired": Desired.UP, "last_exit": ExitedStatus(n)} for n in (0, 1)),
    ],
}
_EVENTS: dict[type[Record], list[Event]] = {
    Spawned: [Spawned(PID)],
    SpawnFailed: [SpawnFailed("exec", 2, "not found"), SpawnFailed("fork", 11, "try again")],
    ProcessExited: [
        ProcessExited(status, survivors)
        for status in (ExitedStatus(0), ExitedStatus(1), Killed(9))
        for survivors in (False, True)
    ],
    DeadlineReached: [DeadlineReached(deadline) for deadline in Deadline],
    HealthChanged: [HealthChanged("healthy"), HealthChanged("unhealthy")],
    StatusReported: [StatusReported("working")],
}


def word(value: ProcessState | type[Record]) -> str:
    """Return what a state or an event is called in a test's name."""
    return value.value if isinstance(value, ProcessState) else value.__name__


def processes_in(state: ProcessState) -> list[Process]:
    """Return processes that differ in all that the table's handlers look at."""
    killed: list[dict[str, Any]] = [{"killed": False}, {"killed": True}]
    return [
        make_process(state, spec, **fields, **also)
        for spec in _SPECS
        for fields in _FIELDS.get(state, [{}])
        for also in (killed if state is S.STOPPING else [{}])
    ]


def examples(state: ProcessState, kind: type[Record]) -> list[tuple[Process, Event]]:
    """Return what can happen in *state*: an answer comes only to a question."""
    answers: dict[type[Record], bool] = {Spawned: False, SpawnFailed: False, ProcessExited: True}
    events: list[Event] = _EVENTS.get(kind) or [cast("Event", kind())]
    return [
        (process, event)
        for process in processes_in(state)
        for event in events
        if state not in (S.STARTING, S.STOPPING)
        or kind not in answers
        or answers[kind] is (process.pid is not None)
    ]


def test_table_of_this_test_lists_every_pair() -> None:
    assert set(EXPECTED) == set(get_args(Event))
    assert all(set(row) == set(ProcessState) for row in EXPECTED.values())


@pytest.mark.parametrize(("state", "event"), PAIRS, ids=word)
def test_pair_is_declared_as_it_should_be(state: ProcessState, event: type[Record]) -> None:
    declared = lifecycle.TRANSITIONS.get((state, event))

    assert set(declared[1] if declared else ()) == set(EXPECTED[event][state])


@pytest.mark.parametrize(("state", "event"), MEANINGFUL, ids=word)
def test_pair_reaches_all_its_targets_and_no_other(
    state: ProcessState, event: type[Record]
) -> None:
    reached = {
        lifecycle.on_event(process, happened, now=5.0)[0].state
        for process, happened in examples(state, event)
    }

    assert reached == set(EXPECTED[event][state])


@pytest.mark.parametrize(("state", "event"), MEANINGLESS, ids=word)
def test_pair_without_meaning_changes_nothing(state: ProcessState, event: type[Record]) -> None:
    for process, happened in examples(state, event):
        after, effects = lifecycle.on_event(process, happened, now=5.0)

        assert after is process
        assert effects == []
