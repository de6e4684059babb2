"""Interfaces: the bridge on this machine, the pair into a container, what is set up in there.

The namespace of the calling process is "the machine"; a container's is given as a descriptor.
"""

from __future__ import annotations

import errno
import os

from runtime.linux import netlink, netns, rtnetlink, sysctl
from runtime.model.errors import RuntimeFailure
from runtime.model.network import ipam

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.network.network_records import Lease, Network

_MTU = 1500
_LARGEST_MTU = 65535


def host_name_of(container_id: str, interface: str) -> str:
    """Return the name of a pair's end on this machine: of the kernel's 15 letters at most.

    *interface* is the container's end, ``eth0`` and so on.
    """
    return f"v{container_id[:12]}{interface.removeprefix('eth')}"


def routes(kernel: netlink.Socket) -> list[tuple[int, int]]:
    """Return the IPv4 subnets that this machine has routes to, the default route apart."""
    return [
        (ipam.number(route.destination), route.prefix)
        for route in rtnetlink.routes(kernel)
        if route.prefix
    ]


def is_ready(kernel: netlink.Socket, network: Network) -> bool:
    """Return whether the network's bridge is there: it is switched on last."""
    found = rtnetlink.find(kernel, network.interface)
    return found is not None and found.is_up and found.mac == _mac(network)


def _mac(network: Network) -> str:
    """Return the bridge's own address, by which it is known to be this network's."""
    return f"02:42:{bytes.fromhex(network.id[:8]).hex(':')}"


def remove_left(kernel: netlink.Socket, name: str, mac: str = "") -> bool:
    """Remove the bridge *name* unless its address is *mac*; return whether it is free or ours.

    A root directory that was deleted leaves its default bridge behind.  One with containers on
    it belongs to a root that is in use, and stays.
    """
    found = rtnetlink.find(kernel, name)
    if found is None or found.mac == mac:
        return True
    if any(link.master == found.index for link in rtnetlink.links(kernel)):
        return False
    delete(kernel, name)
    return True


def make_bridge(kernel: netlink.Socket, network: Network) -> None:
    """Make the bridge of *network*, give it the gateway's addresses and switch it on.

    The caller holds the lock; a half-made one, of a process that was killed, is finished.

    Raises:
        RuntimeFailure: another route of this machine overlaps its subnet, or another root's
            containers are on a bridge of its name.
    """
    name = network.interface
    if not remove_left(kernel, name, _mac(network)):
        raise RuntimeFailure(
            f"cannot set up network '{network.name}': containers of another --root are on the "
            f"bridge {name}",
            "stop them, or use a network of your own: `runtime network create NAME`",
        )
    found = rtnetlink.find(kernel, name)
    if found is None:
        _refuse_overlap(kernel, network)
        kernel.run(rtnetlink.new_bridge(name, _mac(network), _mtu(kernel, network)))
        found = rtnetlink.find(kernel, name)
        assert found is not None
    _, prefix = ipam.subnet(network.subnet)
    _tolerate_existing(kernel, rtnetlink.add_address(found.index, network.gateway, prefix))
    # Lets 127.0.0.1 be the source of a translated packet; `guard` keeps strangers from using it.
    sysctl.ensure(f"net.ipv4.conf.{name}.route_localnet", "1")
    if network.subnet6:
        bits = int(network.subnet6.partition("/")[2])
        _tolerate_existing(kernel, rtnetlink.add_address(found.index, network.gateway6, bits))
    kernel.run(rtnetlink.set_up(found.index))


def _tolerate_existing(kernel: netlink.Socket, message: netlink.NetlinkMessage) -> None:
    try:
        kernel.run(message)
    except OSError as error:
        if error.errno != errno.EEXIST:
            raise


def _refuse_overlap(kernel: netlink.Socket, network: Network) -> None:
    own = ipam.subnet(network.subnet)
    for route in routes(kernel):
        if ipam.overlap(own, route):
            raise RuntimeFailure(
                f"cannot set up network '{network.name}': its subnet {network.subnet} overlaps "
                f"this machine's route to {ipam.written(*route)}",
                f"remove the network and create it with another --subnet: "
                f"`runtime network rm {network.name}`",
            )


def _mtu(kernel: netlink.Socket, network: Network) -> int:
    """Return the network's own mtu, else that of the way out where it is smaller than usual."""
    if network.options.get("mtu"):
        return int(network.options["mtu"])
    out = [route.link for route in rtnetlink.routes(kernel) if not route.prefix]
    found = [link.mtu for link in rtnetlink.links(kernel) if link.index in out]
    return min([_MTU, *found])


def join_bridge(kernel: netlink.Socket, network: Network, lease: Lease, namespace_fd: int) -> None:
    """Make the pair between the bridge and the container, and set the container's end up."""
    bridge = rtnetlink.find(kernel, network.interface)
    if bridge is None:
        raise RuntimeFailure(
            f"cannot connect to network '{network.name}': its bridge {network.interface} is gone"
        )
    # A veth of that name is the remainder of a container with our id: its lease is ours.
    delete(kernel, lease.host_interface)
    kernel.run(
        rtnetlink.new_veth(
            lease.host_interface,
            lease.interface,
            peer_namespace_fd=namespace_fd,
            peer_mac=lease.mac,
            mtu=bridge.mtu,
            master=bridge.index,
        )
    )
    port = rtnetlink.find(kernel, lease.host_interface)
    assert port is not None
    kernel.run(rtnetlink.set_hairpin(port.index))
    configure(namespace_fd, network, lease)


def join_macvlan(kernel: netlink.Socket, network: Network, lease: Lease, namespace_fd: int) -> None:
    """Give the container an interface of its own on the wire of the network's parent.

    Raises:
        RuntimeFailure: there is no such parent.
    """
    name = network.options.get("parent", "")
    parent = rtnetlink.find(kernel, name)
    if parent is None:
        known = ", ".join(
            link.name for link in rtnetlink.links(kernel) if link.index != rtnetlink.LOOPBACK
        )
        raise RuntimeFailure(
            f"cannot connect to network '{network.name}': there is no interface '{name}'",
            f"this machine has {known}",
        )
    mode = network.options.get("macvlan_mode", "bridge")
    kernel.run(
        rtnetlink.new_macvlan(
            lease.interface, parent.index, namespace_fd=namespace_fd, mode=mode, mac=lease.mac
        )
    )
    configure(namespace_fd, network, lease)


def configure(namespace_fd: int, network: Network, lease: Lease) -> None:
    """Switch lo and the container's interface on, with its addresses and default route."""
    with _inside(namespace_fd) as there:
        link = rtnetlink.find(there, lease.interface)
        assert link is not None
        _, prefix = ipam.subnet(network.subnet)
        messages = [
            rtnetlink.set_up(rtnetlink.LOOPBACK),
            rtnetlink.add_address(link.index, lease.address, prefix),
        ]
        if lease.address6:
            bits = int(network.subnet6.partition("/")[2])
            messages.append(rtnetlink.add_address(link.index, lease.address6, bits))
        elif os.path.exists("/proc/sys/net/ipv6"):  # else the kernel does without IPv6
            messages.append(rtnetlink.no_link_local(link.index))
        messages.append(rtnetlink.set_up(link.index))
        if lease.gateway and lease.interface == "eth0":
            messages.append(rtnetlink.add_default_route(lease.gateway))
            if lease.address6 and network.gateway6:
                messages.append(rtnetlink.add_default_route(network.gateway6, link.index))
        there.run(*messages)


def loopback_up(namespace_fd: int) -> None:
    """Switch lo on in a namespace that has nothing else."""
    with _inside(namespace_fd) as there:
        there.run(rtnetlink.set_up(rtnetlink.LOOPBACK))


def _inside(namespace_fd: int) -> netlink.Socket:
    """Return a socket that works in the namespace while we stay here."""
    with netns.Inside(namespace_fd):
        return netlink.Socket()


def remove_inside(namespace_fd: int, interface: str) -> None:
    """Remove a container's interface from its namespace; one that is gone is fine."""
    with _inside(namespace_fd) as there:
        delete(there, interface)


def delete(kernel: netlink.Socket, name: str) -> None:
    """Remove the link *name*; one that is gone is fine."""
    try:
        kernel.run(rtnetlink.delete_link(name))
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
