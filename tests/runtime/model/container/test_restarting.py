"""Shall a container start again, and when."""

from __future__ import annotations

import pytest

from runtime.model.container.restarting import delay
from runtime.model.container.spec import ContainerRestartPolicy


def asked(policy: ContainerRestartPolicy, **changes: object) -> float | None:
    facts: dict[str, object] = {
        "exit_code": 1,
        "restarts": 0,
        "previous": 0.0,
        "ran_for": 0.1,
        "stopped_by_user": False,
    }
    return delay(policy, **{**facts, **changes})  # type: ignore[arg-type]


ALWAYS, UNLESS = ContainerRestartPolicy("always"), ContainerRestartPolicy("unless-stopped")
FAILURE, THREE = ContainerRestartPolicy("on-failure"), ContainerRestartPolicy("on-failure", 3)


@pytest.mark.parametrize(
    ("policy", "facts", "restarts"),
    [
        (ContainerRestartPolicy("no"), {}, False),
        (ALWAYS, {}, True),
        (ALWAYS, {"exit_code": 0}, True),
        (ALWAYS, {"stopped_by_user": True}, False),
        (UNLESS, {"exit_code": 0}, True),
        (UNLESS, {"stopped_by_user": True}, False),
        (FAILURE, {"exit_code": 0}, False),
        (FAILURE, {"restarts": 1000}, True),
        (THREE, {"restarts": 2}, True),
        (THREE, {"restarts": 3}, False),
    ],
)
def test_whether_it_starts_again(
    policy: ContainerRestartPolicy, facts: dict[str, object], restarts: bool
) -> None:
    assert (asked(policy, **facts) is not None) is restarts


def test_the_delay_doubles_up_to_a_minute() -> None:
    found = [asked(ALWAYS)]
    for _ in range(12):
        found.append(asked(ALWAYS, previous=found[-1]))

    assert found[:4] == [0.1, 0.2, 0.4, 0.8]
    assert found[-1] == 60.0


def test_ten_seconds_up_count_as_a_fresh_start() -> None:
    assert asked(ALWAYS, previous=30.0, ran_for=10.0) == 0.1
    assert asked(ALWAYS, previous=30.0, ran_for=9.9) == 60.0
