"""Connection tracking: forget the UDP flows of a port.

A flow that the kernel knows keeps going where it went, whatever the rules say by now: a client
that always sends from one port would reach the container that had the port before, for as long as
it keeps sending.  TCP has no such trouble.  See include/uapi/linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import _socket as socket
import errno
import struct

from runtime.linux import netlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

_SUBSYSTEM = 1 << 8  # NFNL_SUBSYS_CTNETLINK
_GET = _SUBSYSTEM | 1
_DELETE = _SUBSYSTEM | 2
_TUPLE_ORIGINAL = 1
_TUPLE_PROTOCOL = 2
_PROTOCOL_NUMBER, _PROTOCOL_DESTINATION = 1, 3
_ID = 12
_HEADER = struct.Struct("=BBH")  # nfgenmsg: family, version, resource
_UNKNOWN = {errno.ENOENT, errno.EPROTONOSUPPORT, errno.EOPNOTSUPP, errno.EINVAL}


def forget_udp(ports: Collection[int]) -> None:
    """Forget every UDP flow to one of *ports* that the machine tracks; needs CAP_NET_ADMIN.

    No-op on a kernel without connection tracking.
    """
    try:
        with netlink.Socket(netlink.NETFILTER) as kernel:
            for family in (socket.AF_INET, socket.AF_INET6):
                _forget(kernel, family, ports)
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise


def _forget(kernel: netlink.Socket, family: int, ports: Collection[int]) -> None:
    header = _HEADER.pack(family, 0, 0)
    for body in kernel.dump(netlink.NetlinkMessage(_GET, 0, header, "list tracked connections")):
        found = netlink.attributes(body[_HEADER.size :])
        original = found.get(_TUPLE_ORIGINAL, b"")
        protocol = netlink.attributes(netlink.attributes(original).get(_TUPLE_PROTOCOL, b""))
        if protocol.get(_PROTOCOL_NUMBER) != bytes([socket.IPPROTO_UDP]):
            continue
        (destination,) = struct.unpack(">H", protocol.get(_PROTOCOL_DESTINATION, b"\0\0"))
        if destination in ports:
            # The id keeps us from deleting a flow that took the place of this one.
            what = netlink.attribute(_TUPLE_ORIGINAL | netlink.NLA_F_NESTED, original)
            what += netlink.attribute(_ID, found.get(_ID, bytes(4)))
            _delete(kernel, netlink.NetlinkMessage(_DELETE, 0, header + what, "forget a UDP flow"))


def _delete(kernel: netlink.Socket, message: netlink.NetlinkMessage) -> None:
    try:
        kernel.run(message)
    except OSError as error:
        if error.errno != errno.ENOENT:  # it timed out by itself
            raise
