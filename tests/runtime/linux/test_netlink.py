"""Our messages against two oracles: what ``ip -j`` shows, and what pyroute2 encodes.

In namespaces of the test's own; the machine's interfaces are not touched.
"""

from __future__ import annotations

import errno
import importlib
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from runtime.linux import netlink, netns, rtnetlink, sysctl
from tests.support.netmachine import Namespace

pytestmark = [pytest.mark.integration, pytest.mark.needs("root")]

MAC = "02:42:00:00:00:05"


@pytest.fixture
def here() -> Iterator[Namespace]:
    made = Namespace()
    yield made
    made.close()


@pytest.fixture
def there() -> Iterator[Namespace]:
    made = Namespace()
    yield made
    made.close()


@pytest.fixture
def kernel(here: Namespace) -> Iterator[netlink.Socket]:
    with netns.Inside(here.fd):
        made = netlink.Socket()
    with made:
        yield made


def inside(space: Namespace) -> netlink.Socket:
    with netns.Inside(space.fd):
        return netlink.Socket()


def shown(space: Namespace, name: str) -> dict[str, Any]:
    """Return a link as ``ip -j -d`` shows it."""
    (link,) = space.json(f"ip -j -d addr show {name}")
    return dict(link)


def test_a_bridge_is_as_asked(here: Namespace, kernel: netlink.Socket) -> None:
    kernel.run(rtnetlink.new_bridge("br0", MAC, 1400))
    found = rtnetlink.find(kernel, "br0")
    assert found is not None
    kernel.run(rtnetlink.set_up(found.index), rtnetlink.add_address(found.index, "10.0.0.1", 24))

    link = shown(here, "br0")

    assert (link["linkinfo"]["info_kind"], link["address"], link["mtu"]) == ("bridge", MAC, 1400)
    assert link["linkinfo"]["info_data"]["mcast_snooping"] == 0
    assert "UP" in link["flags"]
    address = link["addr_info"][0]
    assert (address["local"], address["prefixlen"], address["broadcast"]) == (
        "10.0.0.1",
        24,
        "10.0.0.255",
    )
    assert (found.name, found.mac, found.mtu, found.kind) == ("br0", MAC, 1400, "bridge")


def test_a_pair_is_made_straight_into_the_other_namespace(
    here: Namespace, there: Namespace, kernel: netlink.Socket
) -> None:
    kernel.run(rtnetlink.new_bridge("br0", MAC, 1500))
    bridge = rtnetlink.find(kernel, "br0")
    assert bridge is not None
    kernel.run(
        rtnetlink.new_veth(
            "v0",
            "eth0",
            peer_namespace_fd=there.fd,
            peer_mac="02:42:0a:00:00:02",
            mtu=1400,
            master=bridge.index,
        )
    )
    port = rtnetlink.find(kernel, "v0")
    assert port is not None
    kernel.run(rtnetlink.set_hairpin(port.index))

    ours, theirs = shown(here, "v0"), shown(there, "eth0")

    assert (ours["master"], ours["linkinfo"]["info_kind"], ours["mtu"]) == ("br0", "veth", 1400)
    assert "UP" in ours["flags"]
    assert ours["linkinfo"]["info_slave_data"]["hairpin"] is True
    assert (theirs["address"], theirs["mtu"]) == ("02:42:0a:00:00:02", 1400)
    assert "UP" not in theirs["flags"]
    assert port.master == bridge.index


def test_addresses_and_routes_are_those_that_ip_shows(there: Namespace) -> None:
    there.sh("ip link add d0 type veth peer name p0; ip link set p0 up")
    with inside(there) as kernel:
        link = rtnetlink.find(kernel, "d0")
        assert link is not None
        kernel.run(
            rtnetlink.no_link_local(link.index),
            rtnetlink.set_up(rtnetlink.LOOPBACK),
            rtnetlink.set_up(link.index),
            rtnetlink.add_address(link.index, "10.1.0.2", 16),
            rtnetlink.add_address(link.index, "fd00::2", 64),
            rtnetlink.add_default_route("10.1.0.1"),
            rtnetlink.add_default_route("fd00::1", link.index),
        )
        addresses = rtnetlink.addresses(kernel)
        routes = rtnetlink.routes(kernel)
        routes6 = rtnetlink.routes(kernel, socket.AF_INET6)

    by_ip = shown(there, "d0")["addr_info"]
    assert {(link.index, a["local"], a["prefixlen"]) for a in by_ip} == {
        address for address in addresses if address[0] == link.index
    }
    assert not [a for a in by_ip if a.get("scope") == "link" or a.get("tentative")]
    listed = {(route["dst"], route.get("gateway", "")) for route in there.json("ip -j route")}
    assert listed == {
        (f"{r.destination}/{r.prefix}" if r.prefix else "default", r.gateway) for r in routes
    }
    assert ("default", "10.1.0.1") in listed
    assert "fd00::1" in {route.gateway for route in routes6 if not route.prefix}


def test_a_macvlan_is_made_in_the_other_namespace(
    here: Namespace, there: Namespace, kernel: netlink.Socket
) -> None:
    here.sh("ip link add d0 type veth peer name p0")
    parent = rtnetlink.find(kernel, "d0")
    assert parent is not None
    kernel.run(
        rtnetlink.new_macvlan("eth0", parent.index, namespace_fd=there.fd, mode="vepa", mac=MAC)
    )

    link = shown(there, "eth0")

    assert link["linkinfo"]["info_kind"] == "macvlan"
    assert link["linkinfo"]["info_data"]["mode"] == "vepa"
    assert link["address"] == MAC


def test_links_are_renamed_and_removed(here: Namespace, kernel: netlink.Socket) -> None:
    here.sh("ip link add d0 type veth peer name p0; ip link add br0 type bridge")
    link = rtnetlink.find(kernel, "d0")
    assert link is not None
    kernel.run(rtnetlink.rename(link.index, "d1"), rtnetlink.delete_link("br0"))

    assert {each["ifname"] for each in here.json("ip -j link")} == {"lo", "p0", "d1"}
    assert rtnetlink.find(kernel, "d0") is None


def test_all_links_are_listed(here: Namespace, kernel: netlink.Socket) -> None:
    here.sh(
        "for n in $(seq 30); do ip link add d$n type veth peer name p$n; done; ip link set d7 up"
    )

    ours = {(each.index, each.name, each.is_up) for each in rtnetlink.links(kernel)}

    assert ours == {
        (each["ifindex"], each["ifname"], "UP" in each["flags"]) for each in here.json("ip -j link")
    }


def test_the_first_refusal_is_told_with_the_kernels_words(
    here: Namespace, kernel: netlink.Socket
) -> None:
    here.sh("ip link add d0 type veth peer name p0")

    with pytest.raises(OSError, match="cannot add bridge 'd0': File exists") as refused:
        kernel.run(rtnetlink.new_bridge("d0", MAC, 1500), rtnetlink.delete_link("d0"))

    assert refused.value.errno == errno.EEXIST
    assert rtnetlink.find(kernel, "d0") is None  # the kernel carried out the second
    with pytest.raises(OSError, match=r"cannot add the default route by 10\.9\.9\.9: .*\(Nexthop"):
        kernel.run(rtnetlink.add_default_route("10.9.9.9"))


def test_a_macvlan_mode_is_one_of_the_kernels() -> None:
    with pytest.raises(KeyError):
        rtnetlink.new_macvlan("eth0", 1, namespace_fd=0, mode="tunnel")


def test_a_mac_has_six_bytes() -> None:
    assert rtnetlink.mac_bytes(MAC) == bytes([2, 0x42, 0, 0, 0, 5])
    for text in ("", "02:42", "02:42:00:00:00:00:00", "zz:42:00:00:00:05", "02:42:00:00:00:1ff"):
        with pytest.raises(ValueError):
            rtnetlink.mac_bytes(text)


def test_attributes_are_read_back_up_to_what_is_torn() -> None:
    data = netlink.text(3, "eth0") + netlink.number(4, 1500) + netlink.nested(5, b"\0" * 4)

    assert netlink.attributes(data) == {
        3: b"eth0\0",
        4: struct.pack("=I", 1500),
        5: b"\0" * 4,
    }
    assert netlink.attributes(b"\1\0\3\0") == {}
    assert netlink.attributes(b"") == {}


def test_sysctls_are_those_of_the_namespace_we_are_in(here: Namespace) -> None:
    before = sysctl.read("net.ipv4.ip_default_ttl")
    with netns.Inside(here.fd):
        assert sysctl.ensure("net.ipv4.ip_default_ttl", "63") is True
        assert sysctl.ensure("net.ipv4.ip_default_ttl", "63") is False
        assert sysctl.read("net.ipv4.no_such_thing") == ""

    assert here.sh("sysctl -n net.ipv4.ip_default_ttl").strip() == "63"
    assert sysctl.read("net.ipv4.ip_default_ttl") == before


def test_an_interface_with_a_dot_has_a_sysctl(here: Namespace) -> None:
    here.sh("ip link add d0.5 type veth peer name p0")
    with netns.Inside(here.fd):
        sysctl.write("net.ipv4.conf.d0/5.route_localnet", "1")

    assert here.sh("cat /proc/sys/net/ipv4/conf/d0.5/route_localnet").strip() == "1"


class TestAgainstPyroute2:
    """PyPI's pyroute2 decodes what we encode."""

    def decode(self, message: netlink.NetlinkMessage, cls: str) -> Any:
        module = importlib.import_module(f"pyroute2.netlink.rtnl.{cls}")
        header = struct.pack("=IHHII", 16 + len(message.body), message.type, message.flags, 1, 0)
        decoded = getattr(module, cls)(header + message.body)
        decoded.decode()
        return decoded

    def test_a_veth_pair(self) -> None:
        message = rtnetlink.new_veth(
            "v0", "eth0", peer_namespace_fd=7, peer_mac=MAC, mtu=1400, master=9
        )

        link = self.decode(message, "ifinfmsg")

        assert (link.get_attr("IFLA_IFNAME"), link.get_attr("IFLA_MASTER")) == ("v0", 9)
        info = link.get_attr("IFLA_LINKINFO")
        assert info.get_attr("IFLA_INFO_KIND") == "veth"
        peer = info.get_attr("IFLA_INFO_DATA").get_attr("VETH_INFO_PEER")
        assert peer.get_attr("IFLA_IFNAME") == "eth0"
        assert peer.get_attr("IFLA_NET_NS_FD") == 7
        assert peer.get_attr("IFLA_ADDRESS") == MAC

    def test_a_macvlan(self) -> None:
        link = self.decode(
            rtnetlink.new_macvlan("eth0", 3, namespace_fd=7, mode="private"), "ifinfmsg"
        )

        assert link.get_attr("IFLA_LINK") == 3
        data = link.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_DATA")
        assert data.get_attr("IFLA_MACVLAN_MODE") == "private"

    def test_an_address(self) -> None:
        address = self.decode(rtnetlink.add_address(4, "10.0.0.5", 29), "ifaddrmsg")

        assert (address["index"], address["prefixlen"]) == (4, 29)
        assert address.get_attr("IFA_LOCAL") == "10.0.0.5"
        assert address.get_attr("IFA_BROADCAST") == "10.0.0.7"

    def test_routes(self) -> None:
        default = self.decode(rtnetlink.add_default_route("10.0.0.1", 4), "rtmsg")

        assert (default["dst_len"], default["table"]) == (0, 254)
        assert (default.get_attr("RTA_GATEWAY"), default.get_attr("RTA_OIF")) == ("10.0.0.1", 4)
