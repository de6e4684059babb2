"""What results of health checks make of a container, and when the next one comes."""

from __future__ import annotations

import pytest

from runtime.model.container import health
from runtime.model.container.state import HealthProbe, State
from runtime.model.image.image_config import Healthcheck

CHECK = Healthcheck(test=("CMD-SHELL", "probe"), retries=2)
STARTED = 1000.0


def begun() -> State:
    return health.begin(State(status="running", started=STARTED, health_streak=7))


def probe(exit_code: int, at: float = 1.0) -> HealthProbe:
    return HealthProbe(STARTED + at, STARTED + at + 0.1, exit_code, "said")


def test_a_container_is_starting_until_its_first_result() -> None:
    assert begun() == State(status="running", started=STARTED, health="starting")


def test_one_success_is_healthy_and_forgets_the_failures() -> None:
    state = health.after(CHECK, health.after(CHECK, begun(), probe(1)), probe(0))

    assert (state.health, state.health_streak) == ("healthy", 0)


def test_only_so_many_failures_in_a_row_are_unhealthy() -> None:
    first = health.after(CHECK, begun(), probe(1))
    second = health.after(CHECK, first, probe(1))

    assert (first.health, first.health_streak) == ("starting", 1)
    assert (second.health, second.health_streak) == ("unhealthy", 2)


def test_failures_of_the_start_period_do_not_count_until_one_check_has_passed() -> None:
    patient = CHECK.replace(start_period=60.0, retries=1)
    excused = health.after(patient, begun(), probe(1, at=30.0))
    late = health.after(patient, excused, probe(1, at=61.0))
    passed = health.after(patient, begun(), probe(0, at=10.0))

    assert (excused.health, excused.health_streak) == ("starting", 0)
    assert late.health == "unhealthy"
    assert health.after(patient, passed, probe(1, at=20.0)).health == "unhealthy"


def test_the_last_five_results_are_kept() -> None:
    state = begun()
    for number in range(7):
        state = health.after(CHECK, state, probe(number))

    assert [each.exit_code for each in state.health_log] == [2, 3, 4, 5, 6]


def test_a_container_that_runs_no_more_is_unhealthy() -> None:
    assert health.end(begun()).health == "unhealthy"
    assert health.end(State()).health == ""


@pytest.mark.parametrize(
    ("check", "now", "seconds"),
    [
        (CHECK, 0.0, 30.0),
        (CHECK.replace(interval=2.0), 0.0, 2.0),
        (CHECK.replace(interval=60.0, start_period=10.0), 9.0, 5.0),
        (CHECK.replace(interval=60.0, start_period=10.0), 11.0, 60.0),
        (CHECK.replace(interval=60.0, start_period=10.0, start_interval=1.0), 9.0, 1.0),
    ],
)
def test_the_next_check_comes_after(check: Healthcheck, now: float, seconds: float) -> None:
    assert health.delay(check, begun(), STARTED + now) == seconds


@pytest.mark.parametrize(
    ("test", "shell", "argv"),
    [
        (("CMD-SHELL", "a | b"), (), ("/bin/sh", "-c", "a | b")),
        (("CMD-SHELL", "a | b"), ("/bin/bash", "-ec"), ("/bin/bash", "-ec", "a | b")),
        (("CMD", "probe", "-q"), ("/bin/bash", "-ec"), ("probe", "-q")),
    ],
)
def test_the_command_is(test: tuple[str, ...], shell: tuple[str, ...], argv: object) -> None:
    assert health.argv(Healthcheck(test=test), shell) == argv


@pytest.mark.parametrize(
    ("check", "on"),
    [
        (None, False),
        (health.NONE, False),
        (Healthcheck(), False),
        (Healthcheck(test=("CMD",)), False),
        (CHECK, True),
    ],
)
def test_a_check_is_on(check: Healthcheck | None, on: bool) -> None:
    assert health.is_on(check) is on


def test_what_is_not_asked_for_is_the_images() -> None:
    image = Healthcheck(test=("CMD", "probe"), interval=5.0, retries=9)

    assert health.choose(image, Healthcheck(interval=1.0)) == image.replace(interval=1.0)
    assert health.choose(image, None) == image
    assert health.choose(None, CHECK) == CHECK
    assert health.choose(image, health.NONE) == image.replace(test=("NONE",))
    assert health.choose(None, None) is None
