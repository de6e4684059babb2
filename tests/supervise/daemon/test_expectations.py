"""When a start, a stop or a wait has its result: events and views in, verdicts out."""

from __future__ import annotations

from typing import Any

import pytest

from supervise.daemon.control.expectations import (
    Later,
    Reached,
    ServiceOutcome,
    StartExpectation,
    Stopped,
)
from supervise.model.announcement import Announcement
from supervise.model.hint import Hint, HintKind
from supervise.model.service import HealthCheck, Probe, Ready, ServiceSpec, ServiceType
from supervise.model.view import Blocker, Explanation, ServiceView

PLAIN = ServiceSpec("web", ("web",))
REPORTING = ServiceSpec("web", ("web",), ready=Ready(Probe(notify=True)))
ONESHOT = ServiceSpec("web", ("web",), type=ServiceType.ONESHOT)


def seen(state: str, **changes: Any) -> ServiceView:
    running = state in ("running", "starting", "stopping")
    defaults: dict[str, Any] = {
        "name": "web",
        "type": "service",
        "state": state,
        "desired": "up",
        "ready": False,
        "health": "",
        "pid": 10 if running else None,
        "uptime": 1.0 if running else None,
        "restarts": 0,
        "detail": "",
        "exit_code": None,
        "next_start": None,
        "essential": False,
    }
    return ServiceView(**{**defaults, **changes})


def event(name: str, **fields: Any) -> Announcement:
    return Announcement(name, {"service": "web", **fields})


def judged(
    it: StartExpectation | Stopped | Reached,
    view: ServiceView,
    *blockers: Blocker,
    waited: float = 0.0,
) -> ServiceOutcome | Later:
    return it.judge(view, waited, lambda: Explanation(view, blockers, ()))


def start(
    before: ServiceView, spec: ServiceSpec = PLAIN, *, restart: bool = False
) -> StartExpectation:
    return StartExpectation(before, spec, restart=restart)


LOGS = Hint(HintKind.LOGS, "web")


def failed(message: str, hint: Hint | None = LOGS) -> ServiceOutcome:
    return ServiceOutcome("web", message, "failed", hint)


# -- start


def test_without_readiness_a_program_has_to_run_for_a_moment() -> None:
    it = start(seen("stopped"))

    assert judged(it, seen("running", uptime=0.05)) == Later(0.2)
    assert judged(it, seen("running", uptime=0.25)) == ServiceOutcome("web", "started, pid 10")


def test_with_readiness_it_has_to_be_ready() -> None:
    it = start(seen("stopped"), REPORTING)

    assert judged(it, seen("running", uptime=50.0)) == Later()
    assert judged(it, seen("running", uptime=1.5, ready=True)) == ServiceOutcome(
        "web", "ready after 1.5 s, pid 10"
    )


def test_what_runs_is_said_to_run() -> None:
    it = start(seen("running", uptime=100.0))

    assert judged(it, seen("running", uptime=100.0)) == ServiceOutcome(
        "web", "is running already, pid 10"
    )


def test_an_early_end_is_a_failure_even_if_its_successor_runs() -> None:
    it = start(seen("stopped"))
    it.note(event("service.started", pid=10))
    it.note(event("service.exited", status="exit code 3", after=0.01))
    it.note(event("service.started", pid=11))

    assert judged(it, seen("running", pid=11)) == failed("ended with exit code 3 after 0.01 s")


def test_what_cannot_be_executed_is_a_failure() -> None:
    it = start(seen("stopped"))
    it.note(event("service.spawn_failed", stage="execve", message="no such file"))

    assert judged(it, seen("backoff")) == failed("cannot be executed: no such file", hint=None)


@pytest.mark.parametrize("state", ["failed", "exited", "backoff"])
def test_a_state_that_is_down_after_an_event_is_a_failure(state: str) -> None:
    it = start(seen("stopped"))
    it.note(event("service.stopping"))

    assert judged(it, seen(state, detail="not ready in 90 s")) == failed(
        f"is {state}: not ready in 90 s"
    )


def test_a_state_that_is_down_without_any_event_has_a_second_to_change() -> None:
    it = start(seen("failed"))

    assert judged(it, seen("failed")) == Later(1.0)
    assert judged(it, seen("failed"), waited=1.0) == failed(
        "is still failed", Hint(HintKind.EXPLAIN, "web")
    )


def test_a_oneshot_has_started_when_it_completed() -> None:
    it = start(seen("stopped", type="oneshot"), ONESHOT)

    assert judged(it, seen("running", type="oneshot", uptime=60.0)) == Later()
    it.note(event("service.completed"))
    assert judged(it, seen("exited", type="oneshot", exit_code=0)) == ServiceOutcome(
        "web", "completed"
    )


def test_a_oneshot_that_is_left_as_it_is_has_completed_already() -> None:
    done = seen("exited", type="oneshot", exit_code=0)

    assert judged(start(done, ONESHOT), done, waited=1.0) == ServiceOutcome(
        "web", "has completed already"
    )


def test_a_wait_for_a_dependency_goes_on_until_that_is_hopeless() -> None:
    it = start(seen("stopped"))
    needs = Blocker("db", "service_ready", "starting", False)

    assert judged(it, seen("waiting"), needs) == Later()
    assert judged(it, seen("waiting"), needs.replace(state="failed", final=True)) == failed(
        "cannot start: it needs readiness of 'db', which is failed", Hint(HintKind.EXPLAIN, "db")
    )


def test_a_stop_by_somebody_else_is_a_failure() -> None:
    it = start(seen("stopped"))
    it.note(event("service.stopped"))

    assert judged(it, seen("stopped", desired="down")) == failed("was stopped meanwhile", None)


def test_the_shutdown_ends_every_start() -> None:
    it = start(seen("stopped"))
    it.note(Announcement("supervise.stopping", {"reason": "SIGTERM"}))

    assert judged(it, seen("waiting")) == failed("supervise is shutting down", None)


def test_a_restart_is_about_the_successor() -> None:
    it = start(seen("running", pid=9), restart=True)

    assert judged(it, seen("running", pid=9, uptime=100.0)) == Later()
    assert judged(it, seen("stopping", pid=9)) == Later()
    it.note(event("service.stopped"))
    assert judged(it, seen("stopped")) == Later()
    assert judged(it, seen("running", pid=10)) == ServiceOutcome("web", "started, pid 10")


def test_a_start_during_a_stop_waits_for_the_successor() -> None:
    it = start(seen("stopping", pid=9))

    assert judged(it, seen("stopping", pid=9)) == Later()
    assert judged(it, seen("running", pid=10)) == ServiceOutcome("web", "started, pid 10")


# -- stop


def test_a_stop_is_done_when_no_process_is_left() -> None:
    it = Stopped(seen("running"))

    assert judged(it, seen("stopping", desired="down")) == Later()
    assert judged(it, seen("stopped", desired="down")) == ServiceOutcome("web", "stopped")


def test_a_stop_says_that_it_took_sigkill() -> None:
    it = Stopped(seen("running"))
    it.note(event("service.killed", grace=5.0))

    assert judged(it, seen("stopped")) == ServiceOutcome("web", "stopped; SIGKILL after 5 s")


def test_the_callers_grace_is_the_one_that_ended() -> None:
    it = Stopped(seen("running"), 0.5)
    it.note(event("service.killed", grace=5.0))

    assert judged(it, seen("stopped")) == ServiceOutcome("web", "stopped; SIGKILL after 0.5 s")


def test_a_stop_of_what_is_down_says_so() -> None:
    it = Stopped(seen("failed"))

    assert judged(it, seen("stopped", desired="down")) == ServiceOutcome(
        "web", "is not running (failed)"
    )


def test_a_stop_in_backoff_waits_for_nothing() -> None:
    it = Stopped(seen("backoff"))

    assert judged(it, seen("stopped", desired="down")) == ServiceOutcome("web", "stopped")


def test_a_process_that_survives_sigkill_is_a_failure() -> None:
    it = Stopped(seen("running"))
    it.note(event("service.unkillable", pid=10))

    verdict = judged(it, seen("stopping"))

    assert isinstance(verdict, ServiceOutcome)
    assert (verdict.trouble, verdict.message) == ("failed", "pid 10 survives SIGKILL")


def test_a_start_by_somebody_else_ends_a_stop() -> None:
    it = Stopped(seen("running", pid=9))

    assert judged(it, seen("running", pid=10)) == failed("was started again meanwhile", None)


# -- wait


@pytest.mark.parametrize(
    ("milestone", "view", "message"),
    [
        ("started", seen("running"), "has started, pid 10"),
        ("ready", seen("running", uptime=1.0), "is ready, pid 10"),
        ("completed", seen("exited", exit_code=0), "has completed"),
        ("stopped", seen("stopped"), "is stopped"),
        ("stopped", seen("failed"), "is stopped"),
    ],
)
def test_milestones_that_are_reached(milestone: str, view: ServiceView, message: str) -> None:
    assert judged(Reached("web", milestone, PLAIN), view) == ServiceOutcome("web", message)


@pytest.mark.parametrize(
    ("milestone", "view"),
    [
        ("started", seen("stopped")),
        ("started", seen("stopping")),
        ("ready", seen("starting")),
        ("completed", seen("running")),
        ("stopped", seen("backoff")),
        ("stopped", seen("running")),
    ],
)
def test_milestones_that_may_still_be_reached(milestone: str, view: ServiceView) -> None:
    assert judged(Reached("web", milestone, PLAIN), view) == Later()


def test_readiness_is_what_the_service_reports() -> None:
    it = Reached("web", "ready", REPORTING)

    assert judged(it, seen("running", uptime=100.0)) == Later()
    assert judged(it, seen("running", ready=True)) == ServiceOutcome("web", "is ready, pid 10")


def test_health_needs_a_check() -> None:
    checked = PLAIN.replace(healthcheck=HealthCheck(Probe(tcp="127.0.0.1:80")))

    assert judged(Reached("web", "healthy", PLAIN), seen("running")) == failed(
        "has no healthcheck", Hint(HintKind.AWAIT_READY, "web")
    )
    assert judged(Reached("web", "healthy", checked), seen("running", health="starting")) == Later()
    assert judged(
        Reached("web", "healthy", checked), seen("running", health="healthy")
    ) == ServiceOutcome("web", "is healthy")


def test_what_failed_for_good_reaches_nothing() -> None:
    view = seen("failed", detail="exit code 3, 5 times in 60 s")

    assert judged(Reached("web", "started", PLAIN), view) == failed(
        "has failed: exit code 3, 5 times in 60 s"
    )


def test_a_oneshot_that_ended_badly_has_not_completed() -> None:
    it = Reached("web", "completed", ONESHOT)

    assert judged(it, seen("exited", exit_code=2)) == failed("ended with exit code 2")
