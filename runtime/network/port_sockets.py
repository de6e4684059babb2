"""Reserve ports on this machine: a bound socket each, held as long as the container runs.

nft alone would let two containers publish one port, and hide another program's.  The socket also
is what the relay listens on where nft does not translate.
"""

from __future__ import annotations

import _socket as socket
import errno
import os

from runtime.model.errors import RuntimeFailure
from runtime.model.network import published_ports
from runtime.network.leases import is_held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runtime.model.container.spec import Port
    from runtime.model.network.network_records import Lease

Binding = tuple[str, int, int, str]  # host address, host port, container port, protocol

_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
_ATTEMPTS = 50  # at one random port that is free for IPv4 and IPv6
_BACKLOG = 511


class Reserved:
    """One port that is ours on one address."""

    def __init__(self, binding: Binding, owned_socket: socket.socket) -> None:
        self.binding = binding
        self.socket = owned_socket

    def idle(self) -> None:
        """Refuse what reaches the socket itself: nft translates before that."""
        if self.socket.type == socket.SOCK_STREAM:
            # A listener that was shut down keeps its port and refuses connections.
            self.socket.shutdown(socket.SHUT_RDWR)
        else:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)


def reserve(wanted: Iterable[Port], leases: Sequence[Lease]) -> list[Reserved]:
    """Bind every port of *wanted*, on IPv4 and IPv6 where no address is given; all or none.

    Raises:
        RuntimeFailure: one is in use (says by whom), is not permitted, or its address is not
            this machine's.
    """
    done: list[Reserved] = []
    try:
        for port in wanted:
            done += _reserve(port, leases)
    except BaseException:
        release(done)
        raise
    return done


def release(reserved: Iterable[Reserved]) -> None:
    """Give ports back."""
    for each in reserved:
        each.socket.close()


def _reserve(port: Port, leases: Sequence[Lease]) -> list[Reserved]:
    addresses = [port.address] if port.address else [published_ports.ANY4, published_ports.ANY6]
    if port.host_last:
        candidates = list(range(port.host, port.host_last + 1))
    else:
        candidates = [port.host] * (1 if port.host else _ATTEMPTS)
    for number in candidates:
        try:
            return _bind_all(port, number, addresses)
        except OSError as error:
            refused = error
            if error.errno != errno.EADDRINUSE:
                break
    raise _explain(port, refused, leases)


def _bind_all(port: Port, number: int, addresses: list[str]) -> list[Reserved]:
    """Bind one number (0: any) on all *addresses*.

    Raises:
        OSError: one of them is not to be had.
    """
    done: list[Reserved] = []
    try:
        for address in addresses:
            try:
                held = _bind(port.protocol, address, number)
            except OSError as error:
                missing = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}
                if not port.address and address == published_ports.ANY6 and error.errno in missing:
                    continue  # a machine without IPv6
                raise
            number = held.getsockname()[1]
            done.append(Reserved((address, number, port.container, port.protocol), held))
    except OSError:
        release(done)
        raise
    return done


def _bind(protocol: str, address: str, number: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, _KINDS[protocol] | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if protocol == "tcp":
            # Connections of an earlier relay in TIME_WAIT are no obstacle; a second listener is,
            # so only listen(2) tells.  Without the option nobody else's listen(2) succeeds.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, number))
        if protocol == "tcp":
            made.listen(_BACKLOG)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except BaseException:
        made.close()
        raise
    return made


def _explain(port: Port, error: OSError, leases: Sequence[Lease]) -> RuntimeFailure:
    shown = f"{port.host}/{port.protocol}"
    at = f"{port.address}:{shown}" if port.address else shown
    if error.errno == errno.EADDRINUSE:
        if port.host_last:
            return RuntimeFailure(
                f"cannot publish port {port.container}/{port.protocol}: "
                f"all host ports {port.host} to {port.host_last} are in use",
                "name a wider range",
            )
        return RuntimeFailure(
            f"cannot publish port {at}: port {port.host} is in use by {_user(port, leases)}",
            f"choose another host port: -p {port.host + 1}:{port.container}",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return RuntimeFailure(
            f"cannot publish port {at}: this machine has no address {port.address}"
        )
    if error.errno == errno.EACCES:
        return RuntimeFailure(
            f"cannot publish port {at}: ports below 1024 need root",
            f"choose a higher one: -p {port.host + 8000}:{port.container}",
        )
    return RuntimeFailure(f"cannot publish port {at}: {error.strerror}")


def _user(port: Port, leases: Sequence[Lease]) -> str:
    """Return the user of the port: a container, a program, or words for an unknown one."""
    for lease in leases:
        for address, host, _, protocol in lease.bindings:
            same = (host, protocol) == (port.host, port.protocol)
            if same and _meet(address, port.address) and is_held(lease):
                return f"container '{lease.name}'"
    inodes = _inodes(port)
    for pid in _pids():
        if inodes and inodes & _sockets(pid):
            return f"program '{_name(pid)}' (pid {pid})"
    return "another program"


def _meet(one: str, other: str) -> bool:
    """Return whether two addresses, "" for all, have one in common."""
    return one == other or not {one, other}.isdisjoint(
        {"", published_ports.ANY4, published_ports.ANY6}
    )


def _inodes(port: Port) -> set[str]:
    """Return the sockets on that port, by inode; see proc_pid_net(5)."""
    found = set()
    for name in (port.protocol, f"{port.protocol}6"):
        try:
            with open(f"/proc/self/net/{name}") as file:
                lines = file.read().splitlines()[1:]
        except FileNotFoundError:
            continue
        for line in lines:
            fields = line.split()
            listening = port.protocol == "udp" or fields[3] == "0A"
            if listening and int(fields[1].rpartition(":")[2], 16) == port.host:
                found.add(fields[9])
    return found


def _pids() -> list[int]:
    """Return the processes of this machine."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _sockets(pid: int) -> set[str]:
    """Return the inodes of the sockets *pid* has open; none when it is not ours to see."""
    found = set()
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
            if target.startswith("socket:["):
                found.add(target[8:-1])
    except OSError:
        return found  # it ended, or is another user's
    return found


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return "?"
