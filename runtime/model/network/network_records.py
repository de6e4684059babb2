"""What a network is, which names it may have, and how ``docker network inspect`` shows it."""

from __future__ import annotations

from runtime.model.container.state import Endpoint
from runtime.model.errors import RuntimeFailure
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

DEFAULT = "bridge"
DEFAULT_INTERFACE = "runtime0"
BUILT_IN = ("bridge", "host", "none")
DRIVERS = ("bridge", "macvlan")
CNI = "cni:"
SHARED = "container:"

_NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_LONGEST_NAME = 128


class Network(Record):
    """One network, as kept on disk."""

    name: str
    id: str  # 64 hex digits
    driver: str = "bridge"  # bridge | macvlan | host | null
    subnet: str = ""  # 172.18.0.0/16
    gateway: str = ""
    ip_range: str = ""  # the part of the subnet that addresses are taken from
    subnet6: str = ""  # empty: IPv4 alone
    gateway6: str = ""
    internal: bool = False  # no way out, no way in
    labels: Mapping[str, str] = {}
    options: Mapping[str, str] = {}  # -o parent=eth0, -o macvlan_mode=bridge, -o mtu=1400
    created: float = 0.0  # wall clock, seconds

    @property
    def interface(self) -> str:
        """Return the bridge's name on this machine; the kernel allows 15 letters."""
        return DEFAULT_INTERFACE if self.name == DEFAULT else f"rt-{self.id[:12]}"

    @property
    def has_names(self) -> bool:
        """Return whether containers find each other by name: not on the default bridge."""
        return self.name != DEFAULT and self.driver in DRIVERS


class Lease(Record):
    """What one container holds of one network: the file that outlives a crash.

    Written before anything it speaks of is made, removed after all of it is gone.
    """

    id: str  # the container's
    name: str
    network: str
    owner: int  # pid of the process that holds it: the container's monitor
    owner_started: int  # its start, in clock ticks since boot
    address: str = ""
    prefix: int = 0
    gateway: str = ""
    address6: str = ""
    mac: str = ""
    interface: str = "eth0"
    host_interface: str = ""
    names: tuple[str, ...] = ()  # by which the others on the network find it
    bindings: tuple[
        tuple[str, int, int, str], ...
    ] = ()  # (host address, host, container, protocol)
    translated: tuple[tuple[str, int, int, str], ...] = ()  # those that nft does
    hosts_file: str = ""  # rewritten when others come and go
    pid: int = 0  # CNI: a process in the container's namespace, and its start
    pid_started: int = 0
    plugins: str = ""  # CNI: the configuration, as JSON text
    result: str = ""  # CNI: what ADD gave


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a new network.

    Raises:
        RuntimeFailure: it is built in, empty, or has letters that docker refuses too.
    """
    if name in BUILT_IN:
        raise RuntimeFailure(f"cannot create network '{name}': it is built in", "", 1)
    first = name[:1]
    if not first.isalnum() or not set(name) <= _NAME_LETTERS or len(name) > _LONGEST_NAME:
        raise RuntimeFailure(
            f"cannot create network '{name}': a name has letters, digits, '_', '.' and '-', "
            "and starts with a letter or digit",
            "",
            1,
        )


def is_own(mode: str) -> bool:
    """Return whether a container with this ``--net`` has a network namespace of its own."""
    return mode != "host" and not mode.startswith(SHARED)


def describe(network: Network, leases: Sequence[Lease], created: str) -> dict[str, Any]:
    """Return the network as ``docker network inspect`` does; *created* in RFC 3339."""
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": created,
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv6": bool(network.subnet6),
        "IPAM": {"Driver": "default", "Options": {}, "Config": _ranges(network)},
        "Internal": network.internal,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {lease.id: _member(lease, network) for lease in leases},
        "Options": _options(network),
        "Labels": dict(network.labels),
    }


def _ranges(network: Network) -> list[dict[str, str]]:
    found = []
    if network.subnet:
        config = {"Subnet": network.subnet, "IPRange": network.ip_range, "Gateway": network.gateway}
        found.append({key: value for key, value in config.items() if value})
    if network.subnet6:
        found.append({"Subnet": network.subnet6, "Gateway": network.gateway6})
    return found


def _options(network: Network) -> dict[str, str]:
    if network.name != DEFAULT:
        return dict(network.options)
    return {
        "com.docker.network.bridge.default_bridge": "true",
        "com.docker.network.bridge.name": network.interface,
        **network.options,
    }


def _member(lease: Lease, network: Network) -> dict[str, str]:
    bits6 = network.subnet6.partition("/")[2]
    return {
        "Name": lease.name,
        "EndpointID": endpoint_id(lease.id, network.id),
        "MacAddress": lease.mac,
        "IPv4Address": f"{lease.address}/{lease.prefix}" if lease.address else "",
        "IPv6Address": f"{lease.address6}/{bits6}" if lease.address6 else "",
    }


def endpoint_settings(
    network_id: str, endpoint: Endpoint, aliases: Sequence[str] = ()
) -> dict[str, Any]:
    """Return one entry of NetworkSettings.Networks of ``docker inspect``."""
    return {
        "IPAMConfig": None,
        "Links": None,
        "Aliases": list(aliases) or None,
        "NetworkID": network_id,
        "EndpointID": endpoint.extra.get("endpoint_id", ""),
        "Gateway": endpoint.gateway,
        "IPAddress": endpoint.address,
        "IPPrefixLen": endpoint.prefix,
        "IPv6Gateway": endpoint.extra.get("gateway6", ""),
        "GlobalIPv6Address": endpoint.address6,
        "GlobalIPv6PrefixLen": int(endpoint.extra.get("prefix6", "0")),
        "MacAddress": endpoint.mac,
        "DriverOpts": None,
    }


def endpoint_id(container_id: str, network_id: str) -> str:
    """Return the id of a container on a network: docker draws one, ours follows from both."""
    return container_id[:32] + network_id[:32]
