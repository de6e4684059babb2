"""Never down: bugs of our own, a machine out of something; corner cases 19, 33, 47."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.support import procfs
from tests.support.bench import Bench
from tests.support.eventually import eventually
from tests.support.pid1 import Pid1

pytestmark = pytest.mark.integration

THREE = """
    exit: never
    services:
      talker: {command: {shell: "while :; do echo word; sleep 0.05; done"}, backoff: {initial: 10ms}}
      checked:
        command: [sleep, "3600"]
        backoff: {initial: 10ms}
        healthcheck: {test: [CMD, "true"], interval: 50ms, timeout: 5s}
      crasher: {command: [sh, -c, "sleep 0.1; exit 1"], backoff: {initial: 10ms, max: 20ms}}
"""

# Method → the call of it that raises.  One per kind of thing the loop calls.
FAULTS = {
    "while a service is spawned": "supervise.daemon.kernel:LinuxKernel.start:2",
    "while a service's output is read": "supervise.daemon.logs.channel:PipeSource._on_readable:3",
    "while the dead are reaped": "supervise.daemon.kernel:LinuxKernel.reap:3",
    "while a death is handled": "supervise.daemon.deaths:Deaths._main_process_ended:2",
    "in the model": "supervise.model.lifecycle:on_event:9",
    "while a probe is asked": "supervise.daemon.readiness.probes:_ProbeWatch._ask:3",
    "while a probe is judged": "supervise.daemon.readiness.probes:_ProbeWatch._answered:3",
    "while a client is accepted": "supervise.daemon.control.server:ControlServer._accept:1",
    "while a client's call is read": "supervise.daemon.control.connection:ControlConnection._is_ready:1",
    "while a call is carried out": "supervise.daemon.control.server:ControlServer.dispatch:1",
}


def ask_until_answered(pid1: Pid1) -> dict[str, dict[str, object]]:
    """Return the status; a client or two may be lost to the fault."""
    return eventually(pid1.status)


@pytest.mark.parametrize("when", FAULTS)
def test_a_fault_costs_at_most_what_it_belongs_to(bench: Bench, when: str) -> None:
    pid1 = bench.supervise(THREE, faults=[FAULTS[when]])

    ask_until_answered(pid1)
    pid1.wait_for("injected fault")
    pid1.wait_for("faulty_pid1.py")  # the traceback
    rows = ask_until_answered(pid1)

    alive = [row["name"] for row in rows.values() if row["state"] in {"running", "backoff"}]
    assert len(alive) >= 2, rows
    eventually(
        lambda: (
            pid1.status()["crasher"]["restarts"] != rows["crasher"]["restarts"]
            or "crasher" not in alive
        )
    )
    assert pid1.terminate() in {0, 1}  # 1: the fault made a service fail


def test_a_fault_in_the_handler_of_sigterm_leaves_the_next_one(bench: Bench) -> None:
    pid1 = bench.supervise(THREE, faults=["supervise.daemon.ending:Shutdown.stop_signal:1"])
    pid1.wait_for("word")
    pid1.signal(signal.SIGTERM)
    pid1.wait_for("injected fault")

    if pid1.running:
        pid1.signal(signal.SIGTERM)

    assert pid1.wait() in {0, 70}


def test_a_handler_that_always_raises_does_not_make_it_spin(bench: Bench) -> None:
    pid1 = bench.supervise(
        THREE, faults=["supervise.daemon.logs.channel:PipeSource._on_readable:1-1000000"]
    )
    pid1.wait_for("injected fault")

    assert ask_until_answered(pid1)["checked"]["state"] == "running"
    assert pid1.console.count("injected fault") < 1000
    assert pid1.terminate() == 0


def test_a_thousand_idle_clients_stall_nothing(bench: Bench) -> None:
    pid1 = _with_few_descriptors(bench, 512)

    with idle_clients(pid1, 1000):
        assert pid1.status()["sleeper"]["state"] == "running"
        os.kill(pid1.find("sleep")[0].pid, signal.SIGKILL)
        eventually(lambda: pid1.status()["sleeper"]["restarts"] >= 1)
        eventually(lambda: pid1.find("sleep"))

    assert pid1.terminate() == 0


def test_clients_that_take_every_descriptor_delay_a_restart_at_most(bench: Bench) -> None:
    pid1 = _with_few_descriptors(bench, 32)

    with idle_clients(pid1, 1000):
        assert pid1.status()["sleeper"]["state"] == "running"
        os.kill(pid1.find("sleep")[0].pid, signal.SIGKILL)
        eventually(lambda: pid1.status()["sleeper"]["pid"] is None or pid1.find("sleep"))

    eventually(lambda: pid1.find("sleep"))
    assert pid1.terminate() == 0


def _with_few_descriptors(bench: Bench, limit: int) -> Pid1:
    pid1 = bench.supervise(
        "services: {sleeper: {command: [sleep, '3600'], backoff: {initial: 10ms, max: 20ms}}}",
        prefix=("prlimit", f"--nofile={limit}:{limit}"),
    )
    pid1.status()
    return pid1


@contextmanager
def idle_clients(pid1: Pid1, count: int) -> Iterator[None]:
    """Hold up to *count* connections that say nothing; fewer when no more are let in."""
    place = next(place for place in _sockets(pid1) if place.startswith("/run/"))
    with ExitStack() as held:
        for _ in range(count):
            client = held.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            try:
                client.connect(f"/proc/{pid1.pid}/root{place}")
            except BlockingIOError:  # the backlog is full: that is the point
                break
        yield


def _sockets(pid1: Pid1) -> list[str]:
    listed = pid1.run("cat", "/proc/net/unix").stdout.splitlines()
    return [line.split()[-1] for line in listed if "supervise" in line]


def test_a_removed_control_socket_comes_back(bench: Bench) -> None:
    pid1 = bench.supervise("services: {sleeper: {command: [sleep, '3600']}}")
    pid1.status()
    inode = ("sh", "-c", "stat -c %i /run/supervise/*.sock")
    before = pid1.run(*inode).stdout

    pid1.run("sh", "-c", "rm -r /run/supervise")

    eventually(lambda: pid1.ctl("status").returncode == 0)
    assert pid1.run(*inode).stdout != before


def test_descriptors_that_ran_out_cost_a_retry(bench: Bench) -> None:
    pid1 = bench.supervise("""
        services:
          sleeper: {command: [sleep, "3600"], backoff: {initial: 20ms, max: 50ms}}
    """)
    pid1.status()
    sleeper = pid1.find("sleep")[0].pid
    used = max(procfs.descriptors(pid1.pid))

    pid1.run("prlimit", "--pid=1", f"--nofile={used + 1}:4096")
    os.kill(sleeper, signal.SIGKILL)
    pid1.wait_for("oo many open files")
    pid1.run("prlimit", "--pid=1", "--nofile=4096:4096")

    eventually(lambda: pid1.find("sleep"))
    assert pid1.status()["sleeper"]["state"] == "running"


@pytest.mark.needs("root")
def test_a_full_disk_is_survived_and_said(bench: Bench) -> None:
    small = ("sh", "-c", 'mkdir small; mount -t tmpfs -o size=64k tmpfs small && exec "$@"', "sh")
    pid1 = bench.supervise(
        """
        services:
          flood: {command: [yes, "a line"], logs: {file: HERE/small/log, max_size: 10m}}
          sleeper: {command: [sleep, "3600"]}
        """.replace("HERE", str(bench.directory)),
        prefix=small,
    )

    pid1.wait_for("o space left on device")

    assert pid1.status()["sleeper"]["state"] == "running"
    assert pid1.status()["flood"]["state"] == "running"
    assert pid1.terminate() == 0


def test_an_alias_bomb_is_refused_at_once(bench: Bench) -> None:
    lines = ["x-a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"x-a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    lines += ["services: {s: {command: *a9}}"]

    pid1 = bench.start_config("\n".join(lines) + "\n")

    assert pid1.wait() == 78
