"""Restart policies, backoff, the start limit, readiness in time, health."""

from __future__ import annotations

import errno

import pytest

from supervise.model.exitstatus import Exited, Killed
from supervise.model.process import ProcessState
from supervise.model.service import (
    Backoff,
    HealthCheck,
    OnUnhealthy,
    Probe,
    Ready,
    RestartMode,
    RestartPolicy,
    StartLimit,
)
from tests.support.fake_kernel import Program
from tests.support.simulation import (
    AT_ONCE,
    NEVER,
    ON_FAILURE,
    SIGKILL,
    SIGTERM,
    booted,
    oneshot,
    service,
)

CRASHES = Program(runs=1.0, ends=Exited(3))
SAYS_NO, SAYS_YES = Program(runs=0.0, ends=Exited(1)), Program(runs=0.0)


@pytest.mark.parametrize("mode", [RestartMode.ALWAYS, RestartMode.UNLESS_STOPPED])
@pytest.mark.parametrize("status", [Exited(0), Exited(3), Killed(9)])
def test_always_starts_again_whatever_the_end(mode: RestartMode, status: Exited | Killed) -> None:
    web = service("web", restart=RestartPolicy(mode))

    with booted({"web": [Program(runs=1.0, ends=status), Program()]}, web) as sim:
        sim.run(5.0)

        assert sim.starts("web") == [0.0, 1.1]
        assert sim.service("web").process.restarts == 1


@pytest.mark.parametrize(
    ("status", "state"), [(Exited(0), ProcessState.EXITED), (Exited(3), ProcessState.FAILED)]
)
def test_no_never_starts_again(status: Exited, state: ProcessState) -> None:
    scripts = {"web": Program(runs=1.0, ends=status)}

    with booted(scripts, service("web", restart=NEVER), service("idle")) as sim:
        sim.run(60.0)

        assert sim.starts("web") == [0.0]
        assert sim.state("web") is state


def test_on_failure_starts_again_after_a_failure_alone() -> None:
    scripts = {"web": [CRASHES, Program(runs=1.0)]}

    with booted(scripts, service("web", restart=ON_FAILURE), service("idle")) as sim:
        sim.run(60.0)

        assert sim.starts("web") == [0.0, 1.1]
        assert sim.state("web") is ProcessState.EXITED


def test_on_failure_knows_the_codes_that_are_success() -> None:
    web = service("web", restart=ON_FAILURE, success_exit_codes=(0, 3))

    with booted({"web": CRASHES}, web, service("idle")) as sim:
        sim.run(60.0)

        assert sim.state("web") is ProcessState.EXITED


def test_on_failure_with_a_number_gives_up_after_so_many_retries() -> None:
    web = service("web", restart=RestartPolicy(RestartMode.ON_FAILURE, 2))

    with booted({"web": CRASHES}, web, service("idle")) as sim:
        sim.run(60.0)

        assert len(sim.starts("web")) == 3
        assert sim.state("web") is ProcessState.FAILED
        assert sim.told("service.failed", "web") == [{"service": "web", "reason": "exit code 3"}]


def test_oneshot_that_fails_may_be_retried() -> None:
    scripts = {"migrate": [CRASHES, Program(runs=1.0)]}

    with booted(scripts, oneshot("migrate", restart=ON_FAILURE), service("idle")) as sim:
        sim.run(60.0)

        assert sim.starts("migrate") == [0.0, 1.1]
        assert sim.state("migrate") is ProcessState.EXITED


def test_backoff_doubles_up_to_its_maximum() -> None:
    web = service("web", backoff=Backoff(initial=1.0, factor=2.0, max=5.0, jitter=0.0))

    with booted({"web": Program(runs=0.0, ends=Exited(1))}, web) as sim:
        sim.run(18.0)

        assert sim.starts("web") == [0.0, 1.0, 3.0, 7.0, 12.0, 17.0]


def test_backoff_begins_anew_after_a_long_run() -> None:
    web = service("web", backoff=Backoff(initial=1.0, jitter=0.0, reset_after=10.0))
    short, long = Program(runs=1.0, ends=Exited(1)), Program(runs=10.0, ends=Exited(1))

    with booted({"web": [short, short, long, short]}, web) as sim:
        sim.run(19.0)

        # ends at 1, 3 and 15: after 1, 2 and, anew, 1 seconds it is back
        assert sim.starts("web") == [0.0, 2.0, 5.0, 16.0, 19.0]


def test_backoff_is_jittered_within_its_share() -> None:
    crowd = [
        service(f"s{i}", backoff=Backoff(initial=10.0, jitter=0.1), command=("crash",))
        for i in range(20)
    ]

    with booted({"crash": [Program(runs=0.0)] * 20 + [Program()]}, *crowd) as sim:
        sim.run(12.0)

        delays = [sim.starts(each.name)[1] for each in crowd]
        assert all(9.0 <= delay <= 11.0 for delay in delays)
        assert len(set(delays)) > 10


def test_start_by_a_person_ends_the_backoff() -> None:
    web = service("web", backoff=Backoff(initial=30.0, jitter=0.0))

    with booted({"web": [CRASHES, CRASHES, Program()]}, web) as sim:
        sim.run(2.0)
        sim.facade.start_all(["web"])
        sim.run(1.5)

        assert sim.starts("web") == [0.0, 2.0]
        assert sim.service("web").process.next_start == pytest.approx(sim.loop.now() + 29.5)


def test_start_limit_ends_in_failed() -> None:
    web = service("web", backoff=AT_ONCE, start_limit=StartLimit(burst=3, interval=60.0))

    with booted({"web": CRASHES}, web, service("idle")) as sim:
        sim.run(60.0)

        assert sim.starts("web") == [0.0, 1.0, 2.0]
        assert sim.state("web") is ProcessState.FAILED
        assert sim.supervisor.view("web").detail == "started 3 times within 60 s; exit code 3"


def test_start_limit_counts_an_interval_alone() -> None:
    web = service("web", backoff=AT_ONCE, start_limit=StartLimit(burst=3, interval=2.5))

    with booted({"web": CRASHES}, web, service("idle")) as sim:
        sim.run(20.5)

        assert len(sim.starts("web")) == 21


def test_start_by_a_person_forgives_the_start_limit() -> None:
    web = service("web", backoff=AT_ONCE, start_limit=StartLimit(burst=2, interval=60.0))

    with booted({"web": [CRASHES, CRASHES, Program()]}, web, service("idle")) as sim:
        sim.run(5.0)
        sim.facade.start_all(["web"])
        sim.run(5.0)

        assert sim.state("web") is ProcessState.RUNNING
        assert sim.starts("web") == [0.0, 1.0, 5.0]


def test_exec_failure_with_zero_backoff_does_not_starve_the_loop() -> None:
    broken = service("broken", backoff=AT_ONCE)
    done: list[float] = []

    with booted({"broken": Program(fails=errno.ENOENT)}, broken, service("web")) as sim:
        sim.loop.call_later(0.0, lambda: done.append(sim.now))
        sim.loop._running = True
        for _ in range(5):
            sim.loop.turn()
        sim.signal(SIGTERM)
        sim.loop.turn()
        sim.loop.turn()

        assert done == [0.0]
        assert 5 <= len(sim.starts("broken")) <= 10
        assert sim.loop.ended


def test_unconfirmed_exec_failure_with_zero_backoff_does_not_starve_the_loop() -> None:
    broken = service("broken", backoff=AT_ONCE)
    scripts = {"broken": Program(fails=errno.ENOENT, confirms=0.0)}

    with booted(scripts, broken, service("web")) as sim:
        sim.loop._running = True
        for _ in range(10):
            sim.loop.turn()
        sim.signal(SIGTERM)

        assert sim.exit_code(within=1.0) == 0


def test_exec_failure_is_told_with_stage_and_reason() -> None:
    scripts = {"web": Program(fails=errno.EACCES)}

    with booted(scripts, service("web", restart=NEVER), service("idle")) as sim:
        sim.settle()

        assert sim.told("service.spawn_failed", "web") == [
            {"service": "web", "stage": "exec", "message": "cannot exec: EACCES"}
        ]
        assert sim.supervisor.view("web").exit_code == 126


@pytest.mark.parametrize("how", [None, 0.5])
def test_shortage_is_retried_though_nothing_else_would_be(how: float | None) -> None:
    short = Program(fails=errno.EAGAIN, stage="fork", confirms=how)

    with booted({"web": [short, short, Program()]}, service("web", restart=NEVER)) as sim:
        sim.run(10.0)

        assert sim.state("web") is ProcessState.RUNNING
        assert len(sim.starts("web")) == 3


def test_shortage_does_not_count_for_the_start_limit() -> None:
    short = Program(fails=errno.EAGAIN, stage="fork")
    web = service("web", start_limit=StartLimit(burst=3, interval=60.0))

    with booted({"web": [*[short] * 5, Program()]}, web, service("idle")) as sim:
        sim.run(30.0)

        assert sim.state("web") is ProcessState.RUNNING


def test_unconfirmed_start_that_dies_first_is_an_end() -> None:
    scripts = {"web": [Program(confirms=0.5, dies_unconfirmed=True), Program()]}

    with booted(scripts, service("web")) as sim:
        sim.run(5.0)

        assert sim.starts("web") == [0.0, 0.6]
        assert sim.state("web") is ProcessState.RUNNING


def test_not_ready_in_time_is_stopped_and_tried_again() -> None:
    web = service("web", ready=Ready(Probe(notify=True)), start_timeout=5.0)

    with booted({"web": [Program(), Program()]}, web) as sim:
        sim.run(5.5)

        assert sim.received("web") == [(5.0, SIGTERM)]
        assert sim.starts("web") == [0.0, 5.1]
        assert sim.told("service.stopping", "web")[0]["reason"] == "not ready in time"


def test_not_ready_in_time_and_stubborn_is_killed_first() -> None:
    web = service("web", ready=Ready(Probe(notify=True)), start_timeout=5.0, stop_grace_period=2.0)

    with booted({"web": [Program(ignores=frozenset({SIGTERM})), Program()]}, web) as sim:
        sim.run(8.0)

        assert sim.received("web") == [(5.0, SIGTERM), (7.0, SIGKILL)]
        assert sim.starts("web") == [0.0, 7.1]


def test_ready_in_time_has_no_deadline_left() -> None:
    web = service("web", ready=Ready(Probe(notify=True)), start_timeout=5.0)

    with booted({}, web) as sim:
        sim.run(4.0)
        sim.supervisor.report_ready("web")
        sim.run(60.0)

        assert sim.state("web") is ProcessState.RUNNING
        assert sim.service("web").timers == {}


def test_never_ready_without_restart_fails_the_container() -> None:
    web = service("web", ready=Ready(Probe(notify=True)), start_timeout=5.0, restart=NEVER)

    with booted({}, web) as sim:
        assert sim.exit_code() == 1
        assert sim.told("service.failed", "web")[0]["reason"] == "not ready within 5 s"


def test_unhealthy_service_is_restarted_when_asked_for() -> None:
    check = HealthCheck(
        Probe(exec=("probe",)), interval=1.0, retries=2, on_unhealthy=OnUnhealthy.RESTART
    )

    with booted(
        {"probe": [SAYS_YES, SAYS_NO, SAYS_NO, SAYS_YES]}, service("web", healthcheck=check)
    ) as sim:
        sim.run(5.0)

        assert sim.when("service.unhealthy", "web") == [3.0]
        assert sim.starts("web") == [0.0, 3.1]
        assert sim.service("web").process.health == "healthy"


def test_unhealthy_service_is_only_shown_by_default() -> None:
    check = HealthCheck(Probe(exec=("probe",)), interval=1.0, retries=2)

    with booted({"probe": SAYS_NO}, service("web", healthcheck=check)) as sim:
        sim.run(10.0)

        assert sim.starts("web") == [0.0]
        assert sim.supervisor.view("web").health == "unhealthy"


def test_health_is_not_asked_of_what_is_down() -> None:
    check = HealthCheck(Probe(exec=("probe",)), interval=1.0)
    scripts = {"probe": SAYS_YES, "web": Program(runs=2.5)}

    with booted(scripts, service("web", healthcheck=check, restart=NEVER), service("idle")) as sim:
        sim.run(60.0)

        probes = [process for process in sim.kernel.history if process.name == "probe"]
        assert len(probes) == 2
        assert sim.loop.pending_timers() == 0
