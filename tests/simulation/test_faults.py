"""A fault of ours costs one service at most; the rest goes on, and the end still comes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from supervise.daemon.service_entry import Service
from supervise.model.exitstatus import Exited
from supervise.model.process import Process, ProcessState
from supervise.model.service import HealthCheck, Probe, Ready, ServiceSpec
from tests.support.fake_kernel import Program
from tests.support.simulation import (
    SIGKILL,
    SIGTERM,
    Simulation,
    after,
    booted_with_faults,
    service,
)

PROBED = service("bad", ready=Ready(Probe(exec=("probe",)), interval=1.0))


class InjectedError(RuntimeError):
    """Raised on purpose."""


def raising(*_args: object, **_kwargs: object) -> None:
    raise InjectedError("on purpose")


def for_bad(real: Callable[..., object]) -> Callable[..., object]:
    """Return *real*, but raising when it is asked for the service `bad`."""

    def either(first: object, *rest: object, **named: object) -> object:
        asked = getattr(first, "name", first)
        if asked == "bad":
            raise InjectedError("on purpose")
        return real(first, *rest, **named)

    return either


def adopting(sim: Simulation) -> None:
    sim.logs.piped |= {"bad", "good"}
    sim.logs.faulty.add("bad")


def draining(sim: Simulation) -> None:
    sim.logs.faulty.add("bad")


def watching(sim: Simulation) -> None:
    sim.prober.watch_ready = for_bad(sim.prober.watch_ready)  # type: ignore[method-assign,assignment]


def forgetting(sim: Simulation) -> None:
    sim.prober.forget = for_bad(sim.prober.forget)  # type: ignore[method-assign,assignment]


def spawning(sim: Simulation) -> None:
    sim.kernel.start = for_bad(sim.kernel.start)  # type: ignore[method-assign,assignment]


def probing(sim: Simulation) -> None:
    sim.kernel.run = for_bad(sim.kernel.run)  # type: ignore[method-assign,assignment]


BREAKS = [adopting, draining, watching, forgetting, spawning, probing]


@pytest.mark.parametrize("break_it", BREAKS)
def test_fault_costs_one_service_and_the_shutdown_completes(
    break_it: Callable[[Simulation], None],
) -> None:
    scripts = {
        "bad": Program(children=[Program(setsid=True)]),
        "probe": Program(runs=0.1, ends=Exited(1)),
    }
    good = [service("good"), service("other", depends_on=after("good"))]

    with booted_with_faults(scripts, PROBED, *good, break_it=break_it) as sim:
        sim.run(5.0)
        if sim.service("bad").pid is not None:
            sim.end("bad", Exited(1))
        sim.run(5.0)

        assert "InjectedError: on purpose" in sim.faults() or sim.logs.faulty
        assert sim.faults()
        assert sim.starts("good") == sim.starts("other") == [0.0]
        assert sim.state("good") is sim.state("other") is ProcessState.RUNNING
        sim.signal(SIGTERM)
        assert sim.exit_code(within=20.0) in (0, 1)
        assert sim.kernel.alive() == []


def test_given_up_service_is_killed_with_all_that_belongs_to_it_and_says_why() -> None:
    daemon = Program(setsid=True, ignores=frozenset({SIGTERM}))
    scripts = {"bad": Program(children=[daemon, Program()])}

    with booted_with_faults(scripts, PROBED, service("good"), break_it=watching) as sim:
        sim.settle()

        assert sim.state("bad") is ProcessState.FAILED
        assert "internal fault" in sim.supervisor.view("bad").detail
        assert {number for _when, number in sim.received("bad")} == {SIGKILL}
        assert sim.kernel.alive("bad") == []


def test_given_up_service_can_be_started_again() -> None:
    def break_once(sim: Simulation) -> None:
        real = sim.kernel.start

        def start(spec: ServiceSpec, *, piped: bool) -> object:
            sim.kernel.start = real  # type: ignore[method-assign]
            raise InjectedError("on purpose")

        sim.kernel.start = start  # type: ignore[method-assign,assignment]

    with booted_with_faults({}, service("bad"), service("good"), break_it=break_once) as sim:
        sim.run(1.0)
        assert sim.state("bad") is ProcessState.FAILED
        sim.facade.start_all(["bad"])

        assert sim.state("bad") is ProcessState.RUNNING


def test_fault_of_an_unconfirmed_start_leaves_no_descriptor_behind() -> None:
    scripts = {"bad": Program(confirms=1.0)}

    with booted_with_faults(scripts, service("bad"), service("good"), break_it=adopting) as sim:
        sim.run(5.0)

        assert sim.state("bad") is ProcessState.FAILED
        assert sim.service("bad").started is None
        assert sim.service("bad").pid is None
        assert [fd for fd in sim.loop._watched if fd != sim.loop._wake_read] == []


def test_deaths_of_one_moment_are_all_taken_in_though_one_cannot_be() -> None:
    scripts = {name: Program(runs=1.0) for name in ("a", "bad", "b")}
    services = [service(name) for name in ("a", "bad", "b")]

    with booted_with_faults(scripts, *services, break_it=draining) as sim:
        sim.run(1.15)

        assert sim.starts("a") == sim.starts("b") == [0.0, 1.1]


def test_listener_of_announcements_that_raises_is_unsubscribed() -> None:
    def listen(sim: Simulation) -> None:
        sim.events.subscribe(raising)

    with booted_with_faults({}, service("good"), break_it=listen) as sim:
        sim.run(1.0)
        sim.signal(SIGTERM)

        assert sim.exit_code() == 0
        assert sim.faults() == ["InjectedError: on purpose"]


def test_listener_of_changes_that_raises_costs_no_service() -> None:
    def listen(sim: Simulation) -> None:
        sim.supervisor.on_change(raising)

    scripts = {"web": Program(runs=1.0)}
    services = [service("web"), service("db")]

    with booted_with_faults(scripts, *services, break_it=listen) as sim:
        sim.run(5.0)
        restarted = sim.starts("web")
        sim.signal(SIGTERM)

        assert len(restarted) > 2
        assert sim.exit_code() == 0
        assert set(sim.faults()) == {"InjectedError: on purpose"}


def test_fault_in_the_shutdown_itself_is_overcome_by_its_deadline() -> None:
    def break_advance(sim: Simulation) -> None:
        sim.shutdown._advance = raising  # type: ignore[method-assign]

    services = [service("db"), service("web", depends_on=after("db"))]

    with booted_with_faults({}, *services, break_it=break_advance, grace=4.0) as sim:
        sim.run(1.0)
        sim.signal(SIGTERM)

        assert sim.exit_code(within=10.0) == 0


def test_fault_in_a_timer_of_a_service_costs_that_service() -> None:
    def break_model(sim: Simulation) -> None:
        def arm() -> None:
            sim.loop.call_later(1.0, raising, sim.service("bad"))

        sim.loop.call_soon(arm)

    with booted_with_faults({}, service("bad"), service("good"), break_it=break_model) as sim:
        sim.run(5.0)

        assert sim.state("bad") is ProcessState.FAILED
        assert sim.state("good") is ProcessState.RUNNING
        assert sim.kernel.alive("bad") == []


def test_fault_during_a_stop_kills_what_is_left() -> None:
    scripts = {"bad": Program(handles={SIGTERM: (3.0, Exited(0))}, children=[Program(setsid=True)])}

    with booted_with_faults(scripts, service("bad"), service("good"), break_it=draining) as sim:
        sim.facade.stop("bad")
        sim.run(60.0)

        assert sim.kernel.alive("bad") == []
        assert sim.state("bad") is ProcessState.FAILED


def test_fault_once_the_leftovers_are_gone_does_not_hold_up_the_shutdown() -> None:
    slow = Program(setsid=True, handles={SIGTERM: (1.0, Exited(0))})

    def drain_fails_the_second_time(sim: Simulation) -> None:
        real = sim.logs.drain

        def drain(name: str) -> None:
            if name in sim.logs.drained:
                raise InjectedError("on purpose")
            real(name)

        sim.logs.drain = drain  # type: ignore[method-assign,assignment]

    with booted_with_faults(
        {"web": Program(children=[slow])}, service("web"), break_it=drain_fails_the_second_time
    ) as sim:
        sim.signal(SIGTERM)
        sim.exit_code()

        assert sim.now == 1.0
        assert sim.faults() == ["InjectedError: on purpose"]


def test_health_callback_that_raises_leaves_the_service_running() -> None:
    check = HealthCheck(Probe(exec=("probe",)), interval=1.0)

    def break_health(sim: Simulation) -> None:
        def changed(checked: Service, before: Process) -> None:
            if checked.process.health == "healthy":
                raise InjectedError("on purpose")

        sim.supervisor.on_change(changed)

    with booted_with_faults(
        {"probe": Program(runs=0.1)}, service("web", healthcheck=check), break_it=break_health
    ) as sim:
        sim.run(5.0)

        assert sim.state("web") is ProcessState.RUNNING
        assert sim.supervisor.view("web").health == "healthy"
