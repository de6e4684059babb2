"""What each signal to PID 1 means, alone, with services, with a main command."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import pytest

from supervise.model.exitstatus import Exited
from supervise.model.process import ProcessState
from supervise.model.service import ServiceSpec
from supervise.model.signals import SIGNALS, SIGRTMAX, SIGRTMIN
from tests.support.fake_kernel import Program
from tests.support.simulation import NEVER, Simulation, booted, service

MAIN = ServiceSpec("main", ("main",), restart=NEVER, essential=True)
_OURS = ("TERM", "PWR", "HUP", "USR1", "USR2", "IO", "CHLD", "KILL", "STOP")
OURS = {SIGNALS[f"SIG{name}"] for name in _OURS} | {SIGRTMIN + 3}
FORWARDED = sorted((set(SIGNALS.values()) | set(range(SIGRTMIN, SIGRTMAX + 1))) - OURS)
ALL = sorted((set(FORWARDED) | OURS) - {SIGNALS[f"SIG{n}"] for n in ("CHLD", "KILL", "STOP")})
SIGTERM, SIGHUP, SIGINT = SIGNALS["SIGTERM"], SIGNALS["SIGHUP"], SIGNALS["SIGINT"]
HARDENED = Program(ignores=frozenset(ALL))


def with_main(*services: ServiceSpec, **how: Any) -> AbstractContextManager[Simulation]:
    scripts = {"main": how.pop("program", HARDENED)}
    return booted(scripts, *services, main=MAIN, **how)


def numbers(sim: Simulation, name: str) -> list[int]:
    return [number for _when, number in sim.received(name)]


@pytest.mark.parametrize("number", [n for n in FORWARDED if n != SIGNALS["SIGCONT"]])
def test_signals_that_are_not_ours_are_forwarded_to_the_main_command(number: int) -> None:
    with with_main(service("web")) as sim:
        sim.signal(number)
        sim.run(1.0)

        assert numbers(sim, "main") == [number]
        assert numbers(sim, "web") == []
        assert not sim.facade.stopping


@pytest.mark.parametrize("number", [n for n in ALL if n != SIGNALS["SIGCONT"]])
def test_main_command_alone_gets_every_signal(number: int) -> None:
    with with_main(alone=True) as sim:
        sim.signal(number)
        sim.run(1.0)

        assert numbers(sim, "main") == [number]
        assert not sim.facade.stopping


def test_main_command_alone_passes_its_code_on() -> None:
    stops = Program(handles={SIGTERM: (1.0, Exited(9))})

    with with_main(alone=True, program=stops) as sim:
        sim.signal(SIGTERM)

        assert sim.exit_code() == 9


def test_signal_before_the_main_command_is_there_ends_the_container() -> None:
    with with_main(alone=True, program=Program(fails=2)) as sim:
        sim.signalling.receive(SIGTERM)

        assert sim.exit_code() == 127


def test_forwarded_signal_reaches_the_whole_group() -> None:
    program = Program(ignores=frozenset({SIGINT}), children=[HARDENED])

    with with_main(program=program) as sim:
        sim.signal(SIGINT)
        sim.settle()

        assert numbers(sim, "main/0") == [SIGINT]


def test_forwarded_signal_reaches_the_command_alone_when_asked_for() -> None:
    program = Program(ignores=frozenset({SIGINT}), children=[HARDENED])

    with with_main(program=program, group=False) as sim:
        sim.signal(SIGINT)
        sim.settle()

        assert numbers(sim, "main/0") == []
        assert [number for _when, number in sim.process("main").received] == [SIGINT]


def test_forwarded_signal_reaches_a_command_that_is_not_executed_yet() -> None:
    with with_main(program=Program(confirms=5.0)) as sim:
        sim.signal(SIGINT)

        assert sim.exit_code() == 128 + SIGINT


def test_signal_is_rewritten_first() -> None:
    with with_main(alone=True, rewrite={SIGTERM: SIGNALS["SIGQUIT"]}) as sim:
        sim.signal(SIGTERM)
        sim.settle()

        assert numbers(sim, "main") == [SIGNALS["SIGQUIT"]]


def test_rewritten_signal_means_what_it_becomes() -> None:
    with booted({}, service("web"), rewrite={SIGINT: SIGNALS["SIGUSR1"]}) as sim:
        sim.signal(SIGINT)
        sim.settle()

        assert sim.reopened == 1
        assert not sim.facade.stopping


def test_signal_rewritten_to_nothing_is_dropped() -> None:
    with with_main(alone=True, rewrite={SIGINT: 0}) as sim:
        sim.signal(SIGINT)
        sim.run(1.0)

        assert numbers(sim, "main") == []


def test_usr1_reopens_the_logs() -> None:
    with booted({}, service("web")) as sim:
        sim.signal(SIGNALS["SIGUSR1"])
        sim.settle()

        assert sim.reopened == 1


def test_io_is_the_kernels_word_that_the_sockets_directory_has_changed() -> None:
    with with_main(service("web")) as sim:
        sim.signal(SIGNALS["SIGIO"])
        sim.settle()

        assert sim.looked == 1
        assert numbers(sim, "main") == []


def test_hang_up_without_a_terminal_reloads() -> None:
    with with_main(service("web")) as sim:
        sim.next_plan = sim.plan.replace(services={"new": service("new")})
        sim.signal(SIGHUP)
        sim.run(1.0)

        assert sim.facade.names() == ["new", "main"]
        assert numbers(sim, "main") == []


def test_hang_up_of_a_terminal_is_no_reload_but_the_commands_affair() -> None:
    with with_main(service("web"), terminal=True) as sim:
        sim.next_plan = sim.plan.replace(services={"new": service("new")})
        sim.signal(SIGHUP)
        sim.run(1.0)

        assert numbers(sim, "main") == [SIGHUP]
        assert sim.facade.names() == ["web", "main"]


def test_hang_up_of_a_terminal_without_a_command_ends_the_container() -> None:
    with booted({}, service("web"), terminal=True) as sim:
        sim.terminal_is_lost = True
        sim.signal(SIGHUP)

        assert sim.exit_code() == 0


def test_hang_up_that_somebody_sends_reloads_at_a_terminal_too() -> None:
    with booted({}, service("web"), terminal=True) as sim:
        sim.signal(SIGHUP)
        sim.run(1.0)

        assert len(sim.adopted) == 1
        assert sim.state("web") is ProcessState.RUNNING


def test_interactive_command_is_told_that_its_terminal_goes() -> None:
    shell = Program(ignores=frozenset({SIGTERM}), handles={SIGHUP: (0.0, Exited(129))})

    with with_main(service("web"), program=shell, terminal=True) as sim:
        sim.signal(SIGTERM)

        assert sim.exit_code() == 129
        assert sim.now == 0.0


@pytest.mark.parametrize("name", ["SIGINT", "SIGQUIT"])
def test_keyboard_signals_are_the_commands_affair(name: str) -> None:
    with with_main(service("web")) as sim:
        sim.signal(SIGNALS[name])
        sim.run(1.0)

        assert numbers(sim, "main") == [SIGNALS[name]]
        assert not sim.facade.stopping


@pytest.mark.parametrize("name", ["SIGWINCH", "SIGUSR2", "SIGALRM", "SIGCONT", "SIGPIPE"])
def test_other_signals_mean_nothing_to_services(name: str) -> None:
    with booted({}, service("web")) as sim:
        sim.signal(SIGNALS[name])
        sim.run(1.0)

        assert sim.state("web") is ProcessState.RUNNING
        assert sim.received("web") == []


def test_shutdown_signals_are_obeyed_beside_a_main_command() -> None:
    with with_main(service("web"), program=Program()) as sim:
        sim.signal(SIGRTMIN + 3)

        assert sim.exit_code() == 128 + SIGTERM
        assert numbers(sim, "main") == [SIGTERM]


def test_stop_of_an_interactive_command_is_undone() -> None:
    """Without this a Ctrl-Z in the container's only shell would leave nobody to wake it."""
    with with_main(service("web"), terminal=True, program=Program()) as sim:
        process = sim.process("main")
        sim.facade.signal("main", SIGNALS["SIGSTOP"])
        sim.settle()

        assert not process.stopped
        assert sim.state("main") is ProcessState.RUNNING
