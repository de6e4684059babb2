"""The control socket, seen from outside: a real server, other people's clients, hostile bytes."""

from __future__ import annotations

import asyncio
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
import varlink
from asyncvarlink import VarlinkClientProtocol, connect_unix_varlink
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supervise.wire import api
from tests.support.async_interface import Supervisor
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


@pytest.fixture
def client(server: ControlServer) -> Iterator[RawClient]:
    client = server.connect()
    yield client
    client.close()


# -- other implementations


def test_pypi_varlink_introspects_calls_and_streams(shared: ControlServer) -> None:
    with varlink.Client.new_with_address(f"unix:{shared.place}") as client:
        info = client.get_interface("org.varlink.service").get_description()
        with client.open(SUPERVISOR) as supervisor:
            services = supervisor.Status(services=["web"])["services"]
        with client.open(SUPERVISOR) as supervisor:
            outcomes = [
                outcome["message"]
                for reply in supervisor.Start(services=["web", "db"], _more=True)
                for outcome in reply["results"]
            ]
        with client.open(SUPERVISOR) as supervisor, pytest.raises(varlink.VarlinkError) as caught:
            supervisor.Explain(service="wbe")

    assert "method GetInfo" in info
    assert [service["name"] for service in services] == ["web"]
    assert len(outcomes) == 2
    assert caught.value.error() == f"{SUPERVISOR}.NoSuchService"
    assert caught.value.parameters()["suggestion"] == "web"


def test_pypi_varlinks_description_of_us_is_ours(shared: ControlServer) -> None:
    with varlink.Client.new_with_address(f"unix:{shared.place}") as client:
        client.get_interface(SUPERVISOR)
        description = client.get_interface(SUPERVISOR).get_description()

    assert description == api.SUPERVISOR.describe()


def test_asyncvarlink_calls_and_streams(shared: ControlServer) -> None:
    async def talk() -> tuple[Any, list[Any]]:
        transport, protocol = await connect_unix_varlink(VarlinkClientProtocol, shared.place)
        proxy = protocol.make_proxy(Supervisor)
        processes = await proxy.Processes(services=["web"])
        waited = [reply async for reply in proxy.Wait(services=["web", "db"], until="ready")]
        transport.close()
        await transport.closed_future
        return processes, waited

    processes, waited = asyncio.run(talk())

    assert [group.service for group in processes["services"]] == ["web"]
    outcomes = [outcome for reply in waited for outcome in reply["results"]]
    assert sorted(outcome.service for outcome in outcomes) == ["db", "web"]


# -- the protocol


def test_get_info(shared: ControlServer) -> None:
    info = shared.connect().call("org.varlink.service.GetInfo")["parameters"]

    assert info["product"] == "supervise"
    assert info["interfaces"] == ["org.varlink.service", SUPERVISOR]


@pytest.mark.parametrize(
    ("method", "parameters", "error", "details"),
    [
        ("org.varlink.service.Nonsense", {}, "org.varlink.service.MethodNotFound", "method"),
        ("a.b.C", {}, "org.varlink.service.InterfaceNotFound", "interface"),
        ("nonsense", {}, "org.varlink.service.MethodNotFound", "method"),
        ("Status", {"services": "web"}, "org.varlink.service.InvalidParameter", "parameter"),
        ("Status", {"svc": []}, "org.varlink.service.InvalidParameter", "parameter"),
        ("Logs", {"follow": True}, "org.varlink.service.ExpectedMore", None),
        ("Events", {"follow": True}, "org.varlink.service.ExpectedMore", None),
        ("Start", {}, "org.varlink.service.InvalidParameter", "parameter"),
        ("Shutdown", {"exit_code": 256}, "org.varlink.service.InvalidParameter", "parameter"),
        ("Start", {"services": ["broken"]}, f"{SUPERVISOR}.OperationFailed", "reason"),
        ("Signal", {"services": ["slow"], "signal": "HUP"}, f"{SUPERVISOR}.NotRunning", "reason"),
        ("Wait", {"services": ["slow"], "until": "ready", "timeout": 0.01},
         f"{SUPERVISOR}.TimedOut", "reason"),
        ("Stop", {"services": ["x"]}, f"{SUPERVISOR}.NoSuchService", "known"),
    ],
)  # fmt: skip
def test_errors_are_typed(
    client: RawClient, method: str, parameters: dict[str, Any], error: str, details: str | None
) -> None:
    reply = client.call(method, **parameters)

    assert reply["error"] == error
    assert details is None or reply["parameters"][details]


def test_an_upgrade_is_refused(shared: ControlServer) -> None:
    client = shared.connect()

    client.send("Version", "upgrade")

    assert client.receive()["parameters"] == {"parameter": "upgrade"}


def test_pipelined_calls_are_answered_in_order(client: RawClient) -> None:
    client.send("Start", services=["stubborn"])  # 250 ms until it has settled
    for _ in range(100):
        client.send("Version")
    client.send("Stop", services=["stubborn"])

    replies = [client.receive() for _ in range(102)]

    assert replies[0]["parameters"]["results"][0]["message"].startswith("started")
    assert all("version" in reply["parameters"] for reply in replies[1:-1])
    assert replies[-1]["parameters"]["results"][0]["message"] == "stopped"


def test_a_oneway_call_gets_no_reply_even_if_its_caller_leaves(server: ControlServer) -> None:
    leaving = server.connect()
    leaving.send("Start", "oneway", services=["migrate"])
    leaving.close()

    eventually(lambda: status(server, "migrate")["state"] == "exited")


def test_a_caller_that_only_closes_its_sending_side_gets_its_answers(server: ControlServer) -> None:
    client = server.connect()
    client.send("Start", services=["stubborn"])
    client.send("Version")
    client.sock.shutdown(socket.SHUT_WR)

    assert "results" in client.receive()["parameters"]
    assert "version" in client.receive()["parameters"]
    with pytest.raises(EOFError):
        client.receive()


def test_results_stream_as_they_become_known(client: RawClient) -> None:
    client.send("Start", "more", services=["stubborn", "broken"])

    first, second = client.receive(), client.receive()

    assert first["continues"] is True
    assert first["parameters"]["results"][0]["trouble"] == "failed"
    assert "continues" not in second
    assert second["parameters"]["results"][0]["service"] == "stubborn"


def test_the_error_of_several_tells_of_all(client: RawClient) -> None:
    reply = client.call("Start", services=["stubborn", "broken"])

    assert reply["error"] == f"{SUPERVISOR}.OperationFailed"
    assert reply["parameters"]["service"] == "broken"
    assert [r["service"] for r in reply["parameters"]["results"]] == ["broken", "stubborn"]


def test_status_streams_a_snapshot_whenever_something_changes(server: ControlServer) -> None:
    watching, acting = server.connect(), server.connect()
    watching.send("Status", "more", services=["stubborn"])
    first = watching.receive()
    acting.call("Start", services=["stubborn"])

    second = watching.receive()

    assert first["continues"] is second["continues"] is True
    assert second["parameters"]["services"][0]["state"] == "running"


def test_a_burst_of_changes_is_one_snapshot(server: ControlServer) -> None:
    watching, acting = server.connect(), server.connect()
    watching.send("Status", "more")
    watching.receive()
    for _ in range(200):
        acting.call("Reload", services=["db"])

    began = time.monotonic()
    watching.receive()
    watching.sock.settimeout(0.3)
    snapshots = 1
    with suppress(TimeoutError):
        while watching.receive():
            snapshots += 1

    assert snapshots <= 3 + (time.monotonic() - began) / 0.1


def test_a_second_apply_at_once_is_busy(server: ControlServer) -> None:
    first, second = server.connect(), server.connect()
    first.send("Apply", dry_run=True)

    eventually(lambda: second.call("Apply", dry_run=True).get("error") == f"{SUPERVISOR}.Busy")

    assert first.receive()["parameters"]["added"] == ["cache"]


def test_nothing_starts_during_the_shutdown(server: ControlServer) -> None:
    waiting, client = server.connect(), server.connect()
    waiting.send("Start", services=["slow"])
    eventually(lambda: subscriptions(server) == 1)

    client.send("Shutdown")
    client.send("Start", services=["web"])

    assert client.receive() == {"parameters": {}}
    assert client.receive()["error"] == f"{SUPERVISOR}.ShuttingDown"
    assert waiting.receive()["parameters"]["reason"] == "supervise is shutting down"


def test_lines_that_are_not_utf_8_come_twice(client: RawClient) -> None:
    client.call("Signal", services=["web"], signal="USR2")

    entry = client.call("Logs", services=["web"], lines=1)["parameters"]["entries"][0]

    assert entry["message"] == "gr\ufffd\ufffde"
    assert entry["raw"] == "Z3L832U="


def test_a_single_reply_of_logs_keeps_the_newest(client: RawClient) -> None:
    client.call("Signal", services=["web"], signal="WINCH")

    found = client.call("Logs", services=["web"])["parameters"]

    assert found["dropped"] > 400
    assert found["entries"][-1]["message"].startswith("line 999 ")


def test_streamed_logs_are_whole(client: RawClient) -> None:
    client.call("Signal", services=["web"], signal="WINCH")
    client.send("Logs", "more", services=["web"], lines=1000)

    messages, continues = [], True
    while continues:
        reply = client.receive()
        continues = reply.get("continues", False)
        messages += [entry["message"].split()[1] for entry in reply["parameters"]["entries"]]

    assert messages == [str(i) for i in range(1000)]


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
        ("Logs", {"follow": True}),
        ("Events", {"follow": True}),
        ("Wait", {"services": ["slow"], "until": "ready"}),
        ("Start", {"services": ["slow"]}),
    ):
        leaving = server.connect()
        leaving.send(method, "more", **parameters)
        eventually(lambda: subscriptions(server) == 1)
        leaving.close()
        eventually(lambda: subscriptions(server) == 0)

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
    eventually(lambda: subscriptions(server) == 1)
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
    eventually(lambda: subscriptions(server) == 1)
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


def status(server: ControlServer, name: str) -> dict[str, Any]:
    reply = server.connect().call("Status", services=[name])
    service: dict[str, Any] = reply["parameters"]["services"][0]
    return service


def subscriptions(server: ControlServer) -> int:
    server.process.send_signal(signal.SIGUSR1)
    return int(server.read_line().split()[1])


def processor_time(server: ControlServer) -> float:
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def allow_descriptors(number: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < number:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, max(hard, number)))
