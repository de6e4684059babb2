"""A container's way onto its network, without loading what that mode of network does not need.

``none``, ``host`` and ``container:ID`` are nothing but files for /etc: `runtime.network.networks`
with netlink, firewall and leases costs such a start 15 ms of imports.
"""

from __future__ import annotations

from runtime.model.state import Endpoint
from runtime.network import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.spec import Mount, Spec
    from runtime.network.networks import Networks
    from runtime.store.layout import Layout

_ALONE = ("none", "host")
SHARED = "container:"


class Connection:
    """What a monitor holds of networks as long as its container is there."""

    def __init__(self, layout: Layout, spec: Spec) -> None:
        self._layout = layout
        self._spec = spec
        self._networks: Networks | None = None
        if not _is_alone(spec.network):
            self._load()

    def _load(self) -> Networks:
        if self._networks is None:
            from runtime.network.networks import Networks

            self._networks = Networks(self._layout)
        return self._networks

    def reserve(self) -> Endpoint:
        """Lease an address and bind the ports.

        Raises:
            RuntimeFailure: no such network, no address left, a port in use.
        """
        if self._networks is None:
            return Endpoint(self._spec.network)
        return self._networks.reserve(self._spec)

    def write_files(self, endpoint: Endpoint, directory: str) -> tuple[Mount, ...]:
        """Write hosts, hostname and resolv.conf; return how they are to be mounted."""
        return files.write(self._spec, endpoint, directory, self._layout.container)

    def attach(self, endpoint: Endpoint, pid: int) -> Endpoint:
        """Make what *endpoint* says in the network namespace of *pid*; `lo` is up already."""
        if self._networks is None:
            return endpoint
        return self._networks.attach(self._spec, endpoint, pid)

    def disconnect(self, endpoint: Endpoint) -> None:
        """Undo everything; a second time is nothing."""
        if not _is_alone(endpoint.network):  # also one that was joined later
            self._load().disconnect(self._spec.id, endpoint)

    def child_ended(self, pid: int) -> bool:
        """Tell whether *pid*, which has been reaped, was a relay of ours."""
        return self._networks is not None and self._networks.child_ended(pid)

    def take_remarks(self) -> list[str]:
        """Return the sentences a person should see once, and forget them."""
        return [] if self._networks is None else self._networks.take_remarks()


def _is_alone(network: str) -> bool:
    """Tell whether this mode of network takes nothing but files for /etc."""
    return network in _ALONE or network.startswith(SHARED)
