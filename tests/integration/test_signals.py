"""Signals and start-up: corner cases 1 to 10."""

from __future__ import annotations

import signal

import pytest

from tests.support import procfs, storms
from tests.support.bench import Bench
from tests.support.eventually import eventually, holds

pytestmark = pytest.mark.integration

ONE_SLEEPER = """
    services:
      sleeper: {command: [sleep, "3600"]}
"""
STUBBORN = """
    shutdown: {grace: 300s}
    services:
      stubborn: {command: [ignore_term.sh], stop_grace_period: 300s}
"""


def test_pid_1_obeys_the_signals_that_stop_a_container(bench: Bench) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGPWR, signal.SIGRTMIN + 3):
        pid1 = bench.supervise(ONE_SLEEPER)

        pid1.signal(number)

        assert pid1.wait() == 0, f"signal {number}"


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGILL, signal.SIGBUS, signal.SIGFPE])
def test_a_fault_signal_that_someone_sends_does_not_end_the_container(
    bench: Bench, number: signal.Signals
) -> None:
    pid1 = bench.supervise(ONE_SLEEPER)
    pid1.wait_state("sleeper", "running")

    pid1.run("kill", f"-{int(number)}", "1")

    assert pid1.status()["sleeper"]["state"] == "running"


def test_python_can_be_asked_for_a_traceback_of_a_crash(bench: Bench) -> None:
    pid1 = bench.supervise(ONE_SLEEPER, environment={"PYTHONFAULTHANDLER": "1"})
    pid1.wait_state("sleeper", "running")

    pid1.signal(signal.SIGSEGV)

    pid1.wait_for("Fatal Python error: Segmentation fault")
    pid1.wait_for("supervise/daemon/loop.py")


def test_sigterm_that_an_inherited_mask_kept_pending_is_obeyed(bench: Bench) -> None:
    send_first = ("sh", "-c", 'kill -TERM $$; exec "$@"', "sh")

    pid1 = bench.start(
        ["supervise", "--", "sleep", "3600"], prefix=("env", "--block-signal=TERM", *send_first)
    )

    assert pid1.wait() == 143


def test_sigterm_during_the_boot_is_obeyed(bench: Bench) -> None:
    bench.write("supervise.yaml", ONE_SLEEPER)
    pid1 = bench.start(["supervise", "-c", "supervise.yaml"])
    eventually(lambda: signal.SIGTERM in procfs.signal_set(pid1.pid, "SigCgt"), timeout=60)

    assert pid1.terminate() == 0


def test_children_start_with_default_actions_and_an_empty_mask(bench: Bench) -> None:
    dirty = ("env", "--ignore-signal=USR1,PIPE,HUP", "--block-signal=USR2,WINCH")

    pid1 = bench.supervise(ONE_SLEEPER, prefix=dirty)

    sleeper = eventually(lambda: pid1.find("sleep"))[0]
    assert procfs.signal_set(sleeper.pid, "SigIgn") == set()
    assert procfs.signal_set(sleeper.pid, "SigBlk") == set()


def test_children_lead_a_session_of_their_own(bench: Bench) -> None:
    pid1 = bench.supervise(ONE_SLEEPER)

    sleeper = eventually(lambda: pid1.find("sleep"))[0]
    assert sleeper.session == sleeper.pid


def test_a_second_sigterm_skips_the_rest_of_the_grace(bench: Bench) -> None:
    pid1 = bench.supervise(STUBBORN)
    pid1.wait_for("ready")
    pid1.signal(signal.SIGTERM)
    pid1.wait_for("topping")

    pid1.signal(signal.SIGTERM)

    pid1.wait()
    assert not procfs.in_namespace(pid1.namespace)


def test_a_third_sigterm_ends_it_at_once(bench: Bench) -> None:
    pid1 = bench.supervise(STUBBORN)
    pid1.wait_for("ready")

    for _ in range(3):
        pid1.signal(signal.SIGTERM)
        eventually(lambda: not procfs.signal_set(pid1.pid, "ShdPnd") if pid1.running else True)

    pid1.wait()
    assert not procfs.in_namespace(pid1.namespace)


def test_nothing_wakes_it_while_nothing_happens(bench: Bench) -> None:
    many = "".join(f"\n      s{n}: {{command: [sleep, '3600']}}" for n in range(10))
    pid1 = bench.supervise(f"services:{many}")
    eventually(lambda: len(pid1.find("sleep")) == 10)
    pid1.status()
    settled = eventually(lambda: _unchanged_for_a_moment(pid1.pid), timeout=30)

    holds(lambda: procfs.voluntary_switches(pid1.pid) == settled, seconds=3.0)


def _unchanged_for_a_moment(pid: int) -> int:
    before = procfs.voluntary_switches(pid)
    holds(lambda: True, seconds=0.5)
    return before if procfs.voluntary_switches(pid) == before else 0


def test_sighup_reads_the_configuration_again(bench: Bench) -> None:
    pid1 = bench.supervise(ONE_SLEEPER)
    before = pid1.wait_state("sleeper", "running")["pid"]
    bench.write(
        "supervise.yaml",
        f"{ONE_SLEEPER.rstrip()}\n      other: {{command: [cat], restart: 'no'}}\n",
    )

    pid1.signal(signal.SIGHUP)

    eventually(lambda: "other" in pid1.status())
    assert pid1.status()["sleeper"]["pid"] == before


def test_sighup_with_a_broken_file_changes_nothing(bench: Bench) -> None:
    pid1 = bench.supervise(ONE_SLEEPER)
    before = pid1.wait_state("sleeper", "running")["pid"]
    bench.write("supervise.yaml", "services: {sleeper: {command: [sleep], usr: me}}\n")

    pid1.signal(signal.SIGHUP)

    pid1.wait_for("'usr'")
    assert pid1.status()["sleeper"]["pid"] == before


@pytest.mark.parametrize(
    ("environment", "prefix"),
    [({}, ()), ({"PYTHONFAULTHANDLER": "1"}, ()), ({}, ("prlimit", "--stack=131072:"))],
    ids=["plain", "faulthandler", "small stack"],
)
def test_a_signal_storm_is_survived(
    bench: Bench, environment: dict[str, str], prefix: tuple[str, ...]
) -> None:
    """All numbers are pending at once, and each handler interrupts the one before."""
    pid1 = bench.supervise(ONE_SLEEPER, environment=environment, prefix=prefix)
    before = pid1.wait_state("sleeper", "running")["pid"]

    for _ in range(20):
        storms.burst(pid1.pid, storms.ALL - storms.ENDS)

    assert pid1.status()["sleeper"]["pid"] == before
    assert pid1.terminate() == 0
