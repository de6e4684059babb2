"""How everything ends: order, deadlines, impatience, what will not die."""

from __future__ import annotations

import pytest

from supervise.model.exitstatus import Exited
from supervise.model.process import ProcessState
from supervise.model.service import Condition, KillMode, Probe, Ready
from supervise.model.signals import SIGNALS
from tests.support.fake_kernel import Program
from tests.support.simulation import (
    AT_ONCE,
    NEVER,
    SIGCONT,
    SIGKILL,
    SIGTERM,
    Simulation,
    after,
    booted,
    oneshot,
    service,
)

SIGUSR2 = SIGNALS["SIGUSR2"]
STUBBORN = Program(ignores=frozenset({SIGTERM}))


def slow(seconds: float, **fields: object) -> Program:
    """Return a program that takes *seconds* to end after SIGTERM."""
    return Program(handles={SIGTERM: (seconds, Exited(0))}, **fields)  # type: ignore[arg-type]


def first(sim: Simulation, name: str) -> tuple[float, int]:
    return sim.received(name)[0]


def test_services_stop_in_reverse_dependency_order() -> None:
    services = [
        service("db"),
        service("app", depends_on=after("db")),
        service("web", depends_on=after("app")),
    ]
    scripts = {name: slow(1.0) for name in ("db", "app", "web")}

    with booted(scripts, *services) as sim:
        sim.signal(SIGTERM)

        assert sim.exit_code() == 0
        assert [first(sim, name)[0] for name in ("web", "app", "db")] == [0.0, 1.0, 2.0]
        assert sim.now == 3.0


def test_what_nothing_orders_stops_in_parallel() -> None:
    services = [service(f"s{i}") for i in range(5)]

    with booted({f"s{i}": slow(1.0 + i) for i in range(5)}, *services) as sim:
        sim.signal(SIGTERM)
        sim.exit_code()

        assert {first(sim, each.name)[0] for each in services} == {0.0}
        assert sim.now == 5.0


def test_dependency_waits_for_its_last_dependent() -> None:
    services = [
        service("db"),
        service("a", depends_on=after("db")),
        service("b", depends_on=after("db")),
    ]

    with booted({"a": slow(1.0), "b": slow(2.0)}, *services) as sim:
        sim.signal(SIGTERM)
        sim.exit_code()

        assert first(sim, "db") == (2.0, SIGTERM)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT", "SIGPWR", "SIGRTMIN+3"])
def test_signals_that_shut_down(name: str) -> None:
    number = 37 if name == "SIGRTMIN+3" else SIGNALS[name]

    with booted({}, service("web")) as sim:
        sim.signal(number)

        assert sim.exit_code() == 0
        assert sim.shutdown.reason == f"received {name}"
        assert first(sim, "web") == (0.0, SIGTERM)


def test_everyone_gets_a_stop_signal_before_anyone_is_killed_for_the_deadline() -> None:
    row = [service("s0")]
    row += [service(f"s{i}", depends_on=after(f"s{i - 1}")) for i in range(1, 5)]
    scripts = {each.name: STUBBORN for each in row}

    with booted(scripts, *row, grace=8.0) as sim:
        sim.signal(SIGTERM)
        sim.exit_code()

        told = [first(sim, each.name) for each in row]
        assert all(number == SIGTERM for _when, number in told)
        # the last call comes a second before the end
        assert max(when for when, _number in told) == 7.0
        assert sim.now <= 8.5


def test_the_whole_shutdown_stays_within_its_grace() -> None:
    row = [service("s0", stop_grace_period=60.0)]
    row += [
        service(f"s{i}", depends_on=after(f"s{i - 1}"), stop_grace_period=60.0)
        for i in range(1, 10)
    ]

    with booted({each.name: STUBBORN for each in row}, *row, grace=8.0) as sim:
        sim.signal(SIGTERM)
        sim.exit_code()

        assert sim.now == 8.0
        assert {when for s in row for when, n in sim.received(s.name) if n == SIGKILL} == {8.0}


def test_own_grace_is_kept_when_it_is_shorter() -> None:
    with booted({"web": STUBBORN}, service("web", stop_grace_period=2.0)) as sim:
        sim.signal(SIGTERM)
        sim.exit_code()

        assert sim.received("web") == [(0.0, SIGTERM), (2.0, SIGKILL)]


def test_second_sigterm_skips_the_rest_of_the_grace() -> None:
    services = [service("db"), service("web", depends_on=after("db"))]

    with booted({"web": STUBBORN}, *services) as sim:
        sim.signal(SIGTERM)
        sim.run(1.0)
        sim.signal(SIGTERM)
        sim.exit_code()

        assert first(sim, "db") == (1.0, SIGTERM)  # out of order, but asked
        assert sim.received("web") == [(0.0, SIGTERM), (1.25, SIGKILL)]
        assert sim.now == 1.25
        assert len(sim.told("supervise.hurried")) == 1


def test_third_sigterm_kills_at_once() -> None:
    services = [service("db"), service("web", depends_on=after("db"))]

    with booted({"web": STUBBORN, "db": STUBBORN}, *services) as sim:
        for _ in range(3):
            sim.signal(SIGTERM)
        sim.exit_code()

        assert sim.received("web") == [(0.0, SIGTERM), (0.0, SIGKILL)]
        assert sim.received("db") == [(0.0, SIGTERM), (0.0, SIGKILL)]
        assert sim.now == 0.0


def test_sigterm_after_another_reason_is_the_first_one() -> None:
    scripts = {"web": Program(runs=1.0, ends=Exited(3)), "db": slow(3.0)}
    web = service("web", essential=True, restart=NEVER)

    with booted(scripts, web, service("db")) as sim:
        sim.run(2.0)
        sim.signal(SIGTERM)

        assert sim.exit_code() == 3
        assert sim.now == 4.0


def test_unkillable_process_does_not_hang_the_shutdown() -> None:
    services = [service("db"), service("web", depends_on=after("db"))]

    with booted({"web": Program(unkillable=True)}, *services, grace=8.0) as sim:
        sim.signal(SIGTERM)

        assert sim.exit_code() == 0
        assert sim.now <= 8.0 + 2 * 2.0 + 0.5
        assert first(sim, "db")[1] == SIGTERM


def test_setsid_grandchild_gets_the_stop_signal_before_anything_is_killed() -> None:
    daemon = Program(setsid=True, handles={SIGTERM: (1.5, Exited(0))})
    scripts = {"web": Program(children=[daemon])}

    with booted(scripts, service("web")) as sim:
        sim.signal(SIGTERM)
        sim.exit_code()

        assert sim.received("web/0") == [(0.0, SIGTERM)]
        assert sim.now == 1.5


def test_what_kill_mode_process_left_is_swept() -> None:
    scripts = {"web": Program(children=[Program(setsid=True), STUBBORN])}

    with booted(scripts, service("web", kill_mode=KillMode.PROCESS), grace=3.0) as sim:
        sim.signal(SIGTERM)
        sim.exit_code()

        assert sim.received("web/0") == [(0.0, SIGTERM)]
        assert sim.received("web/1") == [(0.0, SIGTERM), (3.0, SIGKILL)]


def test_the_sweep_ends_with_the_last_child() -> None:
    stranger = Program(setsid=True, handles={SIGTERM: (2.0, Exited(0))})
    scripts = {"web": Program(children=[stranger])}

    with booted(scripts, service("web", kill_mode=KillMode.PROCESS)) as sim:
        sim.signal(SIGTERM)
        sim.exit_code()

        assert sim.now == 2.0
        assert sim.told("supervise.swept")


def test_a_waiting_service_is_not_started_any_more() -> None:
    web = service("web", depends_on=after("job", condition=Condition.COMPLETED))
    scripts = {"job": Program(handles={SIGTERM: (1.0, Exited(0))}, runs=0.5)}

    with booted(scripts, oneshot("job"), web) as sim:
        sim.signal(SIGTERM)
        sim.exit_code()

        assert sim.starts("web") == []


def test_a_service_in_backoff_is_not_started_any_more() -> None:
    services = [service("db"), service("web", depends_on=after("db"))]
    scripts = {"db": Program(runs=1.0, ends=Exited(1)), "web": slow(4.0)}

    with booted(scripts, *services) as sim:
        sim.run(1.05)
        assert sim.state("db") is ProcessState.BACKOFF
        sim.signal(SIGTERM)
        sim.exit_code()

        assert sim.starts("db") == [0.0]
        assert sim.now == pytest.approx(5.05)


@pytest.mark.parametrize("backoff", [AT_ONCE, None])
def test_a_service_that_dies_during_the_shutdown_is_not_started_again(backoff: object) -> None:
    db = service("db", **({"backoff": backoff} if backoff else {}))
    scripts = {"db": Program(runs=1.0, ends=Exited(1)), "web": slow(4.0)}

    with booted(scripts, db, service("web", depends_on=after("db"))) as sim:
        sim.run(0.5)
        sim.signal(SIGTERM)

        assert sim.exit_code() == 0
        assert sim.starts("db") == [0.0]
        assert sim.now == 4.5


def test_a_restart_under_way_is_a_stop_once_the_shutdown_begins() -> None:
    services = [service("db"), service("web", depends_on=after("db"))]
    scripts = {"db": slow(1.0), "web": slow(4.0)}

    with booted(scripts, *services) as sim:
        sim.facade.restart("db")
        sim.run(0.5)
        sim.signal(SIGTERM)
        sim.exit_code()

        assert sim.starts("db") == [0.0]


def test_an_essential_end_does_not_start_what_waited_for_it() -> None:
    """With `required: false` the end of `job` would let `web` start; the container ends instead."""
    web = service("web", depends_on=after("job", condition=Condition.COMPLETED, required=False))
    job = oneshot("job", essential=True)

    with booted({"job": Program(runs=1.0, ends=Exited(4))}, job, web) as sim:
        assert sim.exit_code() == 4
        assert sim.starts("web") == []


def test_requests_to_start_are_ignored_during_the_shutdown() -> None:
    services = [
        service("db"),
        service("web", depends_on=after("db")),
        service("x", autostart=False),
    ]

    with booted({"web": slow(2.0)}, *services) as sim:
        sim.signal(SIGTERM)
        sim.run(1.0)
        sim.facade.start_all(["x"])
        sim.facade.restart("db")
        sim.facade.restart("web")
        sim.exit_code()

        assert sim.order_of_starts() == ["db", "web"]


def test_shutdown_while_a_start_is_not_confirmed() -> None:
    with booted({"web": Program(confirms=60.0)}, service("web")) as sim:
        sim.run(1.0)
        sim.signal(SIGTERM)

        assert sim.exit_code() == 0
        assert sim.now == 1.0


def test_shutdown_while_a_start_has_failed_but_is_not_told_yet() -> None:
    with booted({"web": Program(fails=2)}, service("web"), service("db")) as sim:
        sim.signalling.receive(SIGTERM)

        assert sim.exit_code(within=1.0) == 0
        assert sim.starts("web") == [0.0]


def test_shutdown_before_a_service_is_ready() -> None:
    web = service("web", ready=Ready(Probe(exec=("probe",)), interval=1.0))

    with booted({"probe": Program(runs=0.1, ends=Exited(1))}, web) as sim:
        sim.run(3.0)
        sim.signal(SIGTERM)

        assert sim.exit_code(within=1.0) == 0


def test_stop_command_runs_at_the_shutdown_too() -> None:
    web = service("web", stop_command=("tell",))

    with booted({"tell": Program(runs=1.0)}, web) as sim:
        sim.signal(SIGTERM)
        sim.exit_code()

        assert sim.received("web") == [(1.0, SIGTERM)]


def test_hanging_stop_command_leaves_time_for_the_signal() -> None:
    web = service("web", stop_command=("tell",), stop_grace_period=60.0)

    with booted({"web": STUBBORN}, web, grace=8.0) as sim:
        process = sim.process("web")
        sim.signal(SIGTERM)
        sim.exit_code()

        told = [(when - sim._booted_at, n) for when, n in process.received if n != SIGCONT]
        assert told == [(7.0, SIGTERM), (8.0, SIGKILL)]


def test_shutdown_by_request_with_an_exit_code() -> None:
    with booted({}, service("web")) as sim:
        sim.facade.shutdown("asked for", 42)

        assert sim.exit_code() == 42
        assert sim.told("supervise.exiting") == [{"code": 42, "reason": "asked for"}]


def test_reexec_signal_changes_nothing() -> None:
    with booted({}, service("web")) as sim:
        sim.signal(SIGUSR2)
        sim.run(1.0)

        assert sim.state("web") is ProcessState.RUNNING
        assert len(sim.told("supervise.notice")) == 1
