"""When the container ends by itself, and its exit code."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from supervise.model.exitstatus import Exited, Killed
from supervise.model.process import ProcessState
from supervise.model.service import (
    Condition,
    ExitPolicy,
    OnFailure,
    ServiceSpec,
    StartLimit,
)
from supervise.model.signals import SIGNALS
from tests.support.fake_kernel import Program
from tests.support.simulation import (
    AT_ONCE,
    NEVER,
    ON_FAILURE,
    SIGTERM,
    after,
    booted,
    oneshot,
    service,
)

WELL, BADLY = Program(runs=1.0), Program(runs=1.0, ends=Exited(3))
FOREVER = Program()


def ends_at(
    scripts: dict[str, Program], *services: ServiceSpec, **how: Any
) -> tuple[float, int] | None:
    """Return when the container ends and its exit code, None if it lasts a day."""
    with booted(scripts, *services, **how) as sim:
        sim.run(86400.0)
        return (round(sim.now, 3), sim.shutdown.exit_code) if sim.loop.ended else None


def test_nothing_left_to_run_ends_the_container() -> None:
    assert ends_at({"a": WELL, "b": WELL}, oneshot("a"), oneshot("b")) == (1.0, 0)


def test_last_service_that_fails_gives_its_code() -> None:
    scripts = {"a": WELL, "b": BADLY}

    assert ends_at(scripts, oneshot("a"), service("b", restart=NEVER)) == (1.0, 3)


def test_first_failure_gives_the_code() -> None:
    scripts = {"a": BADLY, "b": Program(runs=2.0, ends=Exited(9))}

    assert ends_at(scripts, service("a", restart=NEVER), service("b", restart=NEVER)) == (2.0, 3)


def test_killed_service_gives_128_and_the_signal() -> None:
    scripts = {"a": Program(runs=1.0, ends=Killed(9))}

    assert ends_at(scripts, service("a", restart=NEVER)) == (1.0, 137)


@pytest.mark.parametrize(("program", "code"), [(WELL, 0), (BADLY, 3)])
def test_essential_service_that_ends_for_good_ends_the_container(
    program: Program, code: int
) -> None:
    essential = service("a", essential=True, restart=NEVER)

    assert ends_at({"a": program}, essential, service("b")) == (1.0, code)


def test_essential_service_that_is_restarted_ends_nothing() -> None:
    assert ends_at({"a": BADLY}, service("a", essential=True), service("b")) is None


def test_essential_service_that_a_person_stopped_ends_nothing() -> None:
    with booted({}, service("a", essential=True), service("b")) as sim:
        sim.facade.stop("a")
        sim.run(3600.0)

        assert not sim.loop.ended


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOENT, 127), (errno.EACCES, 126), (errno.ENOEXEC, 126)]
)
@pytest.mark.parametrize("confirms", [None, 0.1])
def test_essential_service_that_cannot_be_executed(
    number: int, code: int, confirms: float | None
) -> None:
    scripts = {"a": Program(fails=number, confirms=confirms)}
    essential = service("a", essential=True, restart=NEVER)

    found = ends_at(scripts, essential, service("b"))

    assert found == (confirms or 0.0, code)


def test_essential_service_that_reaches_its_start_limit_ends_the_container() -> None:
    essential = service(
        "a", essential=True, backoff=AT_ONCE, start_limit=StartLimit(burst=3, interval=60.0)
    )

    assert ends_at({"a": BADLY}, essential, service("b")) == (3.0, 3)


def test_start_limit_reached_by_successes_is_a_failure() -> None:
    essential = service(
        "a", essential=True, backoff=AT_ONCE, start_limit=StartLimit(burst=3, interval=60.0)
    )

    assert ends_at({"a": WELL}, essential, service("b")) == (3.0, 1)


def test_on_failure_shutdown_ends_the_container_under_any_policy() -> None:
    failing = service("a", restart=NEVER, on_failure=OnFailure.SHUTDOWN)

    for policy in ExitPolicy:
        found = ends_at({"a": BADLY}, failing, service("b"), exit_policy=policy)
        assert found == (1.0, 3)


def test_on_failure_shutdown_minds_failures_alone() -> None:
    ending = service("a", restart=NEVER, on_failure=OnFailure.SHUTDOWN)

    assert ends_at({"a": WELL}, ending, service("b")) is None


@pytest.mark.parametrize(("program", "code"), [(WELL, 0), (BADLY, 3)])
def test_any_ends_with_the_first_end(program: Program, code: int) -> None:
    scripts = {"a": program}
    services = service("a", restart=ON_FAILURE if code == 0 else NEVER), service("b")

    assert ends_at(scripts, *services, exit_policy=ExitPolicy.ANY) == (1.0, code)


def test_all_ends_with_the_last_end() -> None:
    scripts = {"a": BADLY, "b": Program(runs=5.0)}
    essential = service("a", restart=NEVER, essential=True)

    found = ends_at(scripts, essential, oneshot("b"), exit_policy=ExitPolicy.ALL)

    assert found == (5.0, 3)


def test_never_does_not_end_by_itself() -> None:
    assert ends_at({"a": BADLY}, oneshot("a"), exit_policy=ExitPolicy.NEVER) is None


def test_never_ends_when_told_to() -> None:
    with booted({"a": BADLY}, oneshot("a"), exit_policy=ExitPolicy.NEVER) as sim:
        sim.run(60.0)
        sim.signal(SIGTERM)

        assert sim.exit_code() == 3


def test_boot_with_nothing_to_start_ends_at_once() -> None:
    assert ends_at({}, service("a", autostart=False)) == (0.0, 0)
    assert ends_at({}) == (0.0, 0)


def test_boot_with_nothing_to_start_waits_where_nothing_ends_it() -> None:
    assert ends_at({}, service("a", autostart=False), exit_policy=ExitPolicy.NEVER) is None


def test_shutdown_in_which_all_are_in_backoff_is_announced_once() -> None:
    with booted({"a": WELL, "b": WELL}, service("a"), service("b")) as sim:
        sim.run(1.05)
        sim.signal(SIGTERM)

        assert sim.exit_code() == 0
        assert len(sim.told("supervise.exiting")) == 1
        assert sim.told("supervise.swept") == []


def test_failure_during_the_shutdown_gives_the_code_when_none_came_before() -> None:
    scripts = {
        "db": Program(runs=1.5, ends=Exited(7)),
        "web": Program(handles={SIGTERM: (3.0, Exited(0))}),
    }
    services = service("db", restart=NEVER), service("web", depends_on=after("db"))

    with booted(scripts, *services) as sim:
        sim.run(1.0)
        sim.signal(SIGTERM)

        assert sim.exit_code() == 7


def test_services_that_die_of_the_stop_signal_are_no_failures() -> None:
    with booted({}, service("a", restart=NEVER), oneshot("b")) as sim:
        sim.signal(SIGTERM)

        assert sim.exit_code() == 0


# -- with a main command


def main_command(**fields: Any) -> ServiceSpec:
    return service("main", restart=NEVER, essential=True, **fields)


@pytest.mark.parametrize("status", [Exited(0), Exited(42), Killed(SIGNALS["SIGSEGV"])])
def test_main_command_gives_its_code(status: Exited | Killed) -> None:
    code = status.code if isinstance(status, Exited) else 128 + status.signal
    scripts = {"main": Program(runs=5.0, ends=status), "web": BADLY}

    found = ends_at(scripts, service("web", restart=NEVER), main=main_command())

    assert found == (5.0, code)


def test_main_command_outlives_all_services() -> None:
    scripts = {"main": Program(runs=50.0), "job": WELL}

    assert ends_at(scripts, oneshot("job"), main=main_command()) == (50.0, 0)


def test_essential_service_beside_a_main_command_ends_the_container_with_the_commands_code() -> (
    None
):
    scripts = {"web": BADLY, "main": Program(handles={SIGTERM: (1.0, Exited(6))})}
    web = service("web", restart=NEVER, essential=True)

    assert ends_at(scripts, web, main=main_command()) == (2.0, 6)


def test_code_of_the_main_command_is_remapped() -> None:
    scripts = {"main": Program(runs=1.0, ends=Killed(15))}

    assert ends_at(scripts, main=main_command(), remap={143: 0}) == (1.0, 0)


def test_main_command_that_cannot_be_executed() -> None:
    found = ends_at({"main": Program(fails=errno.ENOENT)}, service("web"), main=main_command())

    assert found == (0.0, 127)


def test_main_command_goes_first_and_the_services_it_uses_after_it() -> None:
    scripts = {"main": Program(handles={SIGTERM: (2.0, Exited(0))})}

    with booted(scripts, service("db"), service("web"), main=main_command()) as sim:
        sim.signal(SIGTERM)
        sim.exit_code()

        assert sim.received("main") == [(0.0, SIGTERM)]
        assert sim.received("db") == sim.received("web") == [(2.0, SIGTERM)]


def test_stubborn_main_command_leaves_the_services_time_for_their_stop() -> None:
    scripts = {"main": Program(ignores=frozenset({SIGTERM}))}
    main = main_command(stop_grace_period=60.0)

    with booted(scripts, service("db"), main=main, grace=8.0) as sim:
        sim.signal(SIGTERM)
        sim.exit_code()

        assert sim.received("db") == [(7.0, SIGTERM)]
        assert sim.now == 8.0


def test_exit_code_asked_for_counts_before_all_others() -> None:
    with booted({"main": Program(runs=60.0)}, main=main_command()) as sim:
        sim.facade.shutdown("enough", 5)
        sim.facade.shutdown("enough")

        assert sim.exit_code() == 5


def test_status_of_the_end_is_seen_while_it_lasts() -> None:
    scripts = {"web": Program(handles={SIGTERM: (1.0, Exited(0))})}

    with booted(scripts, service("web", depends_on=after("db")), service("db")) as sim:
        before = sim.facade.stopping
        sim.signal(SIGTERM)
        sim.run(0.5)

        assert (before, sim.facade.stopping) == (False, True)
        assert sim.state("web") is ProcessState.STOPPING
        assert sim.shutdown.deadline == pytest.approx(sim.loop.now() + 7.5)


def test_waiting_service_counts_as_something_left_to_run() -> None:
    web = service("web", depends_on=after("job", condition=Condition.COMPLETED))
    scripts = {"job": WELL, "other": WELL}

    assert ends_at(scripts, oneshot("other"), oneshot("job"), web) is None
