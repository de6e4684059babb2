"""What follows an end: in a shutdown, after a shortage, and when there was no end."""

from __future__ import annotations

import errno

import pytest

from supervise.model.exitstatus import Exited as ExitedStatus
from supervise.model.lifecycle import on_event
from supervise.model.process import (
    Deadline,
    DeadlineReached,
    Desired,
    DisarmTimer,
    Process,
    ProcessExited,
    ProcessState,
    ShutdownBegan,
    Spawn,
    SpawnFailed,
    StopReason,
)
from supervise.model.service import Backoff, StartLimit
from tests.support.processes import NEVER, announced, make_process, make_spec

BADLY = ProcessExited(ExitedStatus(1))
AT_ONCE = make_spec(backoff=Backoff(initial=0.0))


def in_shutdown(process: Process) -> Process:
    after, _effects = on_event(process, ShutdownBegan(), now=1.0)
    return after


@pytest.mark.parametrize("spec", [make_spec(), AT_ONCE])
def test_crash_in_a_shutdown_is_not_followed_by_a_start(spec: object) -> None:
    running = in_shutdown(make_process(ProcessState.RUNNING, spec))  # type: ignore[arg-type]

    after, effects = on_event(running, BADLY, now=2.0)

    assert after.state is ProcessState.STOPPED
    assert Spawn() not in effects


def test_shutdown_ends_a_backoff() -> None:
    after, effects = on_event(make_process(ProcessState.BACKOFF), ShutdownBegan(), now=2.0)

    assert after.state is ProcessState.STOPPED
    assert DisarmTimer(Deadline.BACKOFF) in effects


def test_end_for_good_in_a_shutdown_is_one() -> None:
    running = in_shutdown(make_process(ProcessState.RUNNING, make_spec(restart=NEVER)))

    after, _effects = on_event(running, BADLY, now=2.0)

    assert after.state is ProcessState.FAILED


def test_end_for_good_whose_leftovers_outlast_the_beginning_of_a_shutdown_is_one() -> None:
    running = make_process(ProcessState.RUNNING, make_spec(restart=NEVER))
    leaving, _ = on_event(running, ProcessExited(ExitedStatus(9), survivors=True), now=1.0)

    after, _ = on_event(
        in_shutdown(leaving).replace(killed=True), DeadlineReached(Deadline.STOP), now=9.0
    )

    assert after.state is ProcessState.FAILED
    assert after.last_exit == ExitedStatus(9)


@pytest.mark.parametrize(
    "reason", [StopReason.RESTART, StopReason.UNHEALTHY, StopReason.START_TIMEOUT]
)
def test_process_that_survives_sigkill_gets_no_successor_beside_it(reason: StopReason) -> None:
    stopping = make_process(ProcessState.STOPPING, reason=reason, desired=Desired.UP, killed=True)

    after, effects = on_event(stopping, DeadlineReached(Deadline.STOP), now=9.0)

    assert after.state is ProcessState.FAILED
    assert "survives SIGKILL" in after.failure
    assert announced(effects) == ["service.unkillable", "service.failed"]
    assert Spawn() not in effects


def test_start_that_failed_for_a_shortage_does_not_count_for_the_start_limit() -> None:
    limited = make_spec(start_limit=StartLimit(burst=2))
    starting = make_process(ProcessState.STARTING, limited, pid=None, starts=(1.0, 2.0))

    after, _ = on_event(starting, SpawnFailed("fork", errno.EAGAIN, "no room"), now=2.0)

    assert after.state is ProcessState.BACKOFF
    assert after.starts == (1.0,)
