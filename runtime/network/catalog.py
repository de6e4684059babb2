"""The networks themselves: make, list, show, remove.  What containers do is in `networks`."""

from __future__ import annotations

import os
import time

from runtime.linux import locks, netlink, record_files
from runtime.model.errors import DamagedFailure, RuntimeFailure
from runtime.model.network import ipam
from runtime.model.network import network_records as model
from runtime.model.network.network_records import Network
from runtime.network import links, records
from runtime.network.firewall import Firewall
from runtime.network.leases import Leases
from runtime.network.records import NetworkRecords
from supervise.model.numerals import whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Protocol

    class Paths(Protocol):
        """What is needed of `runtime.store.layout.Layout`."""

        root: str
        run: str

        @property
        def networks(self) -> str:
            """Return the directory of the networks."""

        def lock(self, name: str) -> str:
            """Return the lock file of one part of the state."""

        def container(self, container_id: str) -> str:
            """Return one container's lasting directory."""


_OPTIONS = {"bridge": {"mtu"}, "macvlan": {"mtu", "parent", "macvlan_mode"}}
_DOCKER_MTU = "com.docker.network.driver.mtu"


class Catalog:
    """The networks of one root directory."""

    def __init__(self, layout: Paths) -> None:
        self.layout = layout
        self.lock = layout.lock("network")  # the path of the lock of all that follows
        self.records = NetworkRecords(layout.networks)
        self.leases = Leases(layout.run)
        self._remarks: list[str] = []
        self.firewall = Firewall(layout.run, self.lock, self.records, self.leases, self.remark)

    def remark(self, sentence: str) -> None:
        """Keep a sentence that a person should see once."""
        self._remarks.append(sentence)

    def take_remarks(self) -> list[str]:
        """Return the sentences a person should see once, and forget them."""
        found, self._remarks[:] = self._remarks[:], []
        return found

    def create(
        self,
        name: str,
        *,
        driver: str = "bridge",
        subnets: Sequence[str] = (),
        gateways: Sequence[str] = (),
        ip_range: str = "",
        internal: bool = False,
        ipv6: bool = False,
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> Network:
        """Make a network and return it; its bridge comes with the first container.

        *subnets* and *gateways* hold at most one of IPv4 and one of IPv6 each.

        Raises:
            RuntimeFailure: the name is taken or wrong, a subnet is wrong or overlaps another, a
                driver or option is unknown.
        """
        model.check_name(name)
        chosen = _check_options(name, driver, dict(options or {}))
        self.make_lock_directory()
        with locks.lock(self.lock):
            known = self.records.all()
            if any(network.name == name for network in known):
                raise RuntimeFailure(f"cannot create network '{name}': the name is in use", "", 1)
            four, six = _by_family(subnets, "subnet"), _by_family(gateways, "gateway")
            subnet = self._subnet(name, four[0], known, on_this_machine=driver == "bridge")
            subnet6 = ipam.subnet6(four[1]) if four[1] else ""
            if ipv6 and not subnet6:
                subnet6 = ipam.unique_local(os.urandom(7))
            network = Network(
                name,
                records.new_id(),
                driver,
                subnet,
                _gateway(name, subnet, six[0], driver),
                _ip_range(name, subnet, ip_range),
                subnet6,
                six[1] or (ipam.address6(subnet6, 1) if subnet6 else ""),
                internal,
                dict(labels or {}),
                chosen,
                round(time.time(), 3),
            )
            self.records.save(network)
        return network

    def list(self) -> list[Network]:
        """Return the networks, by name; the default bridge also before its first container."""
        found = [*self.records.all(), *self.records.damaged()]
        if not any(network.name == model.DEFAULT for network in found):
            found.append(self.network(model.DEFAULT))
        return sorted(found, key=lambda network: network.name)

    def find(self, reference: str) -> Network:
        """Return the network with that name, id or start of an id.

        Raises:
            RuntimeFailure: no network matches, or more than one does; code 1.
        """
        if reference == model.DEFAULT:
            return self.network(reference)
        return self.records.find(reference)

    def network(self, name: str) -> Network:
        """Return the network called *name*; the default bridge is made up at its first use.

        Raises:
            RuntimeFailure: there is no such network.
        """
        if name != model.DEFAULT:
            return self.records.load(name) or self.records.find(name)
        found = self._default()
        if found is not None and not self._must_move(found):
            return found
        self.make_lock_directory()
        with locks.lock(self.lock):
            found = self._default()
            if found is None or self._must_move(found):
                with netlink.Socket() as kernel:
                    links.remove_left(kernel, model.DEFAULT_INTERFACE)
                    routes = links.routes(kernel)
                others = [each for each in self.records.all() if each.name != name]
                found = records.default_bridge(routes, others)
                self.records.save(found)
        return found

    def _default(self) -> Network | None:
        """Return the default bridge as recorded, ignoring a damaged record that is not needed.

        Raises:
            DamagedFailure: containers are on it, at addresses that only the record tells.
        """
        try:
            return self.records.load(model.DEFAULT)
        except DamagedFailure as failure:
            if self.leases.of(model.DEFAULT):
                failure.hint = "stop the containers on it: then it is made anew"
                raise
            record_files.note(failure)
            self.records.delete(Network(model.DEFAULT, ""))
            return None

    def _must_move(self, network: Network) -> bool:
        """Return whether the default bridge needs another subnet before it is made again.

        After a reboot docker's bridge, say, may have come up first with the one we had.
        """
        own = ipam.subnet(network.subnet)
        with netlink.Socket() as kernel:
            if links.is_ready(kernel, network):
                return False
            overlap = any(ipam.overlap(own, route) for route in links.routes(kernel))
        return overlap and not self.leases.of(network.name)

    def inspect(self, reference: str) -> dict[str, Any]:
        """Return the network as ``docker network inspect`` does.

        Raises:
            RuntimeFailure: as `find`.
        """
        from runtime.model import timestamp

        network = self.find(reference)
        created = timestamp.render(network.created)
        return model.describe(network, self.leases.of(network.name), created)

    def remove(self, reference: str) -> Network:
        """Remove an unused network and its bridge; return its record.

        Raises:
            RuntimeFailure: it is built in, or containers are on it; says which.
        """
        try:
            network = self.find(reference)
        except DamagedFailure:
            network = self.records.stand_in(reference)
        if network.name in model.BUILT_IN:
            raise RuntimeFailure(f"cannot remove network '{network.name}': it is built in", "", 1)
        with locks.lock(self.lock):
            on_it = [f"'{lease.name}'" for lease in self.leases.of(network.name)]
            if on_it:
                raise RuntimeFailure(
                    f"cannot remove network '{network.name}': {', '.join(on_it)} "
                    f"{'are' if len(on_it) > 1 else 'is'} on it",
                    "stop or disconnect them first",
                    1,
                )
            self._remove(network)
        return network

    def prune(self, labels: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """Remove the unused networks that have all *labels*; return their names.

        A label with the value "" matches whatever its value is.
        """
        removed = []
        self.make_lock_directory()
        with locks.lock(self.lock):
            for network in (*self.records.all(), *self.records.damaged()):
                wanted = all(
                    key in network.labels and value in {"", network.labels[key]}
                    for key, value in (labels or {}).items()
                )
                built_in = network.name in model.BUILT_IN
                if wanted and not built_in and not self.leases.of(network.name):
                    self._remove(network)
                    removed.append(network.name)
        return tuple(removed)

    def _remove(self, network: Network) -> None:
        """Remove the bridge, then the record: after a crash in between, again."""
        if network.driver in ("bridge", records.DAMAGED) and network.id:
            with netlink.Socket() as kernel:
                links.delete(kernel, network.interface)
        self.leases.clear_unfinished()
        self.leases.close(network.name)
        self.records.delete(network)
        self.firewall.forget_network()

    def make_lock_directory(self) -> None:
        """Make the directory that the lock lies in."""
        os.makedirs(os.path.dirname(self.lock), mode=0o700, exist_ok=True)

    def _subnet(
        self, name: str, wanted: str, known: Sequence[Network], *, on_this_machine: bool
    ) -> str:
        """Return the IPv4 subnet of a new network."""
        if not on_this_machine:
            if not wanted:
                raise RuntimeFailure(
                    f"cannot create network '{name}': macvlan needs the subnet of the wire",
                    "name it with --subnet",
                    1,
                )
            return ipam.written(*ipam.subnet(wanted))
        with netlink.Socket() as kernel:
            routes = links.routes(kernel)
        if not wanted:
            default = ipam.subnet(ipam.DEFAULT_SUBNET)
            return ipam.free_pool([default, *routes, *records.subnets(known)])
        own = ipam.subnet(wanted)
        for network in known:
            if network.subnet and ipam.overlap(own, ipam.subnet(network.subnet)):
                _refuse(name, wanted, f"network '{network.name}', {network.subnet}")
        for route in routes:
            if ipam.overlap(own, route):
                _refuse(name, wanted, f"this machine's route to {ipam.written(*route)}")
        return ipam.written(*own)


def _refuse(name: str, subnet: str, other: str) -> None:
    raise RuntimeFailure(
        f"cannot create network '{name}': subnet {subnet} overlaps {other}",
        "choose another --subnet, or leave it out",
        1,
    )


def _by_family(given: Sequence[str], what: str) -> tuple[str, str]:
    """Return (the IPv4 one, the IPv6 one) of what an option gave.

    Raises:
        RuntimeFailure: there are two of one family.
    """
    found = ["", ""]
    for text in given:
        index = int(":" in text)
        if found[index]:
            raise RuntimeFailure(
                f"cannot use {what} '{text}': a network has one of each family", "", 1
            )
        found[index] = text
    return found[0], found[1]


def _gateway(name: str, subnet: str, wanted: str, driver: str) -> str:
    within = ipam.subnet(subnet)
    if not wanted:
        # On a wire the router is wherever it is; docker takes the first address all the same.
        return ipam.dotted(ipam.default_gateway(within)) if driver in model.DRIVERS else ""
    try:
        inside = ipam.contains(within, ipam.number(wanted))
    except ValueError:
        inside = False
    if not inside:
        raise RuntimeFailure(
            f"cannot create network '{name}': gateway {wanted} is not in {subnet}", "", 1
        )
    return wanted


def _ip_range(name: str, subnet: str, wanted: str) -> str:
    if not wanted:
        return ""
    part, within = ipam.subnet(wanted), ipam.subnet(subnet)
    if part[1] < within[1] or not ipam.overlap(part, within):
        raise RuntimeFailure(
            f"cannot create network '{name}': range {wanted} is not in {subnet}", "", 1
        )
    return ipam.written(*part)


def _check_options(name: str, driver: str, options: dict[str, str]) -> dict[str, str]:
    """Return *options* in our words; refuse what the driver does not know."""
    from runtime.linux import rtnetlink

    if driver not in _OPTIONS:
        raise RuntimeFailure(
            f"cannot create network '{name}': there is no driver '{driver}'",
            "the drivers are bridge and macvlan; networks of other kinds come with cni:NAME",
            1,
        )
    if _DOCKER_MTU in options:
        options["mtu"] = options.pop(_DOCKER_MTU)
    problem = ""
    unknown = [key for key in options if key not in _OPTIONS[driver]]
    mtu, mode = options.get("mtu", "1500"), options.get("macvlan_mode", "bridge")
    if unknown:
        problem = f"driver {driver} has no option '{unknown[0]}'"
    elif not 68 <= (whole(mtu) or 0) <= 65535:
        problem = f"'{mtu}' is not an mtu"
    elif mode not in rtnetlink.MACVLAN_MODES:
        problem = f"'{mode}' is not a macvlan mode"
    elif driver == "macvlan" and not options.get("parent"):
        problem = "macvlan needs an interface of this machine: -o parent=eth0"
    if problem:
        known = ", ".join(sorted(_OPTIONS[driver]))
        raise RuntimeFailure(
            f"cannot create network '{name}': {problem}", f"the options are {known}", 1
        )
    return options
