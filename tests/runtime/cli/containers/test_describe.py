"""A container as `docker inspect` shows it: the keys that tools read, and what is in them."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.cli.containers import describe
from runtime.model.container.spec import (
    ContainerRestartPolicy,
    Limits,
    Mount,
    Port,
    Spec,
)
from runtime.model.container.state import Endpoint, State
from runtime.model.image.image_config import ImageConfig
from runtime.store.layout import Layout

LAYOUT = Layout("/r", "/run/r")
SPEC = Spec(
    id="ab" * 32,
    name="web",
    image="debian",
    image_id="sha256:1",
    argv=("/entry", "serve", "-v"),
    environment={"PATH": "/bin", "HOSTNAME": "abababababab", "A": "b"},
    hostname="abababababab",
    mounts=(
        Mount("volume", "data", "/data"),
        Mount("bind", "/srv", "/srv", read_only=True),
        Mount("tmpfs", "", "/tmp", options=("size=1024",)),
    ),
    ports=(Port(80, 8080), Port(53, 0, "udp", "127.0.0.1")),
    exposed=((80, "tcp"), (443, "tcp")),
    capabilities=("CHOWN", "SYS_ADMIN"),
    limits=Limits(memory=64 << 20, cpus=0.5, pids=100),
    restart=ContainerRestartPolicy("on-failure", 3),
    labels={"a": "b"},
    created=1_700_000_000.0,
)
CONFIG = ImageConfig(entrypoint=("/entry",), cmd=("x",), volumes=("/data",))
UP = State(
    status="running",
    pid=42,
    started=1_700_000_001.0,
    endpoints=(
        Endpoint(
            "bridge",
            address="172.17.0.2",
            prefix=16,
            gateway="172.17.0.1",
            mac="02:42:ac:11:00:02",
            ports=(("0.0.0.0", 8080, 80, "tcp"),),
            extra={"network_id": "n" * 64, "endpoint_id": "e" * 64},
        ),
    ),
)

# `docker inspect` of a container, docker 20.10; what only Windows or swarm have is left out.
_TOP = {
    *("Id", "Created", "Path", "Args", "State", "Image", "ResolvConfPath", "HostnamePath"),
    *("HostsPath", "LogPath", "Name", "RestartCount", "Driver", "Platform", "MountLabel"),
    *("ProcessLabel", "AppArmorProfile", "ExecIDs", "HostConfig", "GraphDriver", "Mounts"),
    *("Config", "NetworkSettings"),
}
_STATE = {
    *("Status", "Running", "Paused", "Restarting", "OOMKilled", "Dead", "Pid", "ExitCode"),
    *("Error", "StartedAt", "FinishedAt"),
}
_CONFIG = {
    *("Hostname", "Domainname", "User", "AttachStdin", "AttachStdout", "AttachStderr", "Tty"),
    *("OpenStdin", "StdinOnce", "Env", "Cmd", "Image", "Volumes", "WorkingDir", "Entrypoint"),
    *("OnBuild", "Labels", "ExposedPorts"),
}
_NETWORK = {
    *("Bridge", "SandboxID", "HairpinMode", "Ports", "SandboxKey", "EndpointID", "Gateway"),
    *("GlobalIPv6Address", "IPAddress", "IPPrefixLen", "IPv6Gateway", "MacAddress", "Networks"),
}


def described(spec: Spec = SPEC, state: State = UP, config: ImageConfig = CONFIG) -> dict[str, Any]:
    return describe.container(LAYOUT, spec, state, config)


def test_docker_s_keys_are_there() -> None:
    found = described()

    assert set(found) >= _TOP
    assert set(found["State"]) >= _STATE
    assert set(found["Config"]) >= _CONFIG
    assert set(found["NetworkSettings"]) >= _NETWORK


@pytest.mark.parametrize(
    ("words", "entrypoint", "command"),
    [
        (2, ["/entry", "serve"], ["-v"]),
        (0, None, ["/entry", "serve", "-v"]),
        (3, ["/entry", "serve", "-v"], None),
    ],
)
def test_the_command_is_told_apart_from_the_entrypoint(
    words: int, entrypoint: list[str] | None, command: list[str] | None
) -> None:
    found = describe.container(LAYOUT, SPEC.replace(entrypoint_words=words), State(), CONFIG)

    assert (found["Path"], found["Args"]) == ("/entry", ["serve", "-v"])
    assert (found["Config"]["Entrypoint"], found["Config"]["Cmd"]) == (entrypoint, command)


def test_of_a_record_that_does_not_say_the_entrypoint_is_the_images_where_it_fits() -> None:
    found = describe.container(LAYOUT, SPEC, State(), CONFIG)
    other = describe.container(LAYOUT, SPEC.replace(argv=("sh",)), State(), CONFIG)

    assert (found["Config"]["Entrypoint"], found["Config"]["Cmd"]) == (["/entry"], ["serve", "-v"])
    assert (other["Config"]["Entrypoint"], other["Config"]["Cmd"]) == (None, ["sh"])


def test_only_variables_that_were_asked_for_are_shown() -> None:
    assert described()["Config"]["Env"] == ["PATH=/bin", "A=b"]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State(), ("created", False, False, 0)),
        (UP, ("running", True, False, 42)),
        (UP.replace(status="paused"), ("paused", True, True, 42)),
        (State(status="exited", exit_code=3), ("exited", False, False, 0)),
    ],
)
def test_states_are_docker_s(state: State, expected: tuple[str, bool, bool, int]) -> None:
    found = described(state=state)["State"]

    assert (found["Status"], found["Running"], found["Paused"], found["Pid"]) == expected
    assert found["ExitCode"] == state.exit_code


def test_a_time_that_never_was_is_go_s_zero() -> None:
    found = described()["State"]

    assert found["StartedAt"] == "2023-11-14T22:13:21Z"
    assert found["FinishedAt"] == "0001-01-01T00:00:00Z"


def test_health_is_shown_only_where_there_is_one() -> None:
    assert "Health" not in described()["State"]
    assert described(state=UP.replace(health="healthy"))["State"]["Health"]["Status"] == "healthy"


def test_ports_are_asked_for_in_one_place_and_bound_in_another() -> None:
    found = described()

    assert found["HostConfig"]["PortBindings"] == {
        "80/tcp": [{"HostIp": "", "HostPort": "8080"}],
        "53/udp": [{"HostIp": "127.0.0.1", "HostPort": ""}],
    }
    assert found["NetworkSettings"]["Ports"] == {
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}],
        "443/tcp": None,
    }
    assert described(state=State())["NetworkSettings"]["Ports"] == {}


def test_addresses_are_those_of_the_first_network() -> None:
    found = described()["NetworkSettings"]

    assert (found["IPAddress"], found["Gateway"]) == ("172.17.0.2", "172.17.0.1")
    assert found["Networks"]["bridge"]["IPAddress"] == "172.17.0.2"
    assert found["Networks"]["bridge"]["NetworkID"] == "n" * 64


def test_mounts_tell_where_they_come_from() -> None:
    volume, bind, tmpfs = described()["Mounts"]

    assert (volume["Type"], volume["Name"], volume["Source"], volume["RW"]) == (
        *("volume", "data", "/r/volumes/data/_data", True),
    )
    assert (bind["Type"], bind["Source"], bind["Destination"], bind["RW"]) == (
        *("bind", "/srv", "/srv", False),
    )
    assert tmpfs["Type"] == "tmpfs"
    assert described()["HostConfig"]["Binds"] == ["data:/data", "/srv:/srv:ro"]
    assert described()["HostConfig"]["Tmpfs"] == {"/tmp": "size=1024"}


def test_limits_and_capabilities_are_in_docker_s_units() -> None:
    found = described()["HostConfig"]

    assert (found["Memory"], found["NanoCpus"], found["PidsLimit"]) == (64 << 20, 5 * 10**8, 100)
    assert found["CapAdd"] == ["SYS_ADMIN"]
    assert "NET_RAW" in found["CapDrop"]
    assert found["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
