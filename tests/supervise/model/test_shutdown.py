from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.model.exitstatus import Exited, Killed
from supervise.model.process import Process, ProcessState
from supervise.model.service import ExitPolicy, OnFailure
from supervise.model.shutdown import Ending, decide, failure_code, last_call
from tests.support.processes import make_process, make_spec

ESSENTIAL, ANY, ALL, NEVER = (
    ExitPolicy.ESSENTIAL,
    ExitPolicy.ANY,
    ExitPolicy.ALL,
    ExitPolicy.NEVER,
)


def failed(code: int = 3, **spec: Any) -> Process:
    return make_process(
        ProcessState.FAILED,
        make_spec(**spec),
        failure=f"exit code {code}",
        last_exit=Exited(code),
    )


def completed(**spec: Any) -> Process:
    return make_process(ProcessState.EXITED, make_spec(**spec), last_exit=Exited(0))


@pytest.mark.parametrize(
    ("policy", "ended", "may_run", "why"),
    [
        (ESSENTIAL, failed(), True, None),
        (ESSENTIAL, failed(), False, "nothing is left to run"),
        (ESSENTIAL, failed(essential=True), True, "essential service web ended (exit code 3)"),
        (ESSENTIAL, completed(essential=True), True, "essential service web ended (exit code 0)"),
        (ANY, failed(), True, "web ended (exit code 3)"),
        (ANY, completed(), True, "web ended (exit code 0)"),
        (ALL, failed(essential=True), True, None),
        (ALL, completed(), False, "nothing is left to run"),
        (NEVER, failed(essential=True), False, None),
    ],
)
def test_exit_policy(policy: ExitPolicy, ended: Process, *, may_run: bool, why: str | None) -> None:
    assert decide(policy, ended, may_run=may_run) == why


@pytest.mark.parametrize("policy", list(ExitPolicy))
def test_on_failure_shutdown_ends_the_container_under_every_policy(policy: ExitPolicy) -> None:
    ended = failed(on_failure=OnFailure.SHUTDOWN)

    assert decide(policy, ended, may_run=True) == "web failed (exit code 3)"


def test_on_failure_means_failures_alone() -> None:
    assert decide(ESSENTIAL, completed(on_failure=OnFailure.SHUTDOWN), may_run=True) is None


def test_service_that_never_ran_is_named_so() -> None:
    ended = make_process(ProcessState.FAILED, failure="")

    assert decide(ANY, ended, may_run=True) == "web ended (never ran)"


@pytest.mark.parametrize(
    ("process", "code"),
    [
        (failed(3), 3),
        (make_process(ProcessState.FAILED, last_exit=Killed(9)), 137),
        (make_process(ProcessState.FAILED, last_exit=None), 1),
        (make_process(ProcessState.FAILED, last_exit=Killed(15), cut_off=True), 1),
        (failed(3).replace(cut_off=True), 1),
        (failed(0), 1),  # by the start limit, although each run ended well
        (completed(), None),
        (make_process(ProcessState.RUNNING), None),
    ],
)
def test_code_a_service_gives_the_container(process: Process, code: int | None) -> None:
    assert failure_code(process) == code


def test_first_failure_decides_the_exit_code() -> None:
    ending = Ending().with_end(completed(), is_main=False)
    ending = ending.with_end(failed(4), is_main=False)
    ending = ending.with_end(failed(5), is_main=False)

    assert ending.exit_code() == 4


def test_without_a_failure_the_exit_code_is_zero() -> None:
    assert Ending().with_end(completed(), is_main=False).exit_code() == 0


def test_main_command_decides_before_any_failure() -> None:
    ending = Ending().with_end(failed(4), is_main=False)
    ending = ending.with_end(make_process(last_exit=Killed(15)), is_main=True)

    assert ending.exit_code() == 143


def test_main_commands_code_is_remapped() -> None:
    ending = Ending().with_end(make_process(last_exit=Killed(15)), is_main=True)

    assert ending.exit_code([(143, 0)]) == 0
    assert ending.exit_code([(1, 0)]) == 143


def test_remapping_leaves_the_services_codes_alone() -> None:
    assert Ending().with_end(failed(4), is_main=False).exit_code([(4, 0)]) == 4


def test_code_that_was_asked_for_decides_before_all() -> None:
    ending = Ending(requested_code=0).with_end(failed(4), is_main=False)
    ending = ending.with_end(make_process(last_exit=Exited(9)), is_main=True)

    assert ending.exit_code([(0, 7)]) == 0


@given(st.floats(0.0, 3600.0))
def test_last_call_comes_within_the_grace_and_at_most_a_second_before_its_end(grace: float) -> None:
    """The time kept for those who were not asked yet is a quarter of the grace, at most 1 s."""
    assert last_call(grace) == min(grace / 4, 1.0)
