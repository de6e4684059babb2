from __future__ import annotations

import errno

import pytest

from supervise.model import lifecycle
from supervise.model.announcement import EVENTS
from supervise.model.exitstatus import Exited as ExitedStatus
from supervise.model.exitstatus import Killed
from supervise.model.lifecycle import on_event
from supervise.model.process import (
    Announce,
    ArmTimer,
    BecameReady,
    Deadline,
    DeadlineReached,
    Desired,
    DisarmTimer,
    HealthChanged,
    Process,
    ProcessExited,
    ProcessState,
    Spawn,
    Spawned,
    SpawnFailed,
    StartRequested,
    StatusReported,
    StopReason,
    StopRequested,
    StopWatching,
    Wanted,
    WatchHealth,
    WatchReadiness,
)
from supervise.model.service import (
    Backoff,
    HealthCheck,
    OnUnhealthy,
    Probe,
    Ready,
    RestartMode,
    RestartPolicy,
    ServiceType,
    StartLimit,
)
from tests.support.processes import (
    NEVER,
    ON_FAILURE,
    PID,
    announced,
    announcement,
    make_process,
    make_spec,
    stop_effects,
    without_announcements,
)

READY = Ready(Probe(tcp="127.0.0.1:1"))
CHECK = HealthCheck(Probe(tcp="127.0.0.1:1"))
WELL, BADLY = ProcessExited(ExitedStatus(0)), ProcessExited(ExitedStatus(1))
STOP_OVER = DeadlineReached(Deadline.STOP)
NOT_THERE = SpawnFailed("exec", errno.ENOENT, "cannot execute 'x': not found in PATH")


# -- starting


def test_start_spawns() -> None:
    after, effects = on_event(make_process(), StartRequested(), now=3.0)

    assert (after.state, after.desired, after.since) == (ProcessState.STARTING, Desired.UP, 3.0)
    assert without_announcements(effects) == [Spawn()]


def test_wanted_waits_without_a_process() -> None:
    after, effects = on_event(make_process(), Wanted(), now=3.0)

    assert (after.state, after.desired) == (ProcessState.STOPPED, Desired.UP)
    assert effects == []


def test_wanted_after_a_failure_waits_as_if_nothing_had_been() -> None:
    failed = make_process(ProcessState.FAILED, attempts=9, starts=(1.0,))

    after, _ = on_event(failed, Wanted(), now=3.0)

    assert (after.state, after.attempts, after.starts, after.failure) == (
        ProcessState.STOPPED,
        0,
        (),
        "",
    )


def test_stop_of_a_waiting_service_ends_the_wait() -> None:
    waiting = make_process(desired=Desired.UP)

    after, effects = on_event(waiting, StopRequested(), now=3.0)

    assert (after.state, after.desired) == (ProcessState.STOPPED, Desired.DOWN)
    assert effects == []


def test_executed_service_without_probe_runs_and_is_ready() -> None:
    after, effects = on_event(make_process(ProcessState.STARTING), Spawned(PID), now=3.0)

    assert (after.state, after.pid, after.ready) == (ProcessState.RUNNING, PID, True)
    assert announcement(effects, "service.started") == {"service": "web", "pid": PID}
    assert without_announcements(effects) == []


def test_running_oneshot_is_not_ready() -> None:
    oneshot = make_process(ProcessState.STARTING, make_spec(type=ServiceType.ONESHOT))

    after, _ = on_event(oneshot, Spawned(PID), now=3.0)

    assert (after.state, after.ready) == (ProcessState.RUNNING, False)


def test_executed_service_with_probe_is_watched_until_its_start_timeout() -> None:
    starting = make_process(ProcessState.STARTING, make_spec(ready=READY, start_timeout=7.0))

    after, effects = on_event(starting, Spawned(PID), now=3.0)

    assert (after.state, after.pid, after.ready) == (ProcessState.STARTING, PID, False)
    assert without_announcements(effects) == [ArmTimer(Deadline.START, 7.0), WatchReadiness()]


def test_ready_service_runs_and_its_health_is_watched() -> None:
    spec = make_spec(ready=READY, healthcheck=CHECK)
    starting = make_process(ProcessState.STARTING, spec, pid=PID, started_at=1.0)

    after, effects = on_event(starting, BecameReady(), now=3.5)

    assert (after.state, after.ready, after.health) == (ProcessState.RUNNING, True, "starting")
    assert announcement(effects, "service.ready")["after"] == 2.5
    assert without_announcements(effects) == [DisarmTimer(Deadline.START), WatchHealth()]


def test_readiness_that_overtakes_the_verdict_of_the_exec_counts() -> None:
    early, none = on_event(
        make_process(ProcessState.STARTING, make_spec(ready=READY)), BecameReady(), now=1.0
    )

    after, effects = on_event(early, Spawned(PID), now=2.0)

    assert (early.state, none) == (ProcessState.STARTING, [])
    assert (after.state, after.pid, after.ready) == (ProcessState.RUNNING, PID, True)
    assert announced(effects) == ["service.started", "service.ready"]


def test_service_that_is_not_ready_in_time_is_stopped_and_starts_again() -> None:
    spec = make_spec(ready=READY, start_timeout=7.0)
    starting = make_process(ProcessState.STARTING, spec, pid=PID, started_at=0.0)

    stopping, effects = on_event(starting, DeadlineReached(Deadline.START), now=7.0)
    after, _ = on_event(stopping, BADLY, now=8.0)

    assert (stopping.state, stopping.reason) == (ProcessState.STOPPING, StopReason.START_TIMEOUT)
    assert without_announcements(effects)[2:] == stop_effects(5.0)
    assert (after.state, after.failure) == (ProcessState.BACKOFF, "not ready within 7 s")


# -- ends that nobody asked for


def test_ended_service_starts_again_after_its_delay() -> None:
    after, effects = on_event(make_process(ProcessState.RUNNING), BADLY, now=3.0)

    assert (after.state, after.next_start, after.pid) == (ProcessState.BACKOFF, 4.0, None)
    assert (after.failure, after.last_exit) == ("exit code 1", ExitedStatus(1))
    assert without_announcements(effects) == [
        StopWatching(),
        DisarmTimer(Deadline.START),
        ArmTimer(Deadline.BACKOFF, 1.0),
    ]
    assert announced(effects) == ["service.exited", "service.backoff"]


def test_delays_of_one_service_double_and_reset_after_a_long_run() -> None:
    process = make_process(ProcessState.RUNNING)
    now = 0.0
    delays = []

    for ran in (1.0, 1.0, 1.0, 10.0, 1.0):
        process, _ = on_event(process.replace(started_at=now), BADLY, now + ran)
        assert process.next_start is not None
        delays.append(process.next_start - (now + ran))
        now = process.next_start
        process, _ = on_event(process, DeadlineReached(Deadline.BACKOFF), now)
        process, _ = on_event(process, Spawned(PID), now)

    assert delays == [1.0, 2.0, 4.0, 1.0, 2.0]
    assert process.restarts == 5


def test_jitter_spreads_the_delay() -> None:
    spec = make_spec(backoff=Backoff(initial=1.0, jitter=0.5))

    delays = [
        on_event(make_process(ProcessState.RUNNING, spec), BADLY, now=3.0, jitter=jitter)[0]
        for jitter in (-1.0, 0.0, 1.0)
    ]

    assert [process.next_start for process in delays] == [3.5, 4.0, 4.5]


def test_without_a_delay_the_successor_is_spawned_at_once() -> None:
    running = make_process(ProcessState.RUNNING, make_spec(backoff=Backoff(initial=0.0)))

    after, effects = on_event(running, ProcessExited(Killed(9)), now=3.0)

    assert (after.state, after.restarts) == (ProcessState.STARTING, 1)
    assert effects[-1] == Spawn()


def test_end_without_restart_is_final() -> None:
    running = make_process(ProcessState.RUNNING, make_spec(restart=NEVER))

    well, _ = on_event(running, WELL, now=3.0)
    badly, told = on_event(running, BADLY, now=3.0)

    assert (well.state, badly.state) == (ProcessState.EXITED, ProcessState.FAILED)
    assert announcement(told, "service.failed") == {"service": "web", "reason": "exit code 1"}


def test_oneshot_completes() -> None:
    spec = make_spec(type=ServiceType.ONESHOT, restart=NEVER)

    after, effects = on_event(make_process(ProcessState.RUNNING, spec, ready=False), WELL, now=3.0)

    assert after.state is ProcessState.EXITED
    assert announced(effects) == ["service.completed"]


def test_exit_code_listed_as_success_completes() -> None:
    spec = make_spec(restart=ON_FAILURE, success_exit_codes=(0, 3))

    after, _ = on_event(
        make_process(ProcessState.RUNNING, spec), ProcessExited(ExitedStatus(3)), now=3.0
    )

    assert (after.state, after.failure) == (ProcessState.EXITED, "")


def test_too_many_starts_in_the_interval_fail() -> None:
    spec = make_spec(start_limit=StartLimit(burst=2, interval=60.0))
    waiting = make_process(
        ProcessState.BACKOFF, spec, starts=(1.0, 2.0), restarts=1, failure="exit code 1"
    )

    after, effects = on_event(waiting, DeadlineReached(Deadline.BACKOFF), now=3.0)

    assert (after.state, after.restarts) == (ProcessState.FAILED, 1)
    assert after.failure == "started 2 times within 60 s; exit code 1"
    assert Spawn() not in effects


def test_old_starts_do_not_count_against_the_limit() -> None:
    spec = make_spec(start_limit=StartLimit(burst=2, interval=60.0))
    waiting = make_process(ProcessState.BACKOFF, spec, starts=(1.0, 2.0))

    after, effects = on_event(waiting, DeadlineReached(Deadline.BACKOFF), now=61.5)

    assert (after.state, after.starts) == (ProcessState.STARTING, (2.0, 61.5))
    assert effects[-1] == Spawn()


def test_start_by_a_person_forgives_what_was_before() -> None:
    spec = make_spec(start_limit=StartLimit(burst=1, interval=60.0))
    failed = make_process(ProcessState.FAILED, spec, starts=(1.0,), attempts=9)

    after, _ = on_event(failed, StartRequested(), now=2.0)

    assert (after.state, after.attempts, after.starts) == (ProcessState.STARTING, 0, (2.0,))


def test_start_during_the_delay_does_not_wait_for_its_end() -> None:
    after, effects = on_event(make_process(ProcessState.BACKOFF), StartRequested(), now=0.5)

    assert after.state is ProcessState.STARTING
    assert without_announcements(effects) == [DisarmTimer(Deadline.BACKOFF), Spawn()]


# -- programs that cannot be executed


def test_program_that_is_not_there_follows_the_restart_policy() -> None:
    starting = make_process(ProcessState.STARTING, make_spec(restart=NEVER))

    after, effects = on_event(starting, NOT_THERE, now=3.0)

    assert (after.state, after.failure) == (ProcessState.FAILED, NOT_THERE.message)
    assert after.last_exit == ExitedStatus(127)
    assert announcement(effects, "service.spawn_failed")["stage"] == "exec"


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ETXTBSY])
def test_shortage_is_tried_again_whatever_the_policy(number: int) -> None:
    spec = make_spec(restart=NEVER, backoff=Backoff(initial=0.0))

    after, effects = on_event(
        make_process(ProcessState.STARTING, spec), SpawnFailed("fork", number, "short"), now=3.0
    )

    assert (after.state, after.next_start) == (ProcessState.BACKOFF, 3.1)
    assert ArmTimer(Deadline.BACKOFF, 0.1) in effects


# -- health and status


@pytest.mark.parametrize("health", ["healthy", "starting"])
def test_health_is_shown(health: str) -> None:
    running = make_process(ProcessState.RUNNING, make_spec(healthcheck=CHECK))

    after, _ = on_event(running, HealthChanged(health), now=3.0)

    assert (after.state, after.health) == (ProcessState.RUNNING, health)


def test_unhealthy_service_runs_on_by_default() -> None:
    running = make_process(ProcessState.RUNNING, make_spec(healthcheck=CHECK))

    after, effects = on_event(running, HealthChanged("unhealthy", "refused"), now=3.0)

    assert (after.state, after.health) == (ProcessState.RUNNING, "unhealthy")
    assert announcement(effects, "service.unhealthy")["message"] == "refused"


def test_unhealthy_service_is_replaced_where_asked_for() -> None:
    check = CHECK.replace(on_unhealthy=OnUnhealthy.RESTART)
    running = make_process(ProcessState.RUNNING, make_spec(healthcheck=check))

    stopping, effects = on_event(running, HealthChanged("unhealthy"), now=3.0)
    after, _ = on_event(stopping, WELL, now=4.0)

    assert (stopping.state, stopping.reason) == (ProcessState.STOPPING, StopReason.UNHEALTHY)
    assert StopWatching() in effects
    assert (after.state, after.failure) == (ProcessState.BACKOFF, "unhealthy")


def test_failure_of_an_earlier_run_is_not_blamed_for_a_later_end() -> None:
    check = CHECK.replace(on_unhealthy=OnUnhealthy.RESTART)
    again = make_process(ProcessState.STARTING, make_spec(healthcheck=check), failure="exit code 1")

    running, _ = on_event(again, Spawned(PID), now=1.0)
    stopping, _ = on_event(running, HealthChanged("unhealthy"), now=3.0)
    after, _ = on_event(stopping, ProcessExited(Killed(15)), now=4.0)

    assert running.failure == ""
    assert after.failure == "unhealthy"


def test_status_text_is_kept_and_told_once() -> None:
    running = make_process(ProcessState.RUNNING)

    after, effects = on_event(running, StatusReported("busy"), now=3.0)

    assert (after.status_text, announced(effects)) == ("busy", ["service.status"])
    assert on_event(after, StatusReported("busy"), now=3.1) == (after, [])


# -- what is announced


def test_announcements_have_the_fields_their_catalogue_lists() -> None:
    check = CHECK.replace(on_unhealthy=OnUnhealthy.RESTART)
    spec = make_spec(ready=READY, healthcheck=check)
    starting = make_process(ProcessState.STARTING, spec, pid=PID, started_at=0.0)
    running = make_process(ProcessState.RUNNING, spec)
    stopping = make_process(ProcessState.STOPPING, spec)
    oneshot = make_process(ProcessState.RUNNING, make_spec(type=ServiceType.ONESHOT))
    happened: list[tuple[Process, object]] = [
        (make_process(spec=spec), StartRequested()),
        (make_process(ProcessState.STARTING, spec), Spawned(PID)),
        (make_process(ProcessState.STARTING, spec), NOT_THERE),
        (starting, BecameReady()),
        (running, BADLY),
        (running, ProcessExited(Killed(9))),
        (running, StatusReported("busy")),
        (running, HealthChanged("healthy")),
        (running, HealthChanged("unhealthy")),
        (make_process(ProcessState.RUNNING, make_spec(restart=NEVER)), BADLY),
        (oneshot, WELL),
        (stopping, WELL),
        (stopping, STOP_OVER),
        (stopping.replace(killed=True), STOP_OVER),
    ]
    said: dict[str, set[str]] = {}

    for process, event in happened:
        for effect in on_event(process, event, now=3.0)[1]:  # type: ignore[arg-type]
            if isinstance(effect, Announce):
                fields = said.setdefault(effect.announcement.name, set())
                fields.update(effect.announcement.fields)

    assert said == {name: set(EVENTS[name][2]) for name in said}
    others = {"service.waiting", "service.reloading"}  # the supervisor's own
    others |= {"service.reloaded", "service.reload_failed"}
    assert set(said) == {name for name in EVENTS if name.startswith("service.")} - others


def test_restart_policy_with_a_number_ends_in_failed() -> None:
    spec = make_spec(restart=RestartPolicy(RestartMode.ON_FAILURE, 1), backoff=Backoff(initial=0.0))
    first, _ = on_event(make_process(ProcessState.RUNNING, spec), BADLY, now=1.0)
    second, _ = on_event(first, Spawned(PID), now=1.0)

    last, _ = on_event(second, BADLY, now=2.0)

    assert (first.state, last.state) == (ProcessState.STARTING, ProcessState.FAILED)


def test_event_of_another_deadline_changes_nothing() -> None:
    backoff = make_process(ProcessState.BACKOFF)

    assert lifecycle.on_event(backoff, STOP_OVER, now=1.0) == (backoff, [])
