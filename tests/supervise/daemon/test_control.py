"""The control socket, seen from outside: a real server, other people's clients, hostile bytes."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import varlink
from asyncvarlink import VarlinkClientProtocol, connect_unix_varlink

from supervise.wire import api
from tests.support.async_interface import SupervisorInterface
from tests.support.control import SUPERVISOR, ControlServer, RawClient, serving
from tests.support.eventually import eventually


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
        proxy = protocol.make_proxy(SupervisorInterface)
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
    eventually(lambda: server.subscriptions() == 1)

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


# -- helpers


def status(server: ControlServer, name: str) -> dict[str, Any]:
    reply = server.connect().call("Status", services=[name])
    service: dict[str, Any] = reply["parameters"]["services"][0]
    return service
