"""Reaping: corner cases 11 to 19."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.support import procfs
from tests.support.bench import Bench
from tests.support.eventually import eventually

pytestmark = pytest.mark.integration

ONE_SLEEPER = """
    services:
      sleeper: {command: [sleep, "3600"]}
"""


def test_20_000_orphans_are_reaped_while_status_answers(bench: Bench) -> None:
    pid1 = bench.supervise("""
        services:
          maker: {command: [orphan_maker.py, "20000"], type: oneshot}
          sleeper: {command: [sleep, "3600"]}
    """)
    eventually(lambda: pid1.find("20000"))

    while "made 20000" not in pid1.console:
        assert pid1.status()["sleeper"]["state"] == "running"

    eventually(lambda: pid1.zombies() == [])
    assert pid1.status()["maker"]["state"] == "exited"


def test_children_it_was_executed_with_are_reaped(bench: Bench) -> None:
    leftovers = ("sh", "-c", '(exit 3) & (exit 4) & sleep 0.3 & exec "$@"', "sh")

    pid1 = bench.supervise(ONE_SLEEPER, prefix=leftovers)

    eventually(lambda: pid1.find("sleep", "3600"))
    eventually(lambda: pid1.find("0.3") == [] and pid1.zombies() == [])


def test_a_service_that_dies_at_once_is_never_missed(bench: Bench) -> None:
    brief = "".join(
        f"\n      s{n}: {{command: [sh, -c, 'exit {n}'], restart: 'no', success_exit_codes: [{n}]}}"
        for n in range(40)
    )

    pid1 = bench.supervise(f"exit: never\nservices:{brief}")

    def codes() -> bool:
        rows = pid1.status()
        return [rows[f"s{n}"]["exit_code"] for n in range(40)] == list(range(40))

    eventually(codes)


def test_the_result_of_a_probe_is_not_stolen_by_the_reaper(bench: Bench) -> None:
    pid1 = bench.supervise("""
        services:
          sick:
            command: [sleep, "3600"]
            healthcheck: {test: [CMD, sh, -c, "exit 3"], interval: 50ms, timeout: 5s, retries: 2}
          well:
            command: [sleep, "3600"]
            healthcheck: {test: [CMD, "true"], interval: 50ms, timeout: 5s, retries: 2}
          maker: {command: {shell: "while :; do sh -c ': & : &'; done"}}
    """)

    eventually(lambda: pid1.status()["sick"]["health"] == "unhealthy")
    assert pid1.status()["well"]["health"] == "healthy"


def test_a_stopped_process_is_not_taken_for_dead(bench: Bench) -> None:
    pid1 = bench.supervise(ONE_SLEEPER)
    before = pid1.wait_state("sleeper", "running")["pid"]
    sleeper = pid1.find("sleep")[0].pid

    os.kill(sleeper, signal.SIGSTOP)
    eventually(lambda: procfs.row(sleeper).state == "T")
    os.kill(sleeper, signal.SIGCONT)

    row = pid1.status()["sleeper"]
    assert (row["state"], row["pid"], row["restarts"]) == ("running", before, 0)


def test_an_adopted_orphan_is_reaped_without_a_word(bench: Bench) -> None:
    pid1 = bench.supervise(ONE_SLEEPER)
    pid1.wait_state("sleeper", "running")
    said = pid1.console

    pid1.run("sh", "-c", "for n in 1 2 3; do sh -c 'sleep 0.1 &'; done")

    eventually(lambda: pid1.find("0.1") == [] and pid1.zombies() == [])
    assert pid1.console == said


def test_it_has_one_thread(bench: Bench) -> None:
    pid1 = bench.supervise(ONE_SLEEPER)
    pid1.wait_state("sleeper", "running")

    assert procfs.status(pid1.pid)["Threads"] == "1"


@pytest.mark.needs("root")
def test_a_fork_that_fails_is_tried_again(bench: Bench) -> None:
    pid1 = bench.supervise(
        """
        services:
          sleeper: {command: [sleep, "3600"], backoff: {initial: 20ms, max: 50ms}}
        """,
        prefix=bench.as_user(54321, 54321),
    )
    sleeper = eventually(lambda: pid1.find("sleep"))[0].pid

    as_owner = ("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "prlimit", "--pid=1")
    pid1.run(*as_owner, "--nproc=1:4096")
    os.kill(sleeper, signal.SIGKILL)
    pid1.wait_for("esource temporarily unavailable")
    assert pid1.running
    pid1.run(*as_owner, "--nproc=4096:4096")

    eventually(lambda: pid1.find("sleep"))


def test_a_pid_in_the_status_is_that_of_the_living(bench: Bench) -> None:
    pid1 = bench.supervise("""
        services:
          sleeper: {command: [sleep, "3600"], backoff: {initial: 0s}}
    """)
    seen = set()

    for _ in range(20):
        process = eventually(lambda: pid1.find("sleep"))[0]
        seen.add(process.inner)
        os.kill(process.pid, signal.SIGKILL)
        _wait_gone(process.pid)

    alive = eventually(lambda: pid1.find("sleep"))[0]
    assert pid1.wait_state("sleeper", "running")["pid"] == alive.inner
    assert len(seen) == 20


def test_a_thread_group_whose_leader_is_gone_does_not_make_it_spin(bench: Bench) -> None:
    pid1 = bench.supervise("""
        services:
          headless:
            command:
              - python3
              - -c
              - |
                import ctypes, threading, time
                threading.Thread(target=threading.Event().wait).start()
                print("up", flush=True)
                ctypes.CDLL(None).syscall(60, 0)  # exit(2) ends this thread alone
    """)
    pid1.wait_for("up")
    eventually(pid1.zombies)
    before = _cpu_seconds(pid1.pid)
    start = time.monotonic()
    eventually(lambda: time.monotonic() - start > 0.5)

    assert _cpu_seconds(pid1.pid) - before < 0.1
    assert pid1.terminate() == 0


def _wait_gone(pid: int) -> None:
    eventually(lambda: not os.path.exists(f"/proc/{pid}"))


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
