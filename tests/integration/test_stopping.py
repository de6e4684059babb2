"""Stopping: corner cases 20 to 26."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.support import procfs
from tests.support.bench import Bench
from tests.support.eventually import eventually
from tests.support.pid1 import Pid1

pytestmark = pytest.mark.integration

WITH_GRANDCHILD = """
    services:
      parent: {command: [setsid_grandchild.sh, told]}
"""


def test_a_grandchild_with_its_own_session_gets_sigterm_at_stop(bench: Bench) -> None:
    pid1 = bench.supervise(WITH_GRANDCHILD)
    pid1.wait_for("ready")

    stopped = pid1.ctl("stop", "parent")

    assert stopped.returncode == 0, stopped
    assert bench.file("told") == "SIGTERM\n"
    assert [process.pid for process in pid1.processes()] == [pid1.pid]


def test_a_grandchild_with_its_own_session_gets_sigterm_at_shutdown(bench: Bench) -> None:
    pid1 = bench.supervise(WITH_GRANDCHILD)
    pid1.wait_for("ready")

    pid1.terminate()

    assert bench.file("told") == "SIGTERM\n"


def test_a_daemon_that_left_its_service_gets_sigterm_at_shutdown(bench: Bench) -> None:
    pid1 = bench.supervise("""
        exit: never
        services:
          parent: {command: [setsid_grandchild.sh, told, once], restart: "no"}
    """)
    pid1.wait_state("parent", "exited")

    pid1.terminate()

    assert bench.file("told") == "SIGTERM\n"


def test_with_kill_mode_process_the_descendants_live_on(bench: Bench) -> None:
    pid1 = bench.supervise("""
        services:
          parent: {command: [setsid_grandchild.sh, told], kill_mode: process}
          other: {command: [sleep, "3600"]}
    """)
    pid1.wait_for("ready")

    pid1.ctl("stop", "parent")

    grandchild = int(bench.file("told.pid"))
    assert grandchild in [process.inner for process in pid1.processes()]


CHAIN = """
    services:
      db: {command: [stop_slowly.sh, "0.2"]}
      app: {command: [stop_slowly.sh, "0.2"], depends_on: [db]}
      web: {command: [stop_slowly.sh, "0.2"], depends_on: [app]}
      twin: {command: [stop_slowly.sh, "0.2"], depends_on: [app]}
"""


def test_services_stop_in_reverse_order_and_in_parallel_where_none_orders_them(
    bench: Bench,
) -> None:
    pid1 = bench.supervise(CHAIN)
    eventually(lambda: pid1.console.count("| ready") == 4)

    assert pid1.terminate() == 0

    said = [line for line in pid1.console.splitlines() if line.endswith((" stopping", " stopped"))]
    order = [
        (line.partition("|")[0].strip(), line.split()[-1])
        for line in said
        if not line.startswith("supervise")
    ]
    assert sorted(order[:2]) == [("twin", "stopping"), ("web", "stopping")]
    assert sorted(order[2:4]) == [("twin", "stopped"), ("web", "stopped")]
    assert order[4:] == [
        *(("app", "stopping"), ("app", "stopped"), ("db", "stopping"), ("db", "stopped"))
    ]


def test_one_deadline_holds_for_the_whole_shutdown_and_everyone_was_told(bench: Bench) -> None:
    pid1 = bench.supervise("""
        shutdown: {grace: 1s}
        services:
          db: {command: {shell: "trap 'echo db was told' TERM; echo ready; while :; do sleep 60 & wait; done"}}
          web: {command: [ignore_term.sh], depends_on: [db]}
    """)
    eventually(lambda: pid1.console.count("| ready") == 2)
    start = time.monotonic()

    pid1.terminate()

    assert time.monotonic() - start < 4.0
    assert "db was told" in pid1.console


def test_a_stopped_process_is_continued_so_that_it_can_end(bench: Bench) -> None:
    pid1 = bench.supervise("""
        services:
          polite: {command: [stop_slowly.sh, "0"], stop_grace_period: 60s}
          other: {command: [sleep, "3600"]}
    """)
    pid1.wait_for("ready")
    polite = pid1.find("/bin/sh")[0].pid
    os.kill(polite, signal.SIGSTOP)
    eventually(lambda: procfs.row(polite).state == "T")

    stopped = pid1.ctl("stop", "polite")

    assert stopped.returncode == 0, stopped
    assert pid1.lines_of("polite")[-1] == "stopped"


def test_as_an_ordinary_program_it_stops_nobody_elses_processes(bench: Bench) -> None:
    beside = 'sleep 3600 & "$@" & wait $!; code=$?; kill -0 %1 && echo untouched; exit $code'
    pid1 = bench.supervise(
        "services: {sleeper: {command: [sleep, '60']}}", prefix=("bash", "-c", beside, "bash")
    )
    eventually(lambda: pid1.find("60"))

    os.kill(pid1.init(), signal.SIGTERM)

    assert pid1.wait() == 0
    assert "untouched" in pid1.console


def test_a_process_that_sigkill_does_not_end_is_given_up(bench: Bench) -> None:
    pid1 = _with_a_held_service(bench)

    stopped = pid1.ctl("stop", "held")

    assert pid1.status()["other"]["state"] == "running"
    assert "held" in stopped.stdout + stopped.stderr
    pid1.wait_for("survived SIGKILL")


def test_a_process_that_cannot_be_reaped_does_not_hold_the_shutdown(bench: Bench) -> None:
    pid1 = _with_a_held_service(bench)
    start = time.monotonic()

    pid1.signal(signal.SIGTERM)

    # The kernel waits for the debugger too before it lets the namespace go; the code comes first.
    pid1.wait_for("Exiting with", timeout=10)
    assert time.monotonic() - start < 8.0


def _with_a_held_service(bench: Bench) -> Pid1:
    pid1 = bench.supervise("""
        shutdown: {grace: 1s}
        services:
          held: {command: [sleep, "3601"], stop_grace_period: 200ms}
          other: {command: [sleep, "3602"]}
    """)
    held = eventually(lambda: pid1.find("3601"))[0]
    bench.run_beside(pid1, "hold_by_ptrace.py", str(held.inner), until="attached")
    return pid1


EXITS = {
    "the code of an essential service that failed": ("essential: true, restart: 'no'", 7, 7),
    "zero when an essential oneshot completed": ("essential: true, type: oneshot", 0, 0),
}


@pytest.mark.parametrize("what", EXITS)
def test_the_container_exits_with(bench: Bench, what: str) -> None:
    keys, exits_with, expected = EXITS[what]

    pid1 = bench.start_config(f"""
        services:
          main: {{command: [sh, -c, "exit {exits_with}"], {keys}}}
          other: {{command: [sleep, "3600"]}}
    """)

    assert pid1.wait() == expected


def test_an_essential_service_killed_by_a_signal_gives_128_plus_n(bench: Bench) -> None:
    pid1 = bench.start_config("""
        services:
          main: {command: [sh, -c, "kill -9 $$$$"], essential: true, restart: "no"}
          other: {command: [sleep, "3600"]}
    """)

    assert pid1.wait() == 137


@pytest.mark.parametrize(
    ("policy", "code"), [("any", 3), ("all", 3), ("essential", 3)], ids=["any", "all", "essential"]
)
def test_the_exit_policy_ends_the_container(bench: Bench, policy: str, code: int) -> None:
    other = "sleep, '3600'" if policy == "any" else "'true'"

    pid1 = bench.start_config(f"""
        exit: {policy}
        services:
          first: {{command: [sh, -c, "exit 3"], restart: "no"}}
          other: {{command: [{other}], restart: "no"}}
    """)

    assert pid1.wait() == code


def test_with_the_policy_never_it_stays(bench: Bench) -> None:
    pid1 = bench.supervise("""
        exit: never
        services: {brief: {command: ["true"], restart: "no"}}
    """)

    pid1.wait_state("brief", "exited")

    assert pid1.running


def test_a_bad_configuration_is_78_and_names_the_place(bench: Bench) -> None:
    pid1 = bench.start_config("services:\n  web: {comand: [sleep]}\n")

    assert pid1.wait() == 78
    assert "supervise.yaml:2:" in pid1.console
    assert "did you mean" in pid1.console


def test_shutdown_by_the_client_takes_its_exit_code(bench: Bench) -> None:
    pid1 = bench.supervise("services: {sleeper: {command: [sleep, '3600']}}")
    pid1.wait_state("sleeper", "running")

    pid1.ctl("shutdown", "--exit-code", "42")

    assert pid1.wait() == 42


def test_a_service_that_ignores_sigterm_is_killed_when_its_grace_ends(bench: Bench) -> None:
    pid1 = bench.supervise("""
        services:
          stubborn: {command: [ignore_term.sh], stop_grace_period: 300ms}
          other: {command: [sleep, "3600"]}
    """)
    pid1.wait_for("ready")

    pid1.ctl("stop", "stubborn")

    row = pid1.status()["stubborn"]
    assert (row["state"], row["exit_code"]) == ("stopped", 137)
    assert pid1.find("ignore_term.sh") == []


def test_the_stop_signal_is_the_one_that_was_asked_for(bench: Bench) -> None:
    pid1 = bench.supervise("""
        services:
          listener: {command: [print_signals.py, "3"], stop_signal: SIGQUIT}
          other: {command: [sleep, "3600"]}
    """)
    pid1.wait_for("ready")

    pid1.ctl("stop", "listener")

    assert pid1.lines_of("listener") == ["ready", "got 18", "got 3"] or pid1.lines_of(
        "listener"
    ) == ["ready", "got 3"]
