"""How one service ends when it is told to: signals, grace, descendants, the stop command."""

from __future__ import annotations

import pytest

from supervise.model.exitstatus import Exited
from supervise.model.process import Desired, ProcessState
from supervise.model.service import HealthCheck, KillMode, Probe, Ready, ServiceSpec
from supervise.model.signals import SIGNALS
from tests.support.fake_kernel import Program
from tests.support.simulation import (
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

SIGINT, SIGSTOP = SIGNALS["SIGINT"], SIGNALS["SIGSTOP"]
STUBBORN = Program(ignores=frozenset({SIGTERM}))
OBEDIENT_DAEMON = Program(setsid=True)
STUBBORN_DAEMON = Program(setsid=True, ignores=frozenset({SIGTERM}))
SLOW_DAEMON = Program(setsid=True, handles={SIGTERM: (3.0, Exited(0))})


def is_down(sim: Simulation, name: str) -> bool:
    return sim.state(name) is ProcessState.STOPPED


def test_stop_sends_the_stop_signal_and_nothing_else() -> None:
    with booted({}, service("web", stop_signal=SIGINT), service("idle")) as sim:
        sim.facade.stop("web")
        sim.settle()

        assert sim.received("web") == [(0.0, SIGINT)]
        assert sim.state("web") is ProcessState.STOPPED
        assert sim.service("web").timers == {}


def test_what_a_person_stopped_stays_down() -> None:
    with booted({}, service("web"), service("idle")) as sim:
        sim.facade.stop("web")
        sim.run(3600.0)

        assert sim.starts("web") == [0.0]
        assert sim.service("web").process.desired is Desired.DOWN


def test_stubborn_service_is_killed_when_its_grace_ends() -> None:
    with booted({"web": STUBBORN}, service("web", stop_grace_period=2.0), service("idle")) as sim:
        sim.facade.stop("web")
        sim.run(10.0)

        assert sim.received("web") == [(0.0, SIGTERM), (2.0, SIGKILL)]
        assert sim.when("service.stopped", "web") == [2.0]


def test_timeout_of_a_request_replaces_the_grace() -> None:
    with booted({"web": STUBBORN}, service("web"), service("idle")) as sim:
        sim.facade.stop("web", 0.5)
        sim.run(10.0)

        assert sim.received("web") == [(0.0, SIGTERM), (0.5, SIGKILL)]


def test_second_request_may_shorten_the_grace() -> None:
    with booted({"web": STUBBORN}, service("web"), service("idle")) as sim:
        sim.facade.stop("web")
        sim.run(1.0)
        sim.facade.stop("web", 0.5)
        sim.run(10.0)

        assert sim.received("web") == [(0.0, SIGTERM), (1.5, SIGKILL)]


def test_stopped_process_is_continued_so_that_it_can_end() -> None:
    with booted({}, service("web"), service("idle")) as sim:
        sim.facade.signal("web", SIGSTOP)
        sim.facade.stop("web")
        sim.settle()

        assert is_down(sim, "web")
        assert sim.received("web") == [(0.0, SIGSTOP), (0.0, SIGTERM)]


def test_unkillable_process_is_given_up_and_said_to_be() -> None:
    web = service("web", stop_grace_period=1.0)

    with booted({"web": Program(unkillable=True)}, web, service("idle")) as sim:
        sim.facade.stop("web")
        sim.run(10.0)

        assert sim.when("service.unkillable", "web") == [3.0]
        assert is_down(sim, "web")


def test_unkillable_process_is_not_replaced() -> None:
    web = service("web", ready=Ready(Probe(notify=True)), start_timeout=1.0, stop_grace_period=1.0)

    with booted({"web": Program(unkillable=True)}, web, service("idle")) as sim:
        sim.run(3600.0)

        assert sim.starts("web") == [0.0]
        assert sim.state("web") is ProcessState.FAILED


@pytest.mark.parametrize("restart", [True, False])
def test_unkillable_process_is_not_restarted(restart: bool) -> None:
    web = service("web", stop_grace_period=1.0, depends_on=after("idle") if restart else {})

    with booted({"web": [Program(unkillable=True), Program()]}, service("idle"), web) as sim:
        sim.facade.restart("web")
        sim.run(3600.0)

        assert sim.starts("web") == [0.0]


def test_stop_during_backoff() -> None:
    with booted({"web": Program(runs=1.0)}, service("web"), service("idle")) as sim:
        sim.run(1.05)
        assert sim.state("web") is ProcessState.BACKOFF
        sim.facade.stop("web")
        sim.run(60.0)

        assert is_down(sim, "web")
        assert sim.starts("web") == [0.0]


def test_stop_before_it_is_ready() -> None:
    web = service("web", ready=Ready(Probe(exec=("probe",)), interval=1.0))

    with booted({"probe": Program(runs=0.5, ends=Exited(1))}, web, service("idle")) as sim:
        sim.run(0.2)
        sim.facade.stop("web")
        sim.run(60.0)

        assert is_down(sim, "web")
        assert sim.service("web").timers == {}
        assert [p.name for p in sim.kernel.history].count("probe") == 1


def test_stop_before_the_start_is_confirmed() -> None:
    with booted({"web": Program(confirms=5.0)}, service("web"), service("idle")) as sim:
        sim.run(1.0)
        sim.facade.stop("web")
        sim.run(10.0)

        assert is_down(sim, "web")
        assert sim.when("service.stopped", "web") == [1.0]
        assert sim.service("web").started is None


def test_stop_before_a_failed_start_is_told() -> None:
    with booted({"web": [Program(), Program(fails=2)]}, service("web"), service("idle")) as sim:
        sim.facade.stop("web")
        sim.run(1.0)
        sim.facade.start_all(["web"])
        sim.facade.stop("web")
        sim.run(60.0)

        assert is_down(sim, "web")
        assert sim.starts("web") == [0.0, 1.0]


def test_start_right_after_a_stop_waits_for_the_end() -> None:
    slow = Program(handles={SIGTERM: (2.0, Exited(0))})

    with booted({"web": slow}, service("web"), service("idle")) as sim:
        sim.facade.stop("web")
        sim.run(1.0)
        sim.facade.start_all(["web"])
        sim.run(5.0)

        assert sim.starts("web") == [0.0, 2.0]
        assert sim.state("web") is ProcessState.RUNNING


def test_start_of_what_stops_waits_for_its_dependencies() -> None:
    slow = Program(handles={SIGTERM: (2.0, Exited(0))})
    web = service("web", depends_on=after("db"))

    with booted({"db": slow}, service("db"), web) as sim:
        for name in ("web", "db"):
            sim.facade.stop(name)
        sim.facade.start_all(["web"])
        sim.run(5.0)

        assert sim.starts("db") == [0.0, 2.0]
        assert sim.starts("web") == [0.0, 2.0]
        assert sim.order_of_starts()[-2:] == ["db", "web"]


def test_stop_after_a_start_after_a_stop_wins() -> None:
    slow = Program(handles={SIGTERM: (2.0, Exited(0))})

    with booted({"web": slow}, service("web"), service("idle")) as sim:
        sim.facade.stop("web")
        sim.facade.start_all(["web"])
        sim.facade.stop("web")
        sim.run(60.0)

        assert sim.starts("web") == [0.0]
        assert is_down(sim, "web")


def test_grandchild_in_the_group_gets_the_stop_signal() -> None:
    scripts = {"web": Program(children=[Program()])}

    with booted(scripts, service("web"), service("idle")) as sim:
        sim.facade.stop("web")
        sim.settle()

        assert sim.received("web/0") == [(0.0, SIGTERM)]


def test_setsid_grandchild_gets_the_stop_signal_before_anything_is_killed() -> None:
    scripts = {"web": Program(children=[OBEDIENT_DAEMON], ignores=frozenset({SIGTERM}))}

    with booted(scripts, service("web", stop_grace_period=2.0), service("idle")) as sim:
        sim.facade.stop("web")
        sim.run(10.0)

        assert sim.received("web/0") == [(0.0, SIGTERM)]
        assert sim.received("web") == [(0.0, SIGTERM), (0.0, SIGTERM), (2.0, SIGKILL)]


def test_setsid_grandchild_is_waited_for() -> None:
    with booted({"web": Program(children=[SLOW_DAEMON])}, service("web"), service("idle")) as sim:
        sim.facade.stop("web")
        sim.run(10.0)

        assert sim.received("web/0") == [(0.0, SIGTERM)]
        assert sim.when("service.stopped", "web") == [3.0]


def test_grandchild_that_another_init_has_adopted_is_looked_for_before_anything_is_killed() -> None:
    """Its end is not told to us, so the grace is waited out."""
    with booted({"web": Program(children=[SLOW_DAEMON])}, service("web"), service("idle")) as sim:
        sim.kernel.adopts = False
        sim.facade.stop("web")
        sim.run(10.0)

        assert sim.received("web/0") == [(0.0, SIGTERM)]
        assert sim.told("service.killed") == []
        assert sim.when("service.stopped", "web") == [5.0]


def test_stubborn_grandchild_that_another_init_has_adopted_is_killed() -> None:
    scripts = {"web": Program(children=[STUBBORN_DAEMON])}

    with booted(scripts, service("web"), service("idle")) as sim:
        sim.kernel.adopts = False
        sim.facade.stop("web")
        sim.run(10.0)

        assert sim.received("web/0") == [(0.0, SIGTERM), (5.0, SIGKILL)]
        assert sim.state("web") is ProcessState.STOPPED


def test_setsid_grandchild_that_ignores_the_stop_is_killed_when_the_grace_ends() -> None:
    scripts = {"web": Program(children=[STUBBORN_DAEMON])}

    with booted(scripts, service("web", stop_grace_period=2.0), service("idle")) as sim:
        sim.facade.stop("web")
        sim.run(10.0)

        assert sim.received("web/0") == [(0.0, SIGTERM), (2.0, SIGKILL)]
        assert sim.when("service.stopped", "web") == [2.0]


def test_daemonised_grandchild_is_found_after_its_parents_are_gone() -> None:
    """A launcher that has ended long ago: the marker tells whose the daemon is."""
    launcher = Program(runs=1.0, children=[SLOW_DAEMON])

    with booted({"web": Program(children=[launcher])}, service("web"), service("idle")) as sim:
        sim.run(2.0)
        sim.facade.stop("web")
        sim.run(10.0)

        assert sim.received("web/0/0") == [(2.0, SIGTERM)]
        assert sim.when("service.stopped", "web") == [5.0]


def test_daemon_that_is_forked_during_the_stop_gets_the_stop_signal_too() -> None:
    """Nobody below the service knew of it when everybody was looked up."""
    scripts = {"web": Program(handles={SIGTERM: (1.0, Exited(0))})}

    with booted(scripts, service("web"), service("idle")) as sim:
        web = sim.process("web")
        sim.facade.stop("web")
        sim.loop.call_later(0.5, lambda: sim.kernel.fork(web, SLOW_DAEMON))
        sim.run(10.0)

        assert sim.received("web/late") == [(1.0, SIGTERM)]
        assert sim.when("service.stopped", "web") == [4.0]


def test_restart_waits_for_the_grandchild_too() -> None:
    with booted({"web": [Program(children=[SLOW_DAEMON]), Program()]}, service("web")) as sim:
        sim.facade.restart("web")
        sim.run(10.0)

        assert sim.starts("web") == [0.0, 3.0]


def test_leftovers_of_a_crash_get_the_stop_signal_before_the_restart() -> None:
    worker = Program(handles={SIGTERM: (1.0, Exited(0))})
    scripts = {"web": [Program(runs=5.0, ends=Exited(1), children=[worker]), Program()]}

    with booted(scripts, service("web")) as sim:
        sim.run(10.0)

        assert sim.received("web/0") == [(5.0, SIGTERM)]
        assert sim.starts("web") == [0.0, 6.1]


def test_daemonised_leftovers_of_a_crash_get_the_stop_signal_before_the_restart() -> None:
    scripts = {"web": [Program(runs=5.0, ends=Exited(1), children=[SLOW_DAEMON]), Program()]}

    with booted(scripts, service("web")) as sim:
        sim.run(10.0)

        assert sim.received("web/0") == [(5.0, SIGTERM)]
        assert sim.starts("web") == [0.0, 8.1]


@pytest.mark.parametrize("spec", [oneshot("web"), service("web", restart=NEVER)])
def test_daemon_of_what_ended_well_lives_until_the_shutdown(spec: ServiceSpec) -> None:
    """`command: [service, nginx, start]` is such a one."""
    with booted({"web": Program(runs=5.0, children=[SLOW_DAEMON])}, spec, service("idle")) as sim:
        sim.run(60.0)
        assert sim.state("web") is ProcessState.EXITED
        assert sim.received("web/0") == []
        sim.signal(SIGTERM)
        sim.exit_code()

        assert sim.received("web/0") == [(60.0, SIGTERM)]


def test_stubborn_leftovers_of_a_crash_are_killed_before_the_restart() -> None:
    scripts = {"web": [Program(runs=5.0, ends=Exited(1), children=[STUBBORN]), Program()]}

    with booted(scripts, service("web", stop_grace_period=2.0)) as sim:
        sim.run(10.0)

        assert sim.received("web/0") == [(5.0, SIGTERM), (7.0, SIGKILL)]
        assert sim.starts("web") == [0.0, 7.1]


def test_a_crashed_service_with_leftovers_keeps_its_exit_status() -> None:
    worker = Program(handles={SIGTERM: (1.0, Exited(0))})
    scripts = {"web": Program(runs=5.0, ends=Exited(9), children=[worker])}

    with booted(scripts, service("web", restart=NEVER, essential=True)) as sim:
        assert sim.exit_code() == 9


def test_kill_mode_process_leaves_the_others_alone() -> None:
    scripts = {"web": Program(children=[Program(), OBEDIENT_DAEMON])}

    with booted(scripts, service("web", kill_mode=KillMode.PROCESS), service("idle")) as sim:
        sim.facade.stop("web")
        sim.run(60.0)

        assert is_down(sim, "web")
        assert sim.received("web/0") == sim.received("web/1") == []


def test_kill_mode_process_restarts_beside_the_others() -> None:
    scripts = {"web": [Program(runs=1.0, children=[Program()]), Program()]}

    with booted(scripts, service("web", kill_mode=KillMode.PROCESS)) as sim:
        sim.run(10.0)

        assert sim.starts("web") == [0.0, 1.1]
        assert sim.received("web/0") == []


def test_stop_command_runs_instead_of_the_signal() -> None:
    """The command of this script tells the service over some channel of theirs."""
    web = service("web", stop_command=("tell",))
    scripts = {"tell": Program(runs=2.0)}

    with booted(scripts, web, service("idle")) as sim:
        process = sim.process("web")
        sim.facade.stop("web")
        sim.loop.call_later(1.0, lambda: sim.kernel.end(process, Exited(0)))
        sim.run(10.0)

        assert process.received == []
        assert is_down(sim, "web")


def test_stop_command_may_finish_its_work_after_the_service_has_ended() -> None:
    web = service("web", stop_command=("tell",))
    scripts = {"tell": Program(runs=2.0)}

    with booted(scripts, web, service("idle")) as sim:
        process = sim.process("web")
        sim.facade.stop("web")
        sim.loop.call_later(1.0, lambda: sim.kernel.end(process, Exited(0)))
        sim.run(10.0)

        assert sim.received("tell") == []
        assert sim.when("service.stopped", "web") == [2.0]


def test_what_the_stop_command_does_not_end_gets_the_signal() -> None:
    web = service("web", stop_command=("tell",))

    with booted({"tell": Program(runs=2.0)}, web, service("idle")) as sim:
        sim.facade.stop("web")
        sim.run(10.0)

        assert sim.received("web") == [(2.0, SIGTERM)]
        assert sim.when("service.stopped", "web") == [2.0]


def test_stop_command_that_cannot_be_run_is_followed_by_the_signal() -> None:
    web = service("web", stop_command=("tell",))

    with booted({"tell": Program(fails=2)}, web, service("idle")) as sim:
        sim.facade.stop("web")
        sim.settle()

        assert sim.received("web") == [(0.0, SIGTERM)]


def test_stop_command_that_hangs_is_followed_by_the_signal_and_only_then_by_sigkill() -> None:
    web = service("web", stop_command=("tell",), stop_grace_period=2.0)

    with booted({"web": STUBBORN}, web, service("idle")) as sim:
        process = sim.process("web")
        sim.facade.stop("web")
        sim.run(10.0)

        received = [(when - sim._booted_at, number) for when, number in process.received]
        assert [each for each in received if each[1] != SIGCONT] == [(2.0, SIGTERM), (2.5, SIGKILL)]
        assert is_down(sim, "web")
        assert sim.kernel.alive("tell") == []


def test_stop_command_of_an_earlier_stop_does_not_cut_the_next_one_short() -> None:
    web = service("web", stop_command=("tell",))
    scripts = {"tell": [Program(runs=4.0), Program(runs=4.0)]}

    with booted(scripts, web, service("idle")) as sim:
        sim.facade.restart("web")
        sim.loop.call_later(1.0, lambda: sim.end("web", Exited(0)))
        sim.until(lambda: sim.starts("web")[1:])
        second = sim.pid("web")
        begun = sim.now
        sim.facade.stop("web")
        sim.run(20.0)

        died = next(p for p in sim.kernel.history if p.pid == second)
        first_signal = min(when for when, _number in died.received) - sim._booted_at
        assert first_signal == pytest.approx(begun + 4.0)


def test_nothing_of_a_stopped_service_is_left_in_the_loop() -> None:
    check = HealthCheck(Probe(exec=("probe",)), interval=1.0)
    web = service("web", ready=Ready(Probe(exec=("probe",)), interval=1.0), healthcheck=check)

    with booted({"probe": Program(runs=0.1)}, web, service("idle")) as sim:
        sim.run(5.05)
        sim.facade.stop("web")
        sim.settle()

        assert sim.loop.pending_timers() <= 1  # of a scripted program that has been killed
        assert [p.name for p in sim.kernel.alive()] == ["idle"]
