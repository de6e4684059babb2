"""Links, addresses and routes as rtnetlink(7) messages: what `ip` of iproute2 does.

The functions that return a `NetlinkMessage` only encode; `netlink.Socket.run` carries a list of
them out in one go.  All that change something need CAP_NET_ADMIN in the namespace's user namespace.
Numbers are from include/uapi/linux/{rtnetlink,if_link,if_addr,veth}.h.
"""

from __future__ import annotations

import _socket as socket
import errno
import struct

from runtime.linux import netlink
from runtime.linux.netlink import NetlinkMessage, attribute, nested, number, text
from supervise.model.record import Record

_NEWLINK, _DELLINK, _GETLINK, _SETLINK = 16, 17, 18, 19
_NEWADDR, _GETADDR = 20, 22
_NEWROUTE, _GETROUTE = 24, 26

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINK, _IFLA_MASTER = 1, 3, 4, 5, 10
_IFLA_PROTINFO, _IFLA_LINKINFO, _IFLA_AF_SPEC, _IFLA_NET_NS_FD = 12, 18, 26, 28
_IFLA_INFO_KIND, _IFLA_INFO_DATA = 1, 2
_IFLA_BRPORT_MODE = 4  # the attribute for hairpin
_IFLA_BR_MCAST_SNOOPING = 23
_IFLA_MACVLAN_MODE = 1
_IFLA_INET6_ADDR_GEN_MODE = 8
_IN6_ADDR_GEN_MODE_NONE = 1
_VETH_INFO_PEER = 1
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_FLAGS = 1, 2, 4, 8
_IFA_F_NODAD = 0x02
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_TABLE = 1, 4, 5, 15
_RT_TABLE_MAIN = 254
_RTPROT_BOOT = 3
_RTN_UNICAST = 1

IFF_UP = 0x1
LOOPBACK = 1  # the index of lo in every namespace

MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}

_INFO = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix, flags, scope, index
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg: family, dst_len, …, table, protocol, scope, type
_CREATE = netlink.NLM_F_CREATE | netlink.NLM_F_EXCL


class Link(Record):
    """One network interface."""

    index: int
    name: str
    flags: int
    mtu: int
    mac: str  # "" where there is none
    kind: str  # bridge, veth, macvlan, …; "" for hardware and lo
    master: int  # the index of its bridge, 0 without one

    @property
    def is_up(self) -> bool:
        """Return whether it is switched on, whatever the cable says."""
        return bool(self.flags & IFF_UP)


class Route(Record):
    """One route of the main table."""

    destination: str  # network address
    prefix: int  # 0: a default route
    gateway: str  # "" on the link itself
    link: int  # index


def mac_bytes(mac: str) -> bytes:
    """Return the six bytes of a colon-separated MAC address.

    Raises:
        ValueError: it is not a MAC address.
    """
    if not mac.isascii() or mac.count(":") != 5:
        raise ValueError(f"'{mac}' is not a MAC address")
    return bytes(int(part, 16) for part in mac.split(":"))


def _info(*, index: int = 0, flags: int = 0, change: int = 0, family: int = 0) -> bytes:
    return _INFO.pack(family, 0, index, flags, change)


def new_bridge(name: str, mac: str, mtu: int) -> NetlinkMessage:
    """Make a bridge, still down.  A *mac* of its own, else it changes with every port."""
    # Without snooping no querier is needed for multicast, and so for IPv6 neighbours, to pass.
    data = nested(_IFLA_INFO_DATA, attribute(_IFLA_BR_MCAST_SNOOPING, b"\0"))
    body = _info() + text(_IFLA_IFNAME, name) + attribute(_IFLA_ADDRESS, mac_bytes(mac))
    body += number(_IFLA_MTU, mtu)
    body += nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, "bridge"), data)
    return NetlinkMessage(_NEWLINK, _CREATE, body, f"add bridge '{name}'")


def new_veth(
    name: str, peer: str, *, peer_namespace_fd: int, peer_mac: str, mtu: int, master: int = 0
) -> NetlinkMessage:
    """Make a pair, the *peer* at once in the other namespace and down, our end up.

    With *master* our end is a port of that bridge.
    """
    inner = _info() + text(_IFLA_IFNAME, peer) + number(_IFLA_NET_NS_FD, peer_namespace_fd)
    inner += number(_IFLA_MTU, mtu) + attribute(_IFLA_ADDRESS, mac_bytes(peer_mac))
    data = nested(_IFLA_INFO_DATA, attribute(_VETH_INFO_PEER, inner))
    body = _info(flags=IFF_UP, change=IFF_UP) + text(_IFLA_IFNAME, name) + number(_IFLA_MTU, mtu)
    if master:
        body += number(_IFLA_MASTER, master)
    body += nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, "veth"), data)
    return NetlinkMessage(_NEWLINK, _CREATE, body, f"add veth pair '{name}'")


def new_macvlan(
    name: str, parent: int, *, namespace_fd: int, mode: str = "bridge", mac: str = ""
) -> NetlinkMessage:
    """Make a macvlan link of *parent* (an index here), at once in the other namespace, down.

    Raises:
        KeyError: *mode* is none of `MACVLAN_MODES`.
    """
    data = nested(_IFLA_INFO_DATA, number(_IFLA_MACVLAN_MODE, MACVLAN_MODES[mode]))
    body = _info() + text(_IFLA_IFNAME, name) + number(_IFLA_LINK, parent)
    body += number(_IFLA_NET_NS_FD, namespace_fd)
    if mac:
        body += attribute(_IFLA_ADDRESS, mac_bytes(mac))
    body += nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, "macvlan"), data)
    return NetlinkMessage(_NEWLINK, _CREATE, body, f"add macvlan '{name}'")


def delete_link(name: str) -> NetlinkMessage:
    """Remove a link; with one end of a veth pair goes the other."""
    return NetlinkMessage(_DELLINK, 0, _info() + text(_IFLA_IFNAME, name), f"delete link '{name}'")


def set_up(index: int, *, up: bool = True) -> NetlinkMessage:
    """Switch a link on or off."""
    body = _info(index=index, flags=IFF_UP if up else 0, change=IFF_UP)
    return NetlinkMessage(_SETLINK, 0, body, f"set link {index} {'up' if up else 'down'}")


def rename(index: int, name: str) -> NetlinkMessage:
    """Give a link, which must be down, another name."""
    return NetlinkMessage(
        _SETLINK, 0, _info(index=index) + text(_IFLA_IFNAME, name), f"rename to '{name}'"
    )


def set_hairpin(index: int) -> NetlinkMessage:
    """Let a bridge send a packet back through the port it came from.

    A container that talks to its own published port needs it.
    """
    body = _info(index=index, family=socket.AF_BRIDGE)
    body += nested(_IFLA_PROTINFO, attribute(_IFLA_BRPORT_MODE, b"\x01"))
    return NetlinkMessage(_SETLINK, 0, body, f"set hairpin on link {index}")


def no_link_local(index: int) -> NetlinkMessage:
    """Keep the kernel from giving the link an fe80:: address when it comes up."""
    mode = attribute(_IFLA_INET6_ADDR_GEN_MODE, bytes([_IN6_ADDR_GEN_MODE_NONE]))
    body = _info(index=index) + nested(_IFLA_AF_SPEC, nested(socket.AF_INET6, mode))
    return NetlinkMessage(_SETLINK, 0, body, f"set the address mode of link {index}")


def add_address(index: int, address: str, prefix: int) -> NetlinkMessage:
    """Give a link an IPv4 or IPv6 address; IPv6 is usable at once, without duplicate detection."""
    family = _family(address)
    raw = socket.inet_pton(family, address)
    flags = _IFA_F_NODAD if family == socket.AF_INET6 else 0
    body = _ADDRESS.pack(family, prefix, flags, 0, index)
    body += attribute(_IFA_LOCAL, raw) + attribute(_IFA_ADDRESS, raw)
    if family == socket.AF_INET and prefix < 31:
        hosts = (1 << (32 - prefix)) - 1
        broadcast = int.from_bytes(raw) | hosts
        body += attribute(_IFA_BROADCAST, broadcast.to_bytes(4))
    return NetlinkMessage(_NEWADDR, _CREATE, body, f"add address {address}/{prefix}")


def add_default_route(gateway: str, index: int = 0) -> NetlinkMessage:
    """Send what has no other route to *gateway*, of whichever family that is."""
    family = _family(gateway)
    body = _ROUTE.pack(family, 0, 0, 0, _RT_TABLE_MAIN, _RTPROT_BOOT, 0, _RTN_UNICAST, 0)
    body += attribute(_RTA_GATEWAY, socket.inet_pton(family, gateway))
    if index:
        body += number(_RTA_OIF, index)
    return NetlinkMessage(_NEWROUTE, _CREATE, body, f"add the default route by {gateway}")


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def find(kernel: netlink.Socket, name: str) -> Link | None:
    """Return the link called *name*, None when there is none."""
    request = NetlinkMessage(
        _GETLINK, 0, _info() + text(_IFLA_IFNAME, name), f"look up link '{name}'"
    )
    try:
        return _link(kernel.get(request))
    except OSError as error:
        if error.errno == errno.ENODEV:
            return None
        raise


def links(kernel: netlink.Socket) -> list[Link]:
    """Return all links of the namespace."""
    return [_link(body) for body in kernel.dump(NetlinkMessage(_GETLINK, 0, _info(), "list links"))]


def _link(body: bytes) -> Link:
    _, _, index, flags, _ = _INFO.unpack_from(body)
    found = netlink.attributes(body[_INFO.size :])
    details = netlink.attributes(found.get(_IFLA_LINKINFO, b""))
    return Link(
        index,
        _string(found[_IFLA_IFNAME]),
        flags,
        _integer(found.get(_IFLA_MTU)),
        found.get(_IFLA_ADDRESS, b"").hex(":"),
        _string(details.get(_IFLA_INFO_KIND, b"")),
        _integer(found.get(_IFLA_MASTER)),
    )


def addresses(kernel: netlink.Socket) -> list[tuple[int, str, int]]:
    """Return every address of the namespace as (link index, address, prefix)."""
    found = []
    for body in kernel.dump(
        NetlinkMessage(_GETADDR, 0, _ADDRESS.pack(0, 0, 0, 0, 0), "list addresses")
    ):
        family, prefix, _, _, index = _ADDRESS.unpack_from(body)
        values = netlink.attributes(body[_ADDRESS.size :])
        raw = values.get(_IFA_LOCAL) or values[_IFA_ADDRESS]
        found.append((index, socket.inet_ntop(family, raw), prefix))
    return found


def routes(kernel: netlink.Socket, family: int = socket.AF_INET) -> list[Route]:
    """Return the routes of the main table."""
    header = _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
    found = []
    for body in kernel.dump(NetlinkMessage(_GETROUTE, 0, header, "list routes")):
        _, prefix, _, _, table, *_ = _ROUTE.unpack_from(body)
        values = netlink.attributes(body[_ROUTE.size :])
        if _integer(values.get(_RTA_TABLE), table) != _RT_TABLE_MAIN:
            continue
        empty = bytes(16 if family == socket.AF_INET6 else 4)
        destination = socket.inet_ntop(family, values.get(_RTA_DST, empty))
        gateway = values.get(_RTA_GATEWAY)
        shown = socket.inet_ntop(family, gateway) if gateway else ""
        found.append(Route(destination, prefix, shown, _integer(values.get(_RTA_OIF))))
    return found


def _integer(value: bytes | None, default: int = 0) -> int:
    return struct.unpack("=I", value)[0] if value else default


def _string(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")
