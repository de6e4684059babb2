"""The terminal: corner cases 3, 4, 5 and 10; what `docker run -it` gives, without Docker."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.support import procfs
from tests.support.bench import Bench
from tests.support.eventually import eventually
from tests.support.pid1 import Pid1
from tests.support.terminal import CTRL_C, CTRL_D, CTRL_Z, Terminal

pytestmark = pytest.mark.integration

# As runc does: a new session whose controlling terminal is standard input.
WITH_TERMINAL = ("setsid", "--ctty")
BASH = ("env", "PS1=ready> ", "bash", "--norc", "--noprofile", "-i")


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    made.close()


def start_on(terminal: Terminal, bench: Bench, *main: str, config: str | None = None) -> Pid1:
    """Start `supervise -- MAIN` with *terminal* as its controlling terminal."""
    pid1 = bench.supervise(
        config,
        main=main,
        prefix=WITH_TERMINAL,
        stdin=terminal.device,
        stdout=terminal.device,
    )
    terminal.release_device()
    return pid1


def test_a_shell_has_job_control(bench: Bench, terminal: Terminal) -> None:
    start_on(terminal, bench, *BASH)
    terminal.wait_for("ready> ")

    terminal.type("echo $((6 * 7))\n")

    terminal.wait_for("\n42\n")
    assert "job control" not in terminal.screen
    assert "process group" not in terminal.screen


def test_a_background_access_to_the_terminal_never_stops_pid_1(
    bench: Bench, terminal: Terminal
) -> None:
    pid1 = start_on(terminal, bench, *BASH)
    terminal.wait_for("ready> ")
    shell = pid1.find("bash")[0].pid

    assert {signal.SIGTTIN, signal.SIGTTOU} <= procfs.signal_set(pid1.pid, "SigIgn")
    # An interactive bash ignores them itself; what it starts tells what it was given.
    terminal.type("sleep 3600\n")
    sleeper = eventually(lambda: pid1.find("sleep", "3600"))[0].pid
    assert procfs.signal_set(sleeper, "SigIgn") == set()
    assert procfs.row(shell).state == "S"


def test_control_c_interrupts_the_foreground_job_alone(bench: Bench, terminal: Terminal) -> None:
    pid1 = start_on(terminal, bench, *BASH)
    terminal.wait_for("ready> ")
    terminal.type("sleep 3600\n")
    eventually(lambda: pid1.find("sleep", "3600"))

    terminal.type(CTRL_C)
    terminal.type("echo code $?\n")

    terminal.wait_for("code 130")
    assert pid1.running


def test_control_z_suspends_and_fg_continues(bench: Bench, terminal: Terminal) -> None:
    pid1 = start_on(terminal, bench, *BASH)
    terminal.wait_for("ready> ")
    terminal.type("sleep 3600\n")
    sleeper = eventually(lambda: pid1.find("sleep", "3600"))[0].pid

    terminal.type(CTRL_Z)
    terminal.wait_for("Stopped")
    assert procfs.row(sleeper).state == "T"
    terminal.type("fg\n")
    eventually(lambda: procfs.row(sleeper).state == "S")
    terminal.type(CTRL_C)

    eventually(lambda: not pid1.find("sleep", "3600"))


def test_the_window_size_arrives(bench: Bench, terminal: Terminal) -> None:
    start_on(terminal, bench, *BASH)
    terminal.wait_for("ready> ")
    terminal.type("trap 'echo resized to $(stty size)' WINCH; echo set\n")
    terminal.wait_for("\nset\n")

    terminal.resize(33, 99)
    terminal.type("\n")

    terminal.wait_for("resized to 33 99")


def test_the_shells_exit_code_is_the_containers(bench: Bench, terminal: Terminal) -> None:
    pid1 = start_on(terminal, bench, *BASH)
    terminal.wait_for("ready> ")

    terminal.type("exit 9\n")

    assert pid1.wait() == 9


def test_end_of_file_ends_the_shell(bench: Bench, terminal: Terminal) -> None:
    pid1 = start_on(terminal, bench, *BASH)
    terminal.wait_for("ready> ")

    terminal.type(CTRL_D)

    assert pid1.wait() == 0


def test_control_c_ends_a_main_command_that_is_no_shell(bench: Bench, terminal: Terminal) -> None:
    pid1 = start_on(terminal, bench, "sleep", "3600")
    eventually(lambda: pid1.find("sleep"))

    terminal.type(CTRL_C)

    assert pid1.wait() == 130


def test_services_run_beside_a_shell_and_leave_the_terminal_alone(
    bench: Bench, terminal: Terminal
) -> None:
    pid1 = start_on(
        terminal,
        bench,
        *BASH,
        config="""
            services:
              chatty: {command: {shell: "echo hello from a service; exec sleep 3600"}}
        """,
    )
    terminal.wait_for("ready> ")
    terminal.wait_for("hello from a service")

    terminal.type("supervisectl status chatty | grep -c running\n")
    terminal.wait_for("\n1\n")
    terminal.type("sleep 3601\n")
    eventually(lambda: pid1.find("sleep", "3601"))
    terminal.type(CTRL_C)

    eventually(lambda: not pid1.find("sleep", "3601"))
    assert pid1.find("sleep", "3600")


def test_a_terminal_that_is_lost_ends_the_shell_and_is_no_reload(
    bench: Bench, terminal: Terminal
) -> None:
    pid1 = start_on(
        terminal,
        bench,
        *BASH,
        config="services: {quiet: {command: [sleep, '3600']}}",
    )
    terminal.wait_for("ready> ")

    terminal.hang_up()

    assert pid1.wait() in {0, 129}


def test_without_a_main_command_control_c_stops_the_services(
    bench: Bench, terminal: Terminal
) -> None:
    bench.write("supervise.yaml", "services: {quiet: {command: [sleep, '3600']}}")
    pid1 = bench.start(
        ["supervise", "-c", "supervise.yaml"],
        prefix=WITH_TERMINAL,
        stdin=terminal.device,
        stdout=terminal.device,
    )
    terminal.release_device()
    pid1.wait_up()
    eventually(lambda: pid1.find("sleep"))

    terminal.type(CTRL_C)

    assert pid1.wait() == 0


def test_the_prefix_is_coloured_on_a_terminal(bench: Bench, terminal: Terminal) -> None:
    start_on(
        terminal,
        bench,
        *BASH,
        config="services: {chatty: {command: {shell: 'echo colours; exec sleep 3600'}}}",
    )

    terminal.wait_for("colours")

    line = next(line for line in terminal.screen.splitlines() if line.endswith("colours"))
    assert "\x1b[" in line
