"""The published ports of the containers that this process looks after.

Ports are bound before anything else of a container is made; later they answer by nft where it can
lead them to the container, and by a relay process of this one's where it cannot.
"""

from __future__ import annotations

from runtime.model.errors import RuntimeFailure
from runtime.model.network import published_ports as ports_model

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.container.spec import Port
    from runtime.model.network.network_records import Lease, Network
    from runtime.network.catalog import Catalog
    from runtime.network.port_sockets import Reserved
    from runtime.network.relay import PortRelay


class Publisher:
    """The bound ports and the relays of this process."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._reserved: dict[str, list[Reserved]] = {}  # by container id
        self._relays: dict[str, PortRelay] = {}  # by container id

    def bind(self, network: Network, lease: Lease, wanted: list[Port]) -> Lease:
        """Bind *wanted* on this machine; return the lease with them. It is released on failure.

        Raises:
            RuntimeFailure: the network publishes none, or a port is in use; says by whom.
        """
        leases = self._catalog.leases
        if network.driver != "bridge" or network.internal:
            leases.release(lease)
            kind = "internal" if network.internal else network.driver
            raise RuntimeFailure(
                f"cannot publish ports of '{lease.name}': network '{network.name}' is {kind}",
                "its containers are reached at their own addresses"
                if network.driver != "bridge"
                else "connect the container to another network to be reached from outside",
            )
        from runtime.network import port_sockets

        try:
            reserved = port_sockets.reserve(wanted, leases.all())
        except BaseException:
            leases.release(lease)
            raise
        self._reserved[lease.id] = reserved
        bound = lease.replace(bindings=tuple(each.binding for each in reserved))
        leases.keep(bound)
        return bound

    def publish(self, lease: Lease) -> None:
        """Have the ports answer: by nft where it can, the rest by a relay."""
        reserved = self._reserved[lease.id]
        usable = self._catalog.firewall.ensure()
        translated = [
            binding for binding in lease.bindings if usable and _translates(binding, lease)
        ]
        lease = self._catalog.firewall.publish(lease.replace(translated=tuple(translated)))
        services = []
        for each in reserved:
            # Also what nft translates needs the relay on [::1]: no rule leads out of it.
            if each.binding in lease.translated and each.binding[0] != ports_model.ANY6:
                each.idle()
            else:
                services.append((each.socket, (lease.address, each.binding[2])))
        if services:
            from runtime.network.relay import PortRelay

            self._relays[lease.id] = PortRelay(services)
        forget_flows(lease)

    def withdraw(self, lease: Lease) -> Lease:
        """Have the ports answer no more; return the lease without what nft translated.

        They stay bound until `release`.
        """
        if lease.translated:
            lease = self._catalog.firewall.withdraw(lease)
        if lease.bindings:
            self._stop_relay(lease.id)
        return lease

    def release(self, container_id: str) -> None:
        """Release the ports that are bound for a container, and end its relay."""
        self._stop_relay(container_id)
        for each in self._reserved.pop(container_id, []):
            each.socket.close()

    def child_ended(self, pid: int) -> bool:
        """Fork a relay anew when *pid*, which the caller reaped, was one; return whether it was."""
        for relay in self._relays.values():
            if relay.pid == pid:
                relay.start()
                return True
        return False

    def _stop_relay(self, container_id: str) -> None:
        relay = self._relays.pop(container_id, None)
        if relay is not None:
            relay.stop()


def _translates(binding: tuple[str, int, int, str], lease: Lease) -> bool:
    """Return whether nft can lead this binding to the container."""
    address = binding[0]
    return ":" not in address or (bool(lease.address6) and address != "::1")


def forget_flows(lease: Lease) -> None:
    """Have the kernel forget the UDP conversations of the ports of *lease*."""
    udp = {host for _, host, _, protocol in lease.bindings if protocol == "udp"}
    if udp:
        from runtime.linux import conntrack

        conntrack.forget_udp(udp)
