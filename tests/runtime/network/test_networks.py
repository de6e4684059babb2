"""User-defined networks, macvlan, and the modes that are no network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.model.container.spec import Port
from tests.support.netmachine import OUTSIDE, UPLINK, Failed, Machine, machines

pytestmark = [pytest.mark.integration, pytest.mark.needs("root", "nft")]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    yield from machines(tmp_path)


def resolve(text: str, name: str) -> list[str]:
    """Return the addresses that an /etc/hosts gives a name."""
    lines = [line.split("#")[0].split() for line in text.splitlines()]
    return [words[0] for words in lines if name in words[1:]]


# --- the default bridge ---------------------------------------------------------------------


def test_addresses_are_dockers_and_reused_from_the_lowest(machine: Machine) -> None:
    monitor = machine.monitor()
    first, second = machine.run(monitor), machine.run(monitor)
    monitor.call("disconnect", container=first.id, endpoint=first.endpoint)
    third = machine.run(monitor)

    assert [first.address, second.address, third.address] == [
        "172.17.0.2",
        "172.17.0.3",
        "172.17.0.2",
    ]
    assert first.endpoint["mac"] == "02:42:ac:11:00:02"
    assert first.endpoint["gateway"] == "172.17.0.1"


def test_the_container_has_what_ip_shows(machine: Machine) -> None:
    web = machine.run(machine.monitor())

    (_, eth0) = web.space.json("ip -j addr")
    routes = web.space.json("ip -j route")

    assert (eth0["ifname"], eth0["operstate"], eth0["address"]) == (
        "eth0",
        "UP",
        web.endpoint["mac"],
    )
    assert [(a["local"], a["prefixlen"]) for a in eth0["addr_info"]] == [("172.17.0.2", 16)]
    assert [r["gateway"] for r in routes if r["dst"] == "default"] == ["172.17.0.1"]


def test_hosts_hold_the_address_and_the_id(machine: Machine) -> None:
    web = machine.run(machine.monitor(), add_hosts=(("db", "10.1.2.3"), ("me", "host-gateway")))

    lines = machine.hosts(web).splitlines()

    assert lines[-1] == f"172.17.0.2\t{web.id[:12]}"
    assert lines[-3:-1] == ["10.1.2.3\tdb", "172.17.0.1\tme"]


def test_a_taken_subnet_is_left_alone(machine: Machine) -> None:
    """Docker's own bridge may be there already."""
    machine.here.sh(
        "ip link add docker0 type bridge; ip addr add 172.17.0.1/16 dev docker0;"
        "ip link set docker0 up"
    )

    assert machine.run(machine.monitor()).address == "172.18.0.2"


def test_the_bridge_of_a_root_that_was_deleted_is_replaced(machine: Machine) -> None:
    machine.here.sh(
        "ip link add runtime0 type bridge; ip addr add 172.17.0.1/16 dev runtime0;"
        "ip link set runtime0 up"
    )

    web = machine.run(machine.monitor())

    assert web.address == "172.17.0.2"
    (bridge,) = machine.here.json("ip -j addr show runtime0")
    assert [a["local"] for a in bridge["addr_info"] if a["family"] == "inet"] == ["172.17.0.1"]


def test_the_bridge_of_another_root_in_use_is_left_alone(machine: Machine) -> None:
    machine.here.sh(
        "ip link add runtime0 type bridge; ip addr add 172.17.0.1/16 dev runtime0;"
        "ip link set runtime0 up; ip link add port type veth peer name far; ip link set port master runtime0"
    )

    with pytest.raises(Failed, match="containers of another --root are on the bridge runtime0"):
        machine.run(machine.monitor())


def test_the_default_bridge_moves_when_docker_was_first_after_a_reboot(machine: Machine) -> None:
    monitor = machine.monitor()
    assert monitor.call("inspect", name="bridge")["IPAM"]["Config"][0]["Subnet"] == "172.17.0.0/16"
    machine.here.sh(
        "ip link add docker0 type bridge; ip addr add 172.17.0.1/16 dev docker0;"
        "ip link set docker0 up"
    )

    assert machine.run(monitor).address == "172.18.0.2"


def test_the_bridge_takes_the_smaller_mtu_of_the_way_out(machine: Machine) -> None:
    machine.here.sh("ip link set up0 mtu 1420")
    web = machine.run(machine.monitor())

    assert web.space.json("ip -j link show eth0")[0]["mtu"] == 1420


def test_a_subnet_that_is_used_up_is_told(machine: Machine) -> None:
    monitor = machine.monitor()
    monitor.call("create", name="tiny", subnets=["10.9.0.0/30"])
    machine.run(monitor, network="tiny")

    with pytest.raises(Failed, match=r"every address of 10\.9\.0\.0/30 is taken"):
        machine.run(monitor, network="tiny")


def test_a_fixed_address_is_had_once(machine: Machine) -> None:
    monitor = machine.monitor()
    web = machine.run(monitor, address="172.17.5.5")
    assert web.address == "172.17.5.5"

    with pytest.raises(Failed, match="container 'web2' has it"):
        machine.run(monitor, address="172.17.5.5")
    with pytest.raises(Failed, match=r"it is not in 172\.17\.0\.0/16"):
        machine.run(monitor, address="10.0.0.1")
    with pytest.raises(Failed, match="it is the gateway's"):
        machine.run(monitor, address="172.17.0.1")


def test_two_hundred_leases_at_once_are_two_hundred_addresses(machine: Machine) -> None:
    import concurrent.futures

    monitors = [machine.monitor() for _ in range(4)]
    machine.run(monitors[0])  # the bridge

    def take(number: int) -> str:
        spec = {
            "id": f"{number:012x}" + "d" * 52,
            "name": f"c{number}",
            "image": "i",
            "image_id": "sha256:0",
            "argv": ["x"],
        }
        return str(monitors[number % 4].call("reserve", spec=spec)["address"])

    def several(start: int) -> list[str]:
        return [take(number) for number in range(start, 200, 4)]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = [address for part in pool.map(several, range(4)) for address in part]

    assert len(set(found)) == 200
    assert len(machine.leases()) == 201


# --- user-defined bridges -------------------------------------------------------------------


def test_containers_find_each_other_by_name_alias_and_id(machine: Machine) -> None:
    monitor = machine.monitor()
    monitor.call("create", name="app")
    db = machine.run(monitor, name="db", network="app", aliases=("database",))
    web = machine.run(monitor, name="web", network="app")

    for name in ("db", "database", db.id[:12]):
        assert resolve(machine.hosts(web), name) == [db.address]
    assert resolve(machine.hosts(db), "web") == [web.address]
    assert web.space.ask(db.address, 80) == f"db {web.address}"


def test_names_go_with_their_containers(machine: Machine) -> None:
    monitor = machine.monitor()
    monitor.call("create", name="app")
    db = machine.run(monitor, name="db", network="app")
    web = machine.run(monitor, name="web", network="app")
    hosts = Path(machine.root, "containers", web.id, "hosts")
    hosts.write_text(hosts.read_text() + "10.0.0.9 written-inside\n")
    inode = hosts.stat().st_ino

    monitor.call("disconnect", container=db.id, endpoint=db.endpoint)

    assert resolve(machine.hosts(web), "db") == []
    assert resolve(machine.hosts(web), "written-inside") == ["10.0.0.9"]
    assert hosts.stat().st_ino == inode  # it is bind mounted


def test_networks_do_not_reach_each_other(machine: Machine) -> None:
    monitor = machine.monitor()
    monitor.call("create", name="app")
    inside = machine.run(monitor, network="app", ports=(Port(80, 8080),))
    outside = machine.run(monitor)

    assert outside.space.is_silent(inside.address, 80)
    assert outside.space.ask(UPLINK, 8080).startswith("web2 ")  # what is published is for all


def test_an_internal_network_has_no_way_out_and_none_in(machine: Machine) -> None:
    monitor = machine.monitor()
    monitor.call("create", name="dark", internal=True)
    one = machine.run(monitor, network="dark")
    two = machine.run(monitor, network="dark")

    assert one.space.ask(two.address, 80) == f"web3 {one.address}"
    with pytest.raises(OSError, match="unreachable"):
        one.space.ask(OUTSIDE, 80)
    with pytest.raises(Failed, match="network 'dark' is internal"):
        machine.run(monitor, network="dark", ports=(Port(80, 8080),))


def test_an_ipv6_network_translates_ipv6(machine: Machine) -> None:
    monitor = machine.monitor()
    monitor.call("create", name="six", ipv6=True)
    web = machine.run(monitor, network="six", ports=(Port(80, 8080),))
    other = machine.run(monitor, network="six")

    assert web.endpoint["address6"].startswith("fd")
    assert machine.outside.ask("2001:db8::2", 8080) == "web2 2001:db8::1"  # the client itself
    assert machine.here.ask("::1", 8080) == "web2 " + web.endpoint["gateway"]
    assert other.space.ask(web.endpoint["address6"], 80).startswith("web2 fd")
    assert resolve(machine.hosts(other), "web2") == [web.address, web.endpoint["address6"]]


def test_a_running_container_joins_and_leaves_a_network(machine: Machine) -> None:
    monitor = machine.monitor()
    monitor.call("create", name="app")
    db = machine.run(monitor, name="db", network="app")
    web = machine.run(monitor, name="web")

    joined = monitor.call(
        "join", spec=web.plain, network="app", pid=web.pid, present=[web.endpoint], aliases=["www"]
    )

    assert joined["interface"] == "eth1"
    assert resolve(machine.hosts(db), "www") == [joined["address"]]
    assert resolve(machine.hosts(web), "db") == [db.address]
    assert web.space.ask(db.address, 80) == f"db {joined['address']}"
    with pytest.raises(Failed, match="it is on that network already"):
        monitor.call(
            "join", spec=web.plain, network="app", pid=web.pid, present=[web.endpoint, joined]
        )

    monitor.call("leave", container=web.id, endpoint=joined, pid=web.pid)

    assert [link["ifname"] for link in web.space.json("ip -j link")] == ["lo", "eth0"]
    assert resolve(machine.hosts(db), "web") == []
    assert machine.hosts(web).splitlines()[-1] == f"{web.address}\t{web.id[:12]}"


def test_a_join_that_nobody_noted_ends_with_the_container(machine: Machine) -> None:
    monitor = machine.monitor()
    monitor.call("create", name="app")
    web = machine.run(monitor)
    monitor.call("join", spec=web.plain, network="app", pid=web.pid, present=[web.endpoint])

    monitor.call("disconnect", container=web.id, endpoint=web.endpoint)

    assert machine.leases() == []


def test_a_join_that_fails_leaves_the_first_network_alone(machine: Machine) -> None:
    monitor = machine.monitor()
    options = {"parent": "gone0"}
    subnets = ["198.51.100.0/24"]
    monitor.call("create", name="w", driver="macvlan", subnets=subnets, options=options)
    web = machine.run(monitor)

    with pytest.raises(Failed, match="there is no interface 'gone0'"):
        monitor.call("join", spec=web.plain, network="w", pid=web.pid, present=[web.endpoint])

    assert machine.leases() == [f"bridge/{web.address}"]
    assert machine.here.ask(web.address, 80) == "web2 172.17.0.1"


def test_inspect_has_dockers_shape(machine: Machine) -> None:
    monitor = machine.monitor()
    monitor.call("create", name="app", subnets=["10.8.0.0/24"], labels={"a": "b"})
    web = machine.run(monitor, network="app")

    shown = monitor.call("inspect", name="app")

    assert shown["IPAM"]["Config"] == [{"Subnet": "10.8.0.0/24", "Gateway": "10.8.0.1"}]
    assert shown["Containers"][web.id]["IPv4Address"] == "10.8.0.2/24"
    assert shown["Containers"][web.id]["Name"] == "web2"
    assert (shown["Driver"], shown["Labels"], shown["Internal"]) == ("bridge", {"a": "b"}, False)
    assert shown["Created"].endswith("Z")
    assert monitor.call("inspect", name=shown["Id"][:6])["Name"] == "app"


def test_the_list_has_the_built_in_ones(machine: Machine) -> None:
    monitor = machine.monitor()
    monitor.call("create", name="app")

    assert monitor.call("names") == ["app", "bridge", "host", "none"]


def test_a_network_in_use_is_not_removed(machine: Machine) -> None:
    monitor = machine.monitor()
    monitor.call("create", name="app")
    web = machine.run(monitor, network="app")

    with pytest.raises(Failed, match="cannot remove network 'app': 'web2' is on it"):
        monitor.call("remove", name="app")
    assert monitor.call("prune") == []
    monitor.call("disconnect", container=web.id, endpoint=web.endpoint)
    monitor.call("remove", name="app")

    assert machine.links() == []
    assert "rt-" not in machine.table()
    assert not Path(machine.root, "run/network/leases/app").exists()
    with pytest.raises(Failed, match="no such network"):
        monitor.call("remove", name="app")


def test_prune_removes_what_nobody_uses(machine: Machine) -> None:
    monitor = machine.monitor()
    monitor.call("create", name="kept", labels={"keep": "yes"})
    monitor.call("create", name="gone", labels={"keep": "no"})

    assert monitor.call("prune", labels={"keep": "no"}) == ["gone"]
    assert monitor.call("names") == ["bridge", "host", "kept", "none"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "host"}, "it is built in"),
        ({"name": "a/b"}, "a name has letters"),
        ({"name": "x", "driver": "overlay"}, "there is no driver 'overlay'"),
        ({"name": "x", "subnets": ["192.0.2.0/25"]}, "overlaps this machine's route"),
        ({"name": "x", "subnets": ["10.0.0.1/24"]}, "it names a host in the subnet"),
        ({"name": "x", "subnets": ["10.0.0.0/24"], "gateways": ["10.1.0.1"]}, "is not in 10.0.0.0"),
        ({"name": "x", "options": {"parent": "eth0"}}, "has no option 'parent'"),
        ({"name": "x", "driver": "macvlan", "subnets": ["10.0.0.0/24"]}, "-o parent=eth0"),
    ],
)
def test_a_network_that_makes_no_sense_is_refused(
    machine: Machine, options: dict[str, object], said: str
) -> None:
    with pytest.raises(Failed, match="cannot") as refused:
        machine.monitor().call("create", **options)

    assert said in refused.value.message
    assert refused.value.code == 1


def test_an_unknown_network_suggests_one(machine: Machine) -> None:
    monitor = machine.monitor()
    monitor.call("create", name="frontend")

    with pytest.raises(Failed) as refused:
        machine.run(monitor, network="frontned")

    assert refused.value.hint == "did you mean 'frontend'?"
    assert refused.value.code == 125


# --- other modes ----------------------------------------------------------------------------


def test_none_has_a_loopback_and_nothing_else(machine: Machine) -> None:
    web = machine.run(machine.monitor(), network="none")

    (lo,) = web.space.json("ip -j link")
    assert "UP" in lo["flags"]
    assert web.space.ask("127.0.0.1", 80) == "web2 127.0.0.1"
    assert machine.hosts(web).splitlines()[-1] == "ff02::2\tip6-allrouters"


def test_host_sees_the_machines_own_files(machine: Machine) -> None:
    monitor = machine.monitor()
    web = machine.container(network="host")

    mounts = monitor.call("files", spec=web.plain, endpoint={"network": "host"})

    hosts = next(mount for mount in mounts if mount["target"] == "/etc/hosts")
    assert (hosts["source"], hosts["read_only"]) == ("/etc/hosts", True)


def test_a_shared_network_shares_the_files(machine: Machine) -> None:
    monitor = machine.monitor()
    web = machine.run(monitor)
    mode = f"container:{web.id}"
    beside = machine.container(network=mode)

    mounts = monitor.call("files", spec=beside.plain, endpoint={"network": mode})

    assert {mount["source"].rsplit("/", 2)[1] for mount in mounts} == {web.id}
    assert [mount["target"] for mount in mounts] == [
        "/etc/hosts",
        "/etc/hostname",
        "/etc/resolv.conf",
    ]


def test_published_ports_are_not_dropped_in_silence(machine: Machine) -> None:
    monitor = machine.monitor()
    machine.run(monitor, network="none", ports=(Port(80, 8080),))
    assert monitor.call("remarks") == ["published ports are discarded with --net none"]

    web = machine.run(monitor)
    with pytest.raises(Failed, match="it shares the network of another container"):
        machine.run(monitor, network=f"container:{web.id}", ports=(Port(80, 8080),))


def test_a_hosts_file_blown_up_by_its_container_is_left_to_it(machine: Machine) -> None:
    monitor = machine.monitor()
    monitor.call("create", name="app")
    web = machine.run(monitor, network="app")
    hosts = Path(machine.root, "containers", web.id, "hosts")
    hosts.write_text("#" * (2 << 20))
    db = machine.run(monitor, network="app", name="db")

    assert hosts.stat().st_size == 2 << 20
    assert resolve(machine.hosts(db), "web2") == [web.address]


def test_a_macvlan_container_is_on_the_wire_itself(machine: Machine) -> None:
    monitor = machine.monitor()
    monitor.call(
        "create",
        name="wire",
        driver="macvlan",
        subnets=["192.0.2.0/24"],
        gateways=[OUTSIDE],
        ip_range="192.0.2.128/25",
        options={"parent": "up0"},
    )
    web = machine.run(monitor, network="wire")

    assert web.address == "192.0.2.128"
    assert machine.outside.ask(web.address, 80) == f"web2 {OUTSIDE}"
    assert web.space.json("ip -j -d link show eth0")[0]["linkinfo"]["info_kind"] == "macvlan"
    assert web.space.json("ip -j route show default")[0]["gateway"] == OUTSIDE
    with pytest.raises(Failed, match="network 'wire' is macvlan"):
        machine.run(monitor, network="wire", ports=(Port(80, 8080),))


def test_a_macvlan_without_its_parent_names_what_is_there(machine: Machine) -> None:
    monitor = machine.monitor()
    monitor.call(
        "create",
        name="wire",
        driver="macvlan",
        subnets=["192.0.2.0/24"],
        options={"parent": "eth7"},
    )

    with pytest.raises(Failed) as refused:
        machine.run(monitor, network="wire")

    assert "there is no interface 'eth7'" in refused.value.message
    assert refused.value.hint == "this machine has up0"
    assert machine.leases() == []


def test_records_are_plain_json(machine: Machine) -> None:
    machine.monitor().call("create", name="app")

    kept = json.loads(Path(machine.root, "networks", "app.json").read_text())

    assert (kept["name"], kept["subnet"]) == ("app", "172.18.0.0/16")
