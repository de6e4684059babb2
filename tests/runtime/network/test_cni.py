"""``cni:NAME`` with the plugins as Debian ships them, and with one that misbehaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.model.container.spec import Port
from tests.support.netmachine import OUTSIDE, UPLINK, Failed, Machine, machines

pytestmark = [pytest.mark.integration, pytest.mark.needs("root", "cni")]

BRIDGE = {
    "cniVersion": "1.0.0",
    "name": "cluster",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "ipMasq": True,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": "10.22.0.0/16"}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    for made in machines(tmp_path):
        directory = tmp_path / "net.d"
        directory.mkdir()
        made.environment = {"CNI_CONF_DIR": str(directory)}
        yield made


def configure(machine: Machine, configuration: dict[str, Any], file: str = "10-x.conflist") -> None:
    text = json.dumps(configuration)
    # host-local keeps its leases in a directory of the real machine unless told otherwise.
    text = text.replace('"host-local"', f'"host-local", "dataDir": "{machine.root}/ipam"')
    Path(machine.environment["CNI_CONF_DIR"], file).write_text(text)


@pytest.mark.needs("iptables")
def test_a_bridge_with_portmap_publishes(machine: Machine) -> None:
    configure(machine, BRIDGE)
    monitor = machine.monitor()
    web = machine.run(monitor, network="cni:cluster", ports=(Port(80, 8080),))

    assert web.address == "10.22.0.2"
    assert web.endpoint["gateway"] == "10.22.0.1"
    assert machine.here.ask(web.address, 80) == "web2 10.22.0.1"
    assert machine.outside.ask(UPLINK, 8080) == f"web2 {OUTSIDE}"
    assert machine.hosts(web).splitlines()[-1] == f"10.22.0.2\t{web.id[:12]}"

    monitor.call("disconnect", container=web.id, endpoint=web.endpoint)

    assert machine.links() == ["cni0"]
    assert "8080" not in machine.here.sh("iptables -t nat -S")
    assert machine.leases() == []
    assert not list(Path(machine.root, "ipam", "cluster").glob("10.*"))


def test_a_macvlan_configuration_of_one_plugin(machine: Machine) -> None:
    plugin = {
        "cniVersion": "0.3.1",
        "name": "wire",
        "type": "macvlan",
        "master": "up0",
        "ipam": {"type": "host-local", "subnet": "192.0.2.0/24", "rangeStart": "192.0.2.50"},
    }
    configure(machine, plugin, "20-wire.conf")
    web = machine.run(machine.monitor(), network="cni:wire")

    assert web.address == "192.0.2.50"
    assert machine.outside.ask(web.address, 80) == f"web2 {OUTSIDE}"


@pytest.mark.needs("iptables")
def test_heal_deletes_what_a_killed_monitor_added(machine: Machine) -> None:
    configure(machine, BRIDGE)
    doomed = machine.monitor()
    web = machine.run(doomed, network="cni:cluster", ports=(Port(80, 8080),))
    doomed.kill()
    web.space.close()

    machine.monitor().call("heal", live=[])

    assert "8080" not in machine.here.sh("iptables -t nat -S")
    assert not list(Path(machine.root, "ipam", "cluster").glob("10.*"))
    assert machine.leases() == []
    web.space = type(web.space)()  # the fixture closes it once more


def test_a_chain_that_fails_half_way_is_undone(machine: Machine) -> None:
    broken = {**BRIDGE, "plugins": [BRIDGE["plugins"][0], {"type": "tuning", "mac": "no"}]}
    configure(machine, broken)

    with pytest.raises(Failed) as refused:
        machine.run(machine.monitor(), network="cni:cluster")

    assert refused.value.message.startswith("cannot connect to 'cni:cluster': plugin 'tuning': ")
    assert not list(Path(machine.root, "ipam", "cluster").glob("10.*"))
    assert machine.leases() == []


@pytest.mark.parametrize(
    ("changes", "options", "said"),
    [
        ({"name": "other"}, {}, "no configuration in "),
        ({"cniVersion": "9.0"}, {}, "its cniVersion is '9.0'"),
        ({"plugins": [{"type": "calico"}]}, {}, "plugin 'calico' is not in /opt/cni/bin or "),
        ({"plugins": [{"type": "../bridge"}]}, {}, "'../bridge' is not a plugin's name"),
        ({"plugins": [{"type": "loopback"}]}, {"ports": (Port(80, 1),)}, "capability portMappings"),
        ({"plugins": {}}, {}, "it has no list of plugins"),
    ],
)
def test_what_cannot_be_run_is_told_before_anything_is(
    machine: Machine, changes: dict[str, Any], options: dict[str, Any], said: str
) -> None:
    configure(machine, {**BRIDGE, **changes})

    with pytest.raises(Failed) as refused:
        machine.run(machine.monitor(), network="cni:cluster", **options)

    assert said in refused.value.message
    assert machine.leases() == []


def test_each_plugin_gets_what_the_specification_says(machine: Machine, tmp_path: Path) -> None:
    """A plugin that writes down its input and answers with it."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    spy = plugins / "spy"
    spy.write_text(
        "#!/bin/sh\n"
        f'echo "$CNI_COMMAND $CNI_IFNAME $CNI_CONTAINERID $CNI_NETNS" >>{tmp_path}/calls\n'
        f"tee -a {tmp_path}/inputs >/dev/null; echo >>{tmp_path}/inputs\n"
        'echo \'{"cniVersion": "1.0.0", "ips": [{"address": "10.5.0.9/24"}]}\'\n'
    )
    spy.chmod(0o755)
    machine.environment["CNI_PATH"] = str(plugins)
    first = {"type": "spy", "n": 1, "capabilities": {"ips": True}}
    configure(machine, {**BRIDGE, "plugins": [first, {"type": "spy", "n": 2}]})
    monitor = machine.monitor()
    web = machine.run(monitor, network="cni:cluster", address="10.5.0.9")
    monitor.call("disconnect", container=web.id, endpoint=web.endpoint)

    calls = (tmp_path / "calls").read_text().splitlines()
    inputs = [json.loads(line) for line in (tmp_path / "inputs").read_text().splitlines()]

    assert calls[0] == f"ADD eth0 {web.id} /proc/{web.pid}/ns/net"
    assert [line.split()[0] for line in calls] == ["ADD", "ADD", "DEL", "DEL"]
    assert [given["n"] for given in inputs] == [1, 2, 2, 1]
    assert [given["name"] for given in inputs] == ["cluster"] * 4
    assert inputs[0]["runtimeConfig"] == {"ips": ["10.5.0.9"]}
    assert "prevResult" not in inputs[0]
    result = {"cniVersion": "1.0.0", "ips": [{"address": "10.5.0.9/24"}]}
    assert [given["prevResult"] for given in inputs[1:]] == [result] * 3
    assert "capabilities" not in inputs[0]
