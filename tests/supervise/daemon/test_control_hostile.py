"""What clients of the control socket may do without costing anybody else: hostile bytes, faults,
stalled readers, missing descriptors, a removed socket."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supervise.wire import api
from tests.support.control import SUPERVISOR, ControlServer, RawClient, serving
from tests.support.eventually import eventually, holds

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlServer]:
    """A server that has to take whatever the tests of this module throw at it."""
    with serving(str(tmp_path_factory.mktemp("shared") / "s")) as server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ControlServer]:
    with serving(str(tmp_path / "s")) as server:
        yield server


# -- what costs nobody but its causer


def test_a_fault_costs_the_connection_and_nothing_else(tmp_path: Path) -> None:
    server = ControlServer(str(tmp_path / "s"))
    unlucky, other = server.connect(), server.connect()

    unlucky.send("Signal", services=["web"], signal="ABRT")

    with pytest.raises(EOFError):
        unlucky.receive()
    assert "a fault in the supervisor" in server.read_line()
    assert "version" in other.call("Version")["parameters"]
    server.close()


def test_clients_that_leave_free_what_they_held(server: ControlServer) -> None:
    before = server.descriptors()
    for method, parameters in (
        ("Status", {}),
        ("Logs", {"follow": True, "services": ["web"]}),
        ("Events", {"follow": True}),
        ("Wait", {"services": ["slow"], "until": "ready"}),
        ("Start", {"services": ["slow"]}),
    ):
        leaving = server.connect()
        leaving.send(method, "more", **parameters)
        eventually(lambda: server.subscriptions() == 1)
        leaving.close()
        eventually(lambda: server.subscriptions() == 0)

    eventually(lambda: server.descriptors() == before)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(data=st.binary(max_size=2000))
def test_no_bytes_stop_it_from_answering(shared: ControlServer, data: bytes) -> None:
    hostile = shared.connect()
    with suppress(OSError):
        hostile.sock.sendall(data)
    hostile.close()

    assert "version" in shared.connect().call("Version")["parameters"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
CALLS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(
            [f"{i.name}.{m}" for i in api.INTERFACES.values() for m in i.methods if m != "Shutdown"]
        ),
        "parameters": st.dictionaries(
            st.sampled_from(
                ["services", "all", "timeout", "lines", "since", "signal", "service", "until"]
            ),
            VALUES | st.just(["web"]) | st.just("web"),
        ),
    },
    optional={"more": st.booleans(), "oneway": st.booleans()},
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(calls=st.lists(CALLS, min_size=1, max_size=4), cut=st.integers(1, 50))
def test_no_calls_stop_it_from_answering(
    shared: ControlServer, calls: list[dict[str, Any]], cut: int
) -> None:
    hostile = shared.connect()
    stream = b"".join(json.dumps(call).encode() + b"\0" for call in calls)
    with suppress(OSError):
        hostile.sock.sendall(stream[:-cut])
        hostile.sock.sendall(stream[-cut:])
    hostile.close()

    assert "version" in shared.connect().call("Version")["parameters"]


@pytest.mark.parametrize(
    "data",
    [b"[" * MEGABYTE, b'{"a":' * 200_000, b"{},"* 349_000, b"x" * 8 * MEGABYTE, b"\0" * 10],
    ids=["brackets", "braces", "values", "endless", "empty"],
)  # fmt: skip
def test_hostile_messages_are_dropped_and_leave_no_memory_behind(
    server: ControlServer, data: bytes
) -> None:
    before = server.memory()
    for _ in range(10):
        hostile = server.connect()
        with suppress(OSError):
            hostile.sock.sendall(data + b"\0")
        eventually(hostile.is_closed)
        hostile.close()

    assert "version" in server.connect().call("Version")["parameters"]
    assert server.memory() - before < 6 * MEGABYTE


def test_a_thousand_idle_connections_neither_stall_nor_grow_it(server: ControlServer) -> None:
    allow_descriptors(1200)
    before = server.memory()
    with ExitStack() as stack:
        for _ in range(1000):
            idle = RawClient(server.place)
            stack.callback(idle.close)

        began = time.monotonic()
        reply = server.connect().call("Version")

        assert "version" in reply["parameters"]
        assert time.monotonic() - began < 1.0
        assert server.descriptors() < 280
        assert server.memory() - before < 4 * MEGABYTE


def test_half_a_message_from_everybody_is_bounded(server: ControlServer) -> None:
    """256 clients that each send most of a megabyte and no end."""
    allow_descriptors(1200)
    before = server.memory()
    with ExitStack() as stack:
        for _ in range(256):
            slow = RawClient(server.place)
            stack.callback(slow.close)
            with suppress(OSError):
                slow.sock.sendall(b" " * (MEGABYTE - 10))

        assert "version" in server.connect().call("Version")["parameters"]
        assert server.memory() - before < 32 * MEGABYTE


def test_a_reader_that_stalls_costs_lines_not_memory(server: ControlServer) -> None:
    stalled, acting = server.connect(), server.connect()
    stalled.send("Logs", "more", services=["web"], follow=True, lines=0)
    eventually(lambda: server.subscriptions() == 1)
    acting.call("Signal", services=["web"], signal="WINCH")
    before = server.memory()
    for _ in range(19):
        acting.call("Signal", services=["web"], signal="WINCH")
    grown = server.memory() - before

    lines, dropped = 0, 0
    while lines + dropped < 20_000:
        reply = stalled.receive()["parameters"]
        lines += len(reply["entries"])
        dropped += reply["dropped"]

    assert dropped > 10_000
    assert lines > 200
    # What grows is the fake's own record of 20,000 lines of a kilobyte.
    assert grown < 32 * MEGABYTE


def test_a_caller_that_never_reads_is_not_read_any_further(server: ControlServer) -> None:
    deaf = server.connect()
    call = json.dumps({"method": f"{SUPERVISOR}.Graph"}).encode() + b"\0"
    deaf.sock.settimeout(0.5)

    with pytest.raises(TimeoutError):
        deaf.sock.sendall(call * 100_000)

    assert "version" in server.connect().call("Version")["parameters"]
    assert server.memory() < 64 * MEGABYTE


# -- scarcity


def test_without_descriptors_clients_are_turned_away_and_it_does_not_spin(
    server: ControlServer,
) -> None:
    kept = server.connect()
    kept.send("Wait", services=["slow"], until="ready")  # at work: not to be evicted
    eventually(lambda: server.subscriptions() == 1)
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (server.descriptors(), 4096))
    with ExitStack() as stack:
        for _ in range(20):
            stack.callback(RawClient(server.place).close)
        used = processor_time(server)
        holds(lambda: server.process.poll() is None, 0.3)
        assert processor_time(server) - used < 0.1
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (4096, 4096))

    def answers() -> bool:
        with suppress(EOFError, OSError):
            return "version" in server.connect().call("Version")["parameters"]
        return False

    assert eventually(answers)
    kept.close()


# -- the socket's file


def test_only_its_owner_may_connect(server: ControlServer) -> None:
    assert os.stat(server.place).st_mode & 0o777 == 0o600


def test_a_removed_socket_comes_back(server: ControlServer) -> None:
    os.unlink(server.place)

    eventually(lambda: "version" in server.connect().call("Version")["parameters"])


def test_connections_outlive_the_removal_of_the_socket(server: ControlServer) -> None:
    client = server.connect()
    os.unlink(server.place)
    eventually(lambda: os.path.exists(server.place))

    assert "version" in client.call("Version")["parameters"]


def test_a_replaced_socket_comes_back_on_sighup(server: ControlServer) -> None:
    os.unlink(server.place)
    with socket.socket(socket.AF_UNIX) as other, suppress(OSError):  # it may have been faster
        other.bind(server.place)
    server.process.send_signal(signal.SIGHUP)

    eventually(lambda: "version" in server.connect().call("Version")["parameters"])


def test_the_socket_is_gone_after_the_end(tmp_path: Path) -> None:
    server = ControlServer(str(tmp_path / "s"))

    server.close()

    assert not (tmp_path / "s").exists()


# -- helpers


def processor_time(server: ControlServer) -> float:
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def allow_descriptors(number: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < number:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, max(hard, number)))
