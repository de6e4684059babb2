from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.model.health import Health, HealthStatus, after_result, first_delay, next_delay
from supervise.model.service import HealthCheck, Probe

STARTING, HEALTHY, UNHEALTHY = HealthStatus.STARTING, HealthStatus.HEALTHY, HealthStatus.UNHEALTHY
PROBE = Probe(tcp="127.0.0.1:80")
PLAIN = HealthCheck(PROBE, interval=10.0, retries=3)
PATIENT = HealthCheck(PROBE, interval=10.0, retries=2, start_period=20.0, start_interval=2.0)


def test_process_without_results_is_starting() -> None:
    assert Health() == Health(STARTING, 0)


@pytest.mark.parametrize(
    ("before", "ok", "expected"),
    [
        (Health(STARTING), True, Health(HEALTHY)),
        (Health(STARTING), False, Health(STARTING, 1)),
        (Health(STARTING, 1), False, Health(STARTING, 2)),
        (Health(STARTING, 2), False, Health(UNHEALTHY, 3)),
        (Health(STARTING, 2), True, Health(HEALTHY)),
        (Health(HEALTHY), True, Health(HEALTHY)),
        (Health(HEALTHY), False, Health(HEALTHY, 1)),
        (Health(HEALTHY, 1), True, Health(HEALTHY)),
        (Health(HEALTHY, 2), False, Health(UNHEALTHY, 3)),
        (Health(UNHEALTHY, 3), False, Health(UNHEALTHY, 4)),
        (Health(UNHEALTHY, 7), True, Health(HEALTHY)),
    ],
)
def test_result_without_start_period(*, before: Health, ok: bool, expected: Health) -> None:
    assert after_result(PLAIN, before, ok=ok, age=100.0) == expected


@pytest.mark.parametrize(
    ("before", "age", "expected"),
    [
        (Health(STARTING), 0.0, Health(STARTING)),
        (Health(STARTING), 19.9, Health(STARTING)),
        (Health(STARTING), 20.0, Health(STARTING, 1)),
        (Health(STARTING, 1), 25.0, Health(UNHEALTHY, 2)),
        (Health(HEALTHY), 5.0, Health(HEALTHY, 1)),
        (Health(HEALTHY, 1), 5.0, Health(UNHEALTHY, 2)),
        (Health(UNHEALTHY, 2), 5.0, Health(UNHEALTHY, 3)),
    ],
)
def test_failure_and_the_start_period(before: Health, age: float, expected: Health) -> None:
    assert after_result(PATIENT, before, ok=False, age=age) == expected


def test_success_within_the_start_period_makes_healthy() -> None:
    assert after_result(PATIENT, Health(), ok=True, age=1.0) == Health(HEALTHY)


def test_a_single_retry_is_unhealthy_at_the_first_failure() -> None:
    check = HealthCheck(PROBE, retries=1)

    assert after_result(check, Health(), ok=False, age=0.0) == Health(UNHEALTHY, 1)


@pytest.mark.parametrize(("check", "expected"), [(PLAIN, 10.0), (PATIENT, 2.0)])
def test_first_check_comes_after_one_interval(check: HealthCheck, expected: float) -> None:
    assert first_delay(check) == expected


@pytest.mark.parametrize(
    ("health", "age", "expected"),
    [
        (Health(STARTING), 19.9, 2.0),
        (Health(STARTING), 20.0, 10.0),
        (Health(HEALTHY), 1.0, 10.0),
        (Health(HEALTHY, 1), 1.0, 10.0),
        (Health(UNHEALTHY, 2), 1.0, 10.0),
    ],
)
def test_start_interval_rules_while_starting_within_the_start_period(
    health: Health, age: float, expected: float
) -> None:
    assert next_delay(PATIENT, health, age=age) == expected


@given(st.lists(st.booleans(), max_size=30), st.integers(min_value=1, max_value=5))
def test_unhealthy_is_exactly_retries_failures_at_the_end(
    results: list[bool], retries: int
) -> None:
    """Without a start period the status depends on the results after the last success alone."""
    check = HealthCheck(PROBE, retries=retries)
    health = Health()

    for ok in results:
        health = after_result(check, health, ok=ok, age=0.0)

    failures = next((i for i, ok in enumerate(reversed(results)) if ok), len(results))
    assert (health.status is UNHEALTHY) == (failures >= retries)
    assert health.failures == failures


@given(st.lists(st.tuples(st.booleans(), st.floats(min_value=0.0, max_value=60.0)), max_size=30))
def test_nothing_returns_to_starting(results: list[tuple[bool, float]]) -> None:
    """Once healthy or unhealthy, a process is never starting again."""
    health = Health()
    decided = False

    for ok, age in results:
        health = after_result(PATIENT, health, ok=ok, age=age)
        assert not (decided and health.status is STARTING)
        decided = health.status is not STARTING
