"""A container's way onto its network, without loading what that mode of network does not need.

``none``, ``host`` and ``container:ID`` are nothing but files for /etc: `runtime.network.networks`
with netlink, firewall and leases costs such a start 15 ms of imports.
"""

from __future__ import annotations

import os

from runtime.model.container.state import Endpoint
from runtime.model.errors import RuntimeFailure
from runtime.network import etc_files
from runtime.store import events
from runtime.store.containers import Containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.model.container.spec import Mount, Spec
    from runtime.network.catalog import Catalog
    from runtime.network.networks import Networks
    from runtime.store.layout import Layout

_ALONE = ("none", "host")
SHARED = "container:"


class NetworkConnection:
    """What a monitor holds of networks as long as its container is there."""

    def __init__(self, layout: Layout, spec: Spec) -> None:
        self._layout = layout
        self._spec = spec
        self._catalog: Catalog | None = None
        self._networks: Networks | None = None
        if not _is_alone(spec.network):
            self._load()

    def change(self, spec: Spec) -> None:
        """Let the next start go by *spec*."""
        self._spec = spec

    def _load(self) -> Networks:
        if self._networks is None:
            from runtime.network.catalog import Catalog
            from runtime.network.networks import Networks

            self._catalog = Catalog(self._layout)
            self._networks = Networks(self._catalog)
        return self._networks

    def reserve(self) -> Endpoint:
        """Lease an address and bind the ports.

        Raises:
            RuntimeFailure: no such network, no address left, a port in use.
        """
        if _is_alone(self._spec.network):
            return Endpoint(self._spec.network)
        return self._load().reserve(self._spec)

    def write_files(self, endpoint: Endpoint, directory: str) -> tuple[Mount, ...]:
        """Write hosts, hostname and resolv.conf; return how they are to be mounted.

        Raises:
            RuntimeFailure: a container to link to is not running.
        """
        spec = self._spec
        if spec.links:
            spec = spec.replace(add_hosts=(*spec.add_hosts, *self._linked(endpoint)))
        if self._networks is None:
            return etc_files.write(spec, endpoint, directory, self._layout.container)
        return self._networks.write_host_files(spec, endpoint, directory)

    def _linked(self, endpoint: Endpoint) -> Iterator[tuple[str, str]]:
        """Yield (name, address) for what --link names: alias, name and short id, as docker's."""
        containers = Containers(self._layout)
        for container_id, alias in self._spec.links:
            spec, state = containers.load(container_id)
            addresses = [
                each.address for each in state.endpoints if each.network == endpoint.network
            ]
            if not addresses or not addresses[0]:
                raise RuntimeFailure(
                    f"cannot link to '{spec.name}' as '{alias}': it is not running on network "
                    f"'{endpoint.network}'",
                    f"runtime start {spec.name}",
                )
            for name in dict.fromkeys((alias, spec.name, spec.id[:12])):
                yield name, addresses[0]

    def attach(self, endpoint: Endpoint, pid: int) -> Endpoint:
        """Make what *endpoint* says in the network namespace of *pid*; `lo` is up already."""
        if self._networks is None or _is_alone(endpoint.network):
            return endpoint
        return self._networks.attach(self._spec, endpoint, pid)

    def join(self, pid: int, first: Endpoint) -> Iterator[Endpoint]:
        """Join the further networks of the container, and yield how it is on each.

        Raises:
            RuntimeFailure: no such network, no address left; those yielded are the caller's to undo.
        """
        present = [first]
        for join in self._spec.joins:
            try:
                made = self._load().join(self._spec, join, pid, present, owner=os.getpid())
            except RuntimeFailure as failure:
                failure.code = 125  # an unknown network is 1 to the verbs of networks
                raise
            present.append(made)
            yield made

    def disconnect(self, endpoint: Endpoint) -> None:
        """Undo everything. Idempotent."""
        if not _is_alone(endpoint.network):  # also one that was joined later
            self._load().disconnect(self._spec.id, endpoint)

    def let_go(self) -> None:
        """Give back the ports of a network that a command has disconnected meanwhile."""
        if self._networks is not None:
            self._networks.let_go(self._spec.id)

    def child_ended(self, pid: int) -> bool:
        """Return whether *pid*, which has been reaped, was a relay of ours."""
        return self._networks is not None and self._networks.child_ended(pid)

    def take_remarks(self) -> list[str]:
        """Return the sentences a person should see once, and forget them."""
        return [] if self._catalog is None else self._catalog.take_remarks()


def note(layout: Layout, spec: Spec, endpoint: Endpoint, action: str) -> None:
    """Note in the log of events that the container has been connected or disconnected."""
    if network_id := endpoint.extra.get("network_id", ""):
        attributes = {"container": spec.id, "name": endpoint.network}
        events.emit(layout, "network", action, network_id, attributes)


def _is_alone(network: str) -> bool:
    """Return whether this mode of network takes nothing but files for /etc."""
    return network in _ALONE or network.startswith(SHARED)
