from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from supervise.daemon.loop import Loop
from supervise.daemon.readiness.probes import Prober
from supervise.model.exitstatus import Exited
from supervise.model.service import HealthCheck, Probe, Ready
from tests.support.loops import running_loop, turn_for, turn_until
from tests.support.probing import (
    SOON,
    Commands,
    free_port,
    never,
    no_commands,
    spec,
)

# -- readiness


def test_service_that_comes_up_late_is_ready_then() -> None:
    found: list[bool] = []
    port = free_port()
    with running_loop() as loop:
        prober = Prober(loop, no_commands)
        ready = Ready(Probe(tcp=f"127.0.0.1:{port}"), interval=SOON)
        prober.watch_ready("web", spec(ready), lambda: found.append(True))
        turn_until(loop, lambda: prober.last_failure("web"))

        with socket.create_server(("127.0.0.1", port)):
            turn_until(loop, lambda: found)

        turn_for(loop, 3 * SOON)
        assert found == [True]
        assert prober.last_failure("web") == ""


def test_ready_is_never_told_from_within_the_call() -> None:
    found: list[bool] = []
    with socket.create_server(("127.0.0.1", 0)) as listener, running_loop() as loop:
        ready = Ready(Probe(tcp=f"127.0.0.1:{listener.getsockname()[1]}"))

        Prober(loop, no_commands).watch_ready("web", spec(ready), lambda: found.append(True))

        assert found == []
        turn_until(loop, lambda: found)


# -- health


def test_health_changes_are_told_once_each() -> None:
    told: list[tuple[str, str]] = []
    with running_loop() as loop:
        commands = Commands()
        check = HealthCheck(Probe(exec=("check",)), interval=SOON, retries=2)
        prober = Prober(loop, commands.run)
        prober.watch_health("web", spec(healthcheck=check), lambda *change: told.append(change))

        for number, status in enumerate((0, 0, 1, 1, 1, 0), 1):
            turn_until(loop, lambda count=number: len(commands.started) == count)  # type: ignore[misc]
            commands.end(Exited(status), b"output %d" % number)
        turn_until(loop, lambda: len(commands.started) == 7)

    assert told == [
        ("healthy", "exec check: exit code 0: output 1"),
        ("unhealthy", "exec check: exit code 1: output 4"),
        ("healthy", "exec check: exit code 0: output 6"),
    ]


def test_first_health_check_waits_for_the_interval() -> None:
    with running_loop() as loop:
        commands = Commands()
        check = HealthCheck(Probe(exec=("check",)), interval=60.0)

        Prober(loop, commands.run).watch_health("web", spec(healthcheck=check), print)
        turn_for(loop, SOON)

        assert commands.started == []


def test_failures_within_the_start_period_do_not_count() -> None:
    told: list[tuple[str, str]] = []
    with running_loop() as loop:
        commands = Commands()
        check = HealthCheck(
            Probe(exec=("check",)),
            interval=60.0,
            retries=1,
            start_period=60.0,
            start_interval=SOON,
        )
        prober = Prober(loop, commands.run)
        prober.watch_health("web", spec(healthcheck=check), lambda *change: told.append(change))

        for number in range(1, 4):
            turn_until(loop, lambda count=number: len(commands.started) == count)  # type: ignore[misc]
            commands.end(Exited(1))
        turn_until(loop, lambda: len(commands.started) == 4)

        assert told == []
        assert prober.last_failure("web") == "exec check: exit code 1"


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    """Let no further descriptor be opened: the next would have the limit as its number."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_our_own_shortage_of_descriptors_makes_nobody_unhealthy() -> None:
    told: list[tuple[str, str]] = []
    with socket.create_server(("127.0.0.1", 0)) as listener, running_loop() as loop:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        check = HealthCheck(Probe(tcp=address), interval=SOON, retries=1)
        prober = Prober(loop, no_commands)
        prober.watch_health("web", spec(healthcheck=check), lambda *change: told.append(change))

        with no_descriptors_left():
            turn_until(loop, lambda: prober.last_failure("web"))
            failure = prober.last_failure("web")
        turn_until(loop, lambda: told)

    assert failure == f"tcp {address}: cannot open a socket: too many open files"
    assert told == [("healthy", f"tcp {address}: connected")]


# -- forgetting and faults


def test_forgotten_try_is_called_off_and_says_nothing() -> None:
    with running_loop() as loop:
        commands = Commands()
        prober = Prober(loop, commands.run)
        prober.watch_ready("web", spec(Ready(Probe(exec=("check",)), interval=SOON)), never)
        turn_until(loop, lambda: commands.started)

        prober.forget("web")
        prober.forget("web")
        turn_for(loop, 3 * SOON)

        assert commands.called_off == 1
        assert len(commands.started) == 1


def test_result_that_crosses_with_forget_is_dropped() -> None:
    with running_loop() as loop:
        commands = Commands()
        prober = Prober(loop, commands.run)
        prober.watch_ready("web", spec(Ready(Probe(exec=("check",)))), never)
        turn_until(loop, lambda: commands.started)

        commands.end(Exited(0))
        prober.forget("web")
        turn_for(loop, SOON)

        assert commands.called_off == 0


@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_forget_closes_the_connection_under_way(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, running_loop() as loop:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        probe = Probe(http=f"http://{address}/") if kind == "http" else Probe(tcp=address)
        prober = Prober(loop, no_commands)
        ready = Ready(probe, timeout=60.0)
        prober.watch_ready("web", spec(ready), never)
        loop.turn()  # the try has begun, its connection has not been seen to stand

        prober.forget("web")

        connection, _ = listener.accept()
        with connection:
            connection.settimeout(10.0)
            assert connection.recv(1) == b""
        assert prober.last_failure("web") == ""


def test_forgetting_while_told_to_be_ready_is_fine() -> None:
    found: list[bool] = []
    with socket.create_server(("127.0.0.1", 0)) as listener, running_loop() as loop:
        prober = Prober(loop, no_commands)

        def on_ready() -> None:
            found.append(True)
            prober.forget("web")

        ready = Ready(Probe(tcp=f"127.0.0.1:{listener.getsockname()[1]}"), interval=SOON)
        prober.watch_ready("web", spec(ready), on_ready)
        turn_until(loop, lambda: found)
        turn_for(loop, 3 * SOON)

    assert found == [True]


def test_forgetting_while_told_of_a_change_ends_the_checks() -> None:
    with running_loop() as loop:
        commands = Commands()
        prober = Prober(loop, commands.run)
        check = HealthCheck(Probe(exec=("check",)), interval=SOON)
        prober.watch_health(
            "web", spec(healthcheck=check), lambda _status, _why: prober.forget("web")
        )
        turn_until(loop, lambda: commands.started)
        commands.end(Exited(0))
        turn_for(loop, 3 * SOON)

    assert len(commands.started) == 1


def test_watching_again_replaces_the_earlier_watch() -> None:
    found: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener, running_loop() as loop:
        prober = Prober(loop, no_commands)
        ready = Ready(Probe(tcp=f"127.0.0.1:{listener.getsockname()[1]}"))
        prober.watch_ready("web", spec(ready), lambda: found.append("first"))
        prober.watch_ready("web", spec(ready), lambda: found.append("second"))

        turn_until(loop, lambda: found)
        turn_for(loop, SOON)

    assert found == ["second"]


def test_probes_of_one_service_do_not_disturb_each_other() -> None:
    found: list[bool] = []
    with socket.create_server(("127.0.0.1", 0)) as listener, running_loop() as loop:
        commands = Commands()
        prober = Prober(loop, commands.run)
        both = spec(
            Ready(Probe(tcp=f"127.0.0.1:{listener.getsockname()[1]}")),
            HealthCheck(Probe(exec=("check",)), interval=SOON),
        )
        prober.watch_health("web", both, print)
        prober.watch_ready("web", both, lambda: found.append(True))

        turn_until(loop, lambda: found and commands.started)


def test_notify_and_absent_probes_ask_nothing() -> None:
    with running_loop() as loop:
        prober = Prober(loop, no_commands)

        prober.watch_ready("web", spec(Ready(Probe(notify=True))), never)
        prober.watch_ready("web", spec(), never)
        prober.watch_health("web", spec(), print)
        turn_for(loop, SOON)

        assert prober.last_failure("web") == ""
        prober.forget("web")


def test_fault_costs_its_probe_and_says_so() -> None:
    faults: list[str] = []
    found: list[bool] = []
    loop = Loop(lambda owner, error: faults.append(f"{owner}: {error}"))
    prober = Prober(loop, no_commands)

    def stumble() -> None:
        raise RuntimeError("injected")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        ready = Ready(Probe(tcp=f"127.0.0.1:{listener.getsockname()[1]}"), interval=SOON)
        prober.watch_ready("faulty", spec(ready), stumble)
        prober.watch_ready("exec", spec(Ready(Probe(exec=("check",)), interval=SOON)), never)
        prober.watch_ready("web", spec(ready), lambda: found.append(True))
        turn_until(loop, lambda: found and len(faults) == 2)
        turn_for(loop, 3 * SOON)
        prober.forget("exec")

    loop.close()
    assert sorted(faults) == [
        "ready probe of exec: no command was asked for",
        "ready probe of faulty: injected",
    ]


def test_given_up_probe_is_explained() -> None:
    faults: list[Exception] = []
    loop = Loop(lambda _owner, error: faults.append(error))
    prober = Prober(loop, no_commands)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ready = Ready(Probe(tcp=f"127.0.0.1:{listener.getsockname()[1]}"))
        prober.watch_ready("web", spec(ready), never)
        turn_until(loop, lambda: faults)

    loop.close()
    assert prober.last_failure("web") == (
        "the ready probe of web was given up after an internal fault"
    )
