"""The test bench itself, proven with PID 1s that are not ours."""

from __future__ import annotations

import signal

import pytest

from tests.support import procfs
from tests.support.bench import Bench
from tests.support.eventually import eventually

pytestmark = pytest.mark.integration


def test_the_command_is_pid_1_and_its_exit_code_is_seen(bench: Bench) -> None:
    pid1 = bench.start(["sh", "-c", "echo I am $$; exit 7"])

    code = pid1.wait()

    assert (code, pid1.console) == (7, "I am 1\n")


def test_a_command_can_be_run_beside_pid_1(bench: Bench) -> None:
    pid1 = bench.start(["sleep", "3600"])
    eventually(lambda: pid1.processes()[0].arguments[0] == "sleep")

    beside = pid1.run("sh", "-c", "cat /proc/1/comm; pwd; ls /run")

    assert beside.stdout.split() == ["sleep", str(bench.directory)]


def test_a_pid_1_without_handler_ignores_sigterm_and_close_kills_it(bench: Bench) -> None:
    pid1 = bench.start(["sleep", "3600"])
    eventually(lambda: pid1.processes()[0].arguments[0] == "sleep")

    pid1.signal(signal.SIGTERM)

    assert pid1.run("true").returncode == 0
    pid1.close()
    assert not procfs.in_namespace(pid1.namespace)


@pytest.mark.needs("tini")
def test_tini_reaps_forwards_and_passes_the_exit_code_on(bench: Bench) -> None:
    pid1 = bench.start(["tini", "--", "print_signals.py", str(int(signal.SIGTERM))])
    pid1.wait_for("ready")

    pid1.signal(signal.SIGUSR1)
    pid1.wait_for("got 10")
    code = pid1.terminate()

    assert code == 0
    assert pid1.console.splitlines() == ["ready", "got 10", "got 15"]


@pytest.mark.needs("tini")
def test_orphans_are_made_and_reaped(bench: Bench) -> None:
    pid1 = bench.start(["tini", "--", "sh", "-c", "orphan_maker.py 300; echo done; sleep 3600"])

    pid1.wait_for("done")

    eventually(lambda: not pid1.zombies())
