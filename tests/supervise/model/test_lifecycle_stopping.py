from __future__ import annotations

import pytest

from supervise.model.exitstatus import Exited as ExitedStatus
from supervise.model.exitstatus import Killed
from supervise.model.lifecycle import KILL_PATIENCE, SIGKILL, on_event
from supervise.model.process import (
    ArmTimer,
    Deadline,
    DeadlineReached,
    Desired,
    DisarmTimer,
    HurryRequested,
    ProcessExited,
    ProcessState,
    RestartRequested,
    RunStopCommand,
    Scope,
    SendSignal,
    Spawn,
    Spawned,
    StartRequested,
    StopCommandEnded,
    StopReason,
    StopRequested,
    StopWatching,
    SurvivorsGone,
)
from supervise.model.service import (
    KillMode,
    ServiceType,
)
from tests.support.processes import (
    NEVER,
    PID,
    announced,
    make_process,
    make_spec,
    stop_effects,
    without_announcements,
)

WELL, BADLY = ProcessExited(ExitedStatus(0)), ProcessExited(ExitedStatus(1))
STOP_OVER = DeadlineReached(Deadline.STOP)


# -- stopping


@pytest.mark.parametrize("state", [ProcessState.STARTING, ProcessState.RUNNING])
def test_stop_sends_the_signal_and_continues_what_is_stopped(state: ProcessState) -> None:
    after, effects = on_event(make_process(state, pid=PID), StopRequested(), now=3.0)

    assert (after.state, after.desired, after.ready) == (
        ProcessState.STOPPING,
        Desired.DOWN,
        False,
    )
    assert without_announcements(effects) == [
        StopWatching(),
        DisarmTimer(Deadline.START),
        *stop_effects(5.0),
    ]


def test_stop_follows_the_services_own_ways() -> None:
    spec = make_spec(stop_signal=2, stop_grace_period=9.0, kill_mode=KillMode.PROCESS)

    _, effects = on_event(make_process(ProcessState.RUNNING, spec), StopRequested(), now=3.0)

    assert without_announcements(effects)[2:] == stop_effects(9.0, 2, Scope.PROCESS)


def test_stop_with_its_own_grace() -> None:
    _, effects = on_event(make_process(ProcessState.RUNNING), StopRequested(1.5), now=3.0)

    assert ArmTimer(Deadline.STOP, 1.5) in effects


def test_stop_command_runs_before_the_signal_is_sent() -> None:
    running = make_process(ProcessState.RUNNING, make_spec(stop_command=("/bin/stop",)))

    stopping, effects = on_event(running, StopRequested(), now=3.0)
    _, afterwards = on_event(stopping, StopCommandEnded(), now=4.0)

    assert without_announcements(effects)[2:] == [ArmTimer(Deadline.STOP, 5.0), RunStopCommand()]
    assert afterwards == stop_effects(5.0)[1:]


def test_stop_command_that_ends_after_sigkill_signals_nobody() -> None:
    stopping = make_process(ProcessState.STOPPING, killed=True)

    assert on_event(stopping, StopCommandEnded(), now=4.0) == (stopping, [])


def test_stopped_service_is_down() -> None:
    after, effects = on_event(make_process(ProcessState.STOPPING), BADLY, now=4.0)

    assert (after.state, after.desired, after.pid) == (ProcessState.STOPPED, Desired.DOWN, None)
    assert (after.last_exit, after.failure) == (ExitedStatus(1), "")
    assert announced(effects) == ["service.stopped"]
    assert without_announcements(effects) == [DisarmTimer(Deadline.STOP)]


def test_stubborn_service_is_killed_when_its_grace_ends() -> None:
    after, effects = on_event(make_process(ProcessState.STOPPING), STOP_OVER, now=8.0)

    assert (after.state, after.killed) == (ProcessState.STOPPING, True)
    assert without_announcements(effects) == [
        SendSignal(SIGKILL, Scope.ALL),
        ArmTimer(Deadline.STOP, KILL_PATIENCE),
    ]


def test_unkillable_service_is_left_behind() -> None:
    after, effects = on_event(make_process(ProcessState.STOPPING, killed=True), STOP_OVER, now=10.0)

    assert (after.state, after.pid) == (ProcessState.STOPPED, None)
    assert announced(effects) == ["service.unkillable", "service.stopped"]


def test_hurry_kills_at_once_and_once() -> None:
    stopping = make_process(ProcessState.STOPPING)

    killed, effects = on_event(stopping, HurryRequested(), now=4.0)

    assert SendSignal(SIGKILL, Scope.ALL) in effects
    assert on_event(killed, HurryRequested(), now=4.1) == (killed, [])


def test_second_stop_with_a_grace_replaces_the_first() -> None:
    stopping = make_process(ProcessState.STOPPING, desired=Desired.UP, reason=StopReason.RESTART)

    after, effects = on_event(stopping, StopRequested(0.5), now=4.0)

    assert (after.desired, after.reason) == (Desired.DOWN, StopReason.REQUESTED)
    assert effects == [ArmTimer(Deadline.STOP, 0.5)]


def test_second_stop_does_not_lengthen_the_wait_after_sigkill() -> None:
    stopping = make_process(ProcessState.STOPPING, killed=True)

    _, effects = on_event(stopping, StopRequested(60.0), now=4.0)

    assert effects == []


def test_stop_during_the_delay_disarms_it() -> None:
    after, effects = on_event(make_process(ProcessState.BACKOFF), StopRequested(), now=0.5)

    assert (after.state, after.next_start) == (ProcessState.STOPPED, None)
    assert without_announcements(effects) == [DisarmTimer(Deadline.BACKOFF)]


def test_stop_that_overtakes_the_exec_waits_for_its_end() -> None:
    starting = make_process(ProcessState.STARTING)

    stopping, _ = on_event(starting, StopRequested(), now=1.0)
    executed, effects = on_event(stopping, Spawned(PID), now=1.1)
    after, _ = on_event(executed, ProcessExited(Killed(15)), now=1.2)

    assert (executed.state, executed.pid, effects) == (ProcessState.STOPPING, PID, [])
    assert after.state is ProcessState.STOPPED


# -- starting again


@pytest.mark.parametrize("event", [StartRequested(), RestartRequested()])
def test_start_while_stopping_starts_once_it_has_stopped(
    event: StartRequested | RestartRequested,
) -> None:
    again, effects = on_event(make_process(ProcessState.STOPPING), event, now=4.0)
    after, more = on_event(again, WELL, now=5.0)

    assert (again.state, effects) == (ProcessState.STOPPING, [])
    assert (after.state, after.desired) == (ProcessState.STARTING, Desired.UP)
    assert more[-1] == Spawn()


def test_restart_replaces_the_process_without_counting_a_failure() -> None:
    stopping, effects = on_event(
        make_process(ProcessState.RUNNING, attempts=3), RestartRequested(2.0), now=4.0
    )
    after, _ = on_event(stopping, ProcessExited(Killed(15)), now=5.0)

    assert (stopping.reason, stopping.desired) == (StopReason.RESTART, Desired.UP)
    assert ArmTimer(Deadline.STOP, 2.0) in effects
    assert (after.state, after.attempts, after.restarts) == (ProcessState.STARTING, 0, 0)


# -- processes that are left behind


def test_survivors_of_an_end_are_stopped_before_the_next_start() -> None:
    running = make_process(ProcessState.RUNNING)

    stopping, effects = on_event(running, ProcessExited(ExitedStatus(1), survivors=True), now=3.0)
    after, _ = on_event(stopping, SurvivorsGone(), now=4.0)

    assert (stopping.state, stopping.reason) == (ProcessState.STOPPING, StopReason.LEFTOVERS)
    assert without_announcements(effects)[2:] == stop_effects(5.0)
    assert (after.state, after.failure) == (ProcessState.BACKOFF, "exit code 1")


def test_oneshot_that_left_processes_behind_completes_when_they_are_gone() -> None:
    spec = make_spec(type=ServiceType.ONESHOT, restart=NEVER)
    running = make_process(ProcessState.RUNNING, spec)

    stopping, _ = on_event(running, ProcessExited(ExitedStatus(0), survivors=True), now=3.0)
    after, _ = on_event(stopping, SurvivorsGone(), now=4.0)

    assert after.state is ProcessState.EXITED


def test_survivors_are_none_of_our_business_with_kill_mode_process() -> None:
    spec = make_spec(kill_mode=KillMode.PROCESS)

    after, _ = on_event(
        make_process(ProcessState.RUNNING, spec),
        ProcessExited(ExitedStatus(1), survivors=True),
        now=3.0,
    )

    assert after.state is ProcessState.BACKOFF


def test_stop_lasts_until_the_survivors_are_gone() -> None:
    stopping = make_process(ProcessState.STOPPING)

    waiting, effects = on_event(stopping, ProcessExited(ExitedStatus(0), survivors=True), now=3.0)
    after, _ = on_event(waiting, SurvivorsGone(), now=4.0)

    assert (waiting.state, waiting.pid, effects) == (ProcessState.STOPPING, None, [])
    assert after.state is ProcessState.STOPPED


def test_stop_lasts_until_the_main_process_is_gone() -> None:
    stopping = make_process(ProcessState.STOPPING)

    assert on_event(stopping, SurvivorsGone(), now=3.0) == (stopping, [])


def test_end_of_an_earlier_runs_survivors_does_not_lose_the_program_being_spawned() -> None:
    stopping, _ = on_event(make_process(ProcessState.STARTING), StopRequested(), now=3.0)

    after, effects = on_event(stopping, SurvivorsGone(), now=3.1)

    assert (after, effects) == (stopping, [])
