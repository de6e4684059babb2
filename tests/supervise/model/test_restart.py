from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.model import restart
from supervise.model.exitstatus import Exited, Killed
from supervise.model.restart import Verdict
from supervise.model.service import Backoff, RestartMode, RestartPolicy, StartLimit
from tests.support.processes import make_spec

backoffs = st.builds(
    Backoff,
    initial=st.floats(0, 3600),
    factor=st.floats(1, 1e6),
    max=st.floats(0, 86400),
    jitter=st.floats(0, 1),
)
jitters = st.floats(-1, 1)
attempts = st.integers(1, 10_000_000)


@pytest.mark.parametrize(
    ("mode", "success", "verdict"),
    [
        (RestartMode.NO, True, Verdict.COMPLETE),
        (RestartMode.NO, False, Verdict.FAIL),
        (RestartMode.ON_FAILURE, True, Verdict.COMPLETE),
        (RestartMode.ON_FAILURE, False, Verdict.RESTART),
        (RestartMode.ALWAYS, True, Verdict.RESTART),
        (RestartMode.ALWAYS, False, Verdict.RESTART),
        (RestartMode.UNLESS_STOPPED, True, Verdict.RESTART),
        (RestartMode.UNLESS_STOPPED, False, Verdict.RESTART),
    ],
)
def test_verdict_of_each_mode(mode: RestartMode, *, success: bool, verdict: Verdict) -> None:
    spec = make_spec(restart=RestartPolicy(mode))

    assert restart.judge(spec, success=success, attempts=1) is verdict


def test_on_failure_with_a_number_restarts_that_often_in_a_row() -> None:
    spec = make_spec(restart=RestartPolicy(RestartMode.ON_FAILURE, 2))

    verdicts = [restart.judge(spec, success=False, attempts=n) for n in (1, 2, 3)]

    assert verdicts == [Verdict.RESTART, Verdict.RESTART, Verdict.FAIL]


@pytest.mark.parametrize(
    ("status", "success"),
    [(Exited(0), False), (Exited(3), True), (Exited(143), True), (Killed(15), False)],
)
def test_only_listed_exit_codes_are_successes(status: Exited | Killed, *, success: bool) -> None:
    spec = make_spec(success_exit_codes=(3, 143))

    assert restart.is_success(spec, status) is success


def test_delays_double_up_to_the_ceiling() -> None:
    backoff = Backoff(initial=0.1, factor=2.0, max=1.0, jitter=0.0)

    delays = [restart.delay(backoff, attempt, 0.0) for attempt in range(1, 7)]

    assert delays == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


@given(backoffs, attempts, jitters)
def test_delay_lies_between_nothing_and_the_ceiling(
    backoff: Backoff, attempt: int, jitter: float
) -> None:
    """Whatever the backoff and however many attempts, 0 <= delay <= max."""
    assert 0.0 <= restart.delay(backoff, attempt, jitter) <= backoff.max


@given(
    st.floats(0.001, 1.0),
    st.floats(1.0, 10.0),
    st.floats(0.0, 1.0),
    st.integers(1, 6),
    jitters,
)
def test_delay_strays_from_the_exponential_by_the_jitter_at_most(
    initial: float, factor: float, share: float, attempt: int, jitter: float
) -> None:
    """Below the ceiling, delay n is initial * factor^(n-1), give or take the jitter's share."""
    backoff = Backoff(initial=initial, factor=factor, max=1e9, jitter=share)
    exact = initial * factor ** (attempt - 1)

    found = restart.delay(backoff, attempt, jitter)

    assert exact * (1 - share) * 0.999999 <= found <= exact * (1 + share) * 1.000001


@given(st.integers(1, 100), jitters)
def test_same_jitter_gives_delays_that_never_shrink(attempt: int, jitter: float) -> None:
    """With one jitter the delays are monotonic in the attempt."""
    earlier = restart.delay(Backoff(), attempt, jitter)
    later = restart.delay(Backoff(), attempt + 1, jitter)

    assert earlier <= later


def test_small_factor_reaches_the_ceiling_too() -> None:
    backoff = Backoff(initial=0.1, factor=1.05, max=30.0, jitter=0.0)

    assert restart.delay(backoff, 200, 0.0) == 30.0


@given(attempts, jitters)
def test_no_initial_delay_means_none_ever(attempt: int, jitter: float) -> None:
    """Initial 0 restarts at once, however often."""
    assert restart.delay(Backoff(initial=0.0), attempt, jitter) == 0.0


@pytest.mark.parametrize(("ran_for", "attempt"), [(0.0, 4), (9.9, 4), (10.0, 1), (3600.0, 1)])
def test_long_run_forgets_the_attempts(ran_for: float, attempt: int) -> None:
    assert restart.next_attempt(Backoff(reset_after=10.0), 3, ran_for) == attempt


def test_start_limit_counts_what_is_younger_than_its_interval() -> None:
    limit = StartLimit(burst=5, interval=60.0)

    assert restart.recent(limit, (0.0, 39.9, 40.0, 40.1, 99.0), now=100.0) == (40.1, 99.0)
