"""Signals: whatever set of them is pending at once, nobody who stays dies, and nothing is lost."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.support import attack, procfs, storms
from tests.support.bench import Bench
from tests.support.eventually import eventually
from tests.support.runtime import Runtime, busybox

STAYS = storms.ALL - storms.ENDS
# A stop signal and SIGCONT take each other back while they are pending.
FORWARDED = sorted(storms.CAUGHT - {signal.SIGCHLD, signal.SIGTSTP})
SERVICES = """
    services:
      sleeper: {command: [sleep, "3600"]}
      brief: {command: [cat], restart: always, backoff: {initial: 1ms, max: 1ms}}
"""


@pytest.mark.parametrize("environment", [{}, {"PYTHONFAULTHANDLER": "1"}], ids=["plain", "asked"])
def test_every_set_of_signals_leaves_pid_1_at_work(
    bench: Bench, environment: dict[str, str]
) -> None:
    pid1 = bench.supervise(SERVICES, environment=environment)
    before = pid1.wait_state("sleeper", "running")["pid"]

    for number in attack.rounds(attack.SECONDS / 2):
        chosen = random.Random(number)
        storms.burst(pid1.pid, chosen.sample(sorted(STAYS), chosen.randint(18, len(STAYS))))

    assert pid1.status()["sleeper"]["pid"] == before
    assert pid1.terminate() == 0


def test_a_thousand_real_time_signals_wait_their_turn(bench: Bench) -> None:
    """They queue: each number is pending many times, and every one of them has a handler."""
    pid1 = bench.supervise(SERVICES)
    before = pid1.wait_state("sleeper", "running")["pid"]

    real_time = [n for n in STAYS if n >= signal.SIGRTMIN]
    storms.burst(pid1.pid, real_time, times=40)

    assert pid1.status()["sleeper"]["pid"] == before


def test_a_death_among_all_signals_is_not_missed(bench: Bench) -> None:
    pid1 = bench.supervise(SERVICES)
    pid1.wait_state("sleeper", "running")

    for _ in attack.rounds(attack.SECONDS / 3):
        dying = eventually(lambda: pid1.find("sleep") + pid1.find("cat"))
        storms.burst(pid1.pid, STAYS, meanwhile=partial(_kill_all, dying))

    eventually(lambda: not pid1.zombies())
    pid1.wait_state("sleeper", "running")
    pid1.wait_state("brief", "running")


def _kill_all(processes: list[procfs.ProcessRow]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):  # `brief` ends by itself as well
            os.kill(process.pid, signal.SIGKILL)


def test_all_signals_at_once_end_it_as_a_stop_does(bench: Bench) -> None:
    """SIGTERM and four others with its meaning are among them: the third kills at once."""
    pid1 = bench.supervise(
        "services: {stubborn: {command: [ignore_term.sh], stop_grace_period: 300s}}"
    )
    pid1.wait_for("ready")

    storms.burst(pid1.pid, storms.ALL)

    assert pid1.wait() == 0


def test_all_signals_at_once_reach_a_main_command(bench: Bench) -> None:
    pid1 = bench.supervise(main=["print_signals.py"])
    pid1.wait_for("ready")

    for expected in range(1, 4):
        storms.burst(pid1.pid, FORWARDED)
        eventually(lambda: _counts(pid1.console) == dict.fromkeys(FORWARDED, expected))  # noqa: B023


def _counts(console: str) -> dict[int, int]:
    got = [int(line[4:]) for line in console.splitlines() if line.startswith("got ")]
    return {number: got.count(number) for number in set(got)}


@pytest.mark.needs("tini")
def test_under_another_init_all_that_it_catches_leave_it_at_work(bench: Bench) -> None:
    bench.write("supervise.yaml", SERVICES)
    pid1 = bench.start(["tini", "-s", "--", "supervise", "-c", "supervise.yaml"])
    before = pid1.wait_state("sleeper", "running")["pid"]

    for _ in range(10):
        storms.burst(pid1.init(), STAYS & storms.CAUGHT)

    assert pid1.status()["sleeper"]["pid"] == before
    assert pid1.terminate() == 0


# -- runtime


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    made = Runtime(tmp_path_factory.mktemp("signals"))
    made.import_tar("busybox", busybox())
    yield made
    made.close()


@pytest.mark.needs("root", "busybox")
@pytest.mark.parametrize(
    "options", [(), ("--ulimit", "stack=131072")], ids=["plain", "small stack"]
)
def test_all_signals_at_once_leave_a_container_running(
    runtime: Runtime, tmp_path: Path, options: tuple[str, ...]
) -> None:
    services = tmp_path / "services.yaml"
    services.write_text("services: {sleeper: {command: [sleep, '3600']}}")
    container = runtime.start("--net", "none", *options, "--services", str(services), "busybox")
    state = runtime.state(container)
    eventually(lambda: "running" in runtime("ctl", container, "status", check=False).stdout)

    for _ in range(5):
        storms.burst(state.pid, STAYS)
        storms.burst(state.monitor_pid, (signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD))

    assert "running" in runtime("ctl", container, "status").stdout
    runtime("stop", container)
    assert runtime.state(container).exit_code == 0
    runtime("rm", container)


@pytest.mark.needs("root", "busybox")
@pytest.mark.parametrize("asked", [{}, {"PYTHONFAULTHANDLER": "1"}], ids=["plain", "asked"])
def test_all_that_runtime_run_passes_on_arrive_at_once(
    runtime: Runtime, tmp_path: Path, asked: dict[str, str]
) -> None:
    """It and the monitor handle these numbers and no others."""
    passed_on = (1, 2, 3, 10, 12, 15)
    script = (
        f'for n in {" ".join(map(str, passed_on))}; do trap "echo got $n" $n; done; echo ready; '
    )
    script += "while :; do sleep 0.05; done"
    said = tmp_path / "said"
    with said.open("wb") as output:
        process = runtime.popen(
            *("run", "--rm", "--name", "storm", "--net", "none", "busybox", "sh", "-c", script),
            stdout=output,
            stderr=output,
            variables=asked,
        )
    eventually(lambda: "ready" in said.read_text())

    for _ in range(5):
        storms.burst(process.pid, (*passed_on, signal.SIGWINCH, signal.SIGCHLD))

    eventually(lambda: all(f"got {number}\n" in said.read_text() for number in passed_on))
    runtime("kill", "storm")
    assert process.wait(30) == 128 + signal.SIGKILL
