from __future__ import annotations

from typing import Any

import pytest

from supervise.model import explain
from supervise.model.exitstatus import Exited, Killed
from supervise.model.hint import Hint, HintKind
from supervise.model.process import Desired, Process, ProcessState, StopReason
from supervise.model.service import (
    Probe,
    Ready,
    RestartMode,
    RestartPolicy,
    ServiceType,
    StartLimit,
)
from supervise.model.view import Blocker
from tests.support.processes import PID, make_process, make_spec

S = ProcessState
WAITS = [Blocker("db", "service_ready", "starting", final=False)]
STUCK = [Blocker("db", "service_completed_successfully", "failed", final=True)]
WAITING = make_process(desired=Desired.UP)


def sentences(process: Process, blockers: list[Blocker] | None = None, probe: str = "") -> str:
    return " ".join(explain.explain(process, blockers or [], 10.0, probe).sentences)


def advice(process: Process, blockers: list[Blocker] | None = None) -> tuple[Hint, ...]:
    return explain.explain(process, blockers or [], 10.0, "").hints


# -- the line of `supervisectl status`


def test_view_of_a_running_service() -> None:
    spec = make_spec(essential=True)
    running = make_process(S.RUNNING, spec, started_at=4.0, health="healthy", restarts=2)

    view = explain.view(running, [], now=10.0)

    assert dict(view.items()) == {
        "name": "web",
        "type": "service",
        "state": "running",
        "desired": "up",
        "ready": True,
        "health": "healthy",
        "pid": PID,
        "uptime": 6.0,
        "restarts": 2,
        "detail": "",
        "exit_code": None,
        "next_start": None,
        "essential": True,
    }


def test_service_without_a_process_has_no_uptime() -> None:
    backoff = make_process(S.BACKOFF, started_at=1.0, last_exit=Killed(9), next_start=12.5)

    view = explain.view(backoff, [], now=10.0)

    assert (view.pid, view.uptime, view.exit_code, view.next_start) == (None, None, 137, 2.5)


def test_start_that_is_due_is_zero_seconds_away() -> None:
    assert explain.view(make_process(S.BACKOFF, next_start=9.0), [], now=10.0).next_start == 0.0


def test_stopped_service_that_is_wanted_is_shown_as_waiting() -> None:
    assert explain.shown_state(WAITING) == "waiting"
    assert explain.shown_state(make_process()) == "stopped"


@pytest.mark.parametrize(
    ("process", "blockers", "detail"),
    [
        (WAITING, WAITS, "waits for db (ready)"),
        (WAITING, STUCK, "waits for db (completed successfully)"),
        (WAITING, [], "is about to start"),
        (make_process(S.STARTING), [], ""),
        (make_process(S.STARTING, pid=PID), [], "not ready yet"),
        (make_process(S.STARTING, pid=PID, status_text="loading"), [], "loading"),
        (make_process(S.RUNNING, status_text="3 users"), [], "3 users"),
        (
            make_process(S.BACKOFF, next_start=12.0, failure="exit code 1"),
            [],
            "exit code 1; starts again in 2.0 s (try 1, for ever, at most every 30 s)",
        ),
        (
            make_process(S.BACKOFF, next_start=12.0, last_exit=Exited(0)),
            [],
            "exit code 0; starts again in 2.0 s (try 1, for ever, at most every 30 s)",
        ),
        (make_process(S.STOPPING, reason=StopReason.UNHEALTHY), [], "unhealthy"),
        (make_process(S.FAILED, failure="exit code 1"), [], "exit code 1"),
        (make_process(S.EXITED, last_exit=Exited(0)), [], "exit code 0"),
        (make_process(last_exit=Exited(127)), [], "exit code 127: not found"),
        (make_process(), [], ""),
    ],
)
def test_detail_is_the_reason_in_one_clause(
    process: Process, blockers: list[Blocker], detail: str
) -> None:
    assert explain.detail(process, blockers, now=10.0) == detail


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (None, ""),
        (Exited(1), "exit code 1"),
        (Exited(126), "exit code 126: not executable"),
        (Killed(9), "SIGKILL (out of memory, or killed by a person)"),
        (Killed(11, dumped_core=True), "SIGSEGV, core dumped (invalid memory access)"),
        (Killed(15), "SIGTERM"),
    ],
)
def test_last_end_is_decoded(status: Exited | Killed | None, words: str) -> None:
    assert explain.last_end(make_process(S.EXITED, last_exit=status)) == words


def test_nothing_is_guessed_about_the_end_of_what_was_stopped_on_request() -> None:
    assert explain.last_end(make_process(S.STOPPED, last_exit=Killed(9))) == "SIGKILL"


# -- `supervisectl explain`


@pytest.mark.parametrize(
    ("process", "first"),
    [
        (make_process(S.RUNNING, started_at=4.0), f"web runs as pid {PID} since 6 s."),
        (
            make_process(S.RUNNING, started_at=4.0, ready=False, health="unhealthy"),
            f"web runs as pid {PID} since 6 s, unhealthy, not ready.",
        ),
        (
            make_process(
                S.RUNNING, make_spec(type=ServiceType.ONESHOT), started_at=4.0, ready=False
            ),
            f"web runs as pid {PID} since 6 s.",
        ),
        (
            make_process(
                S.STARTING,
                make_spec(ready=Ready(Probe(notify=True)), start_timeout=30.0),
                pid=PID,
                started_at=4.0,
            ),
            f"web was executed as pid {PID} but is not ready; it has 24 s left.",
        ),
        (make_process(S.STARTING), "web is being started."),
        (
            make_process(S.BACKOFF, attempts=3, next_start=14.0),
            "web ended 3 times in a row; it starts again in 4.0 s (at most every 30 s).",
        ),
        (
            make_process(S.BACKOFF, attempts=1, next_start=14.0),
            "web ended once; it starts again in 4.0 s (at most every 30 s).",
        ),
        (
            make_process(S.STOPPING, reason=StopReason.REQUESTED, killed=True),
            "web is being stopped: asked to; SIGKILL has been sent.",
        ),
        (make_process(S.FAILED), "web has failed for good: exit code 1."),
        (make_process(S.EXITED), "web has done its work and ended well."),
        (WAITING, "web is wanted up and waits for its turn."),
        (make_process(), "web is stopped, and nobody wants it up."),
        (
            make_process(spec=make_spec(autostart=False)),
            (
                "web is stopped, and nobody wants it up; "
                "it is not started by itself (autostart: false)."
            ),
        ),
    ],
)
def test_explanation_begins_with_where_it_stands(process: Process, first: str) -> None:
    assert explain.explain(process, [], now=10.0, probe="").sentences[0] == first


def test_blocker_is_named_with_what_it_lacks() -> None:
    assert "It depends on db being ready; db is starting." in sentences(WAITING, WAITS)


def test_blocker_that_is_stuck_is_where_to_look_next() -> None:
    said = sentences(WAITING, STUCK)

    assert "db is failed, and will not get further by itself." in said
    assert advice(WAITING, STUCK) == (Hint(HintKind.EXPLAIN, "db"),)


def test_a_start_that_failed_has_a_reason_and_no_process() -> None:
    failed = make_process(
        S.BACKOFF, next_start=14.0, last_exit=Exited(126), failure="cannot change to '/srv': gone"
    )

    said = sentences(failed)

    assert "The reason: cannot change to '/srv': gone." in said
    assert "process ended" not in said


def test_a_start_that_came_too_late_has_a_reason_and_a_process() -> None:
    late = make_process(S.BACKOFF, next_start=14.0, last_exit=Killed(15), failure="not ready")

    said = sentences(late)

    assert "The reason: not ready. Its last process ended with" in said.replace("\n", " ")


def test_last_probe_is_told_while_it_is_not_well() -> None:
    starting = make_process(S.STARTING, pid=PID, started_at=9.0)

    assert "The last probe failed: refused." in sentences(starting, probe="refused")


def test_last_probe_of_a_service_that_is_well_is_history() -> None:
    running = make_process(S.RUNNING, health="healthy")

    assert "probe" not in sentences(running, probe="refused")


def test_last_end_is_told_unless_it_runs_again() -> None:
    failed = make_process(S.FAILED, last_exit=Killed(9))
    running = make_process(S.RUNNING, last_exit=Killed(9))

    assert "Its last process ended with SIGKILL" in sentences(failed)
    assert "last process" not in sentences(running)


def test_its_own_words_are_told() -> None:
    assert "It says: 3 users." in sentences(make_process(S.RUNNING, status_text="3 users"))


def test_failed_service_is_told_where_its_log_is() -> None:
    assert advice(make_process(S.FAILED)) == (
        Hint(HintKind.LAST_LINES, "web"),
        Hint(HintKind.START, "web"),
    )


def test_service_that_went_to_the_background_is_told_to_stay_in_the_foreground() -> None:
    left = StopReason.LEFTOVERS.value
    daemonised = make_process(S.BACKOFF, failure=left, last_exit=Exited(0), next_start=11.0)
    crashed = make_process(S.BACKOFF, failure=left, last_exit=Exited(1), next_start=11.0)

    assert "stay in the foreground" in sentences(daemonised)
    assert "foreground" not in sentences(crashed)


def test_service_that_keeps_ending_is_told_where_its_log_is() -> None:
    crashing = make_process(S.BACKOFF, last_exit=Exited(1), next_start=11.0)

    assert advice(crashing) == (Hint(HintKind.LAST_LINES, "web"),)


def test_stopped_service_is_told_how_to_start_it() -> None:
    assert advice(make_process()) == (Hint(HintKind.START, "web"),)


def test_stalled_output_is_said_of_a_service_that_has_nothing_else_to_say() -> None:
    running = make_process(S.RUNNING, ready=True)

    assert "stalled" in explain.view(running, [], now=10.0, stalled=True).detail
    assert explain.view(running, [], now=10.0).detail == ""
    told = explain.explain(running, [], 10.0, "", stalled=True)
    assert any("stalled" in sentence for sentence in told.sentences)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"restart": RestartPolicy(RestartMode.ON_FAILURE, 3)}, "try 2 of 3"),
        ({"start_limit": StartLimit(5, 60.0)}, "try 2, at most 5 starts in 60 s"),
        ({}, "try 2, for ever, at most every 30 s"),
    ],
    ids=["retries", "limit", "for ever"],
)
def test_backoff_says_how_long_it_goes_on(spec: dict[str, Any], words: str) -> None:
    waiting = make_process(S.BACKOFF, make_spec(**spec), next_start=12.0, attempts=2)

    assert words in explain.detail(waiting, [], now=10.0)
