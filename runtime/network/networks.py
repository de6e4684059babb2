"""Networks of containers: the one door to this package.

A container's monitor makes one `Networks`, keeps it as long as the container runs, and calls

* `reserve` before anything else is made: the address is leased, the ports are bound, and what is
  wrong with either is said early;
* `write_host_files`, which needs the address only;
* `attach` when the container's namespace is there (a pid tells which);
* `child_ended` with each child it reaps, `take_remarks` when it can show them;
* `disconnect` at the end.

What few containers need (CNI, ports, the relay) is imported when it is needed: a start pays for
each module.

Commands use the rest.  Whatever a crash leaves is found by `heal` through the leases.
"""

from __future__ import annotations

import os

from runtime.linux import locks, netlink, netns
from runtime.model import networks as model
from runtime.model import ports as ports_model
from runtime.model.errors import RuntimeFailure
from runtime.model.networks import Lease, Network
from runtime.model.state import Endpoint
from runtime.network import files, links
from runtime.network.catalog import Catalog
from runtime.network.firewall import enable_forwarding
from runtime.network.leases import is_held
from supervise.linux import procfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from runtime.model.spec import Join, Mount, Port, Spec
    from runtime.network.catalog import Paths
    from runtime.network.ports import Reserved
    from runtime.network.relay import Relay

_FIRST = "eth0"  # the interface a container starts with


class Networks(Catalog):
    """The networks of one root directory, and what this process holds of them."""

    def __init__(self, layout: Paths) -> None:
        super().__init__(layout)
        self._reserved: dict[str, list[Reserved]] = {}  # by container id
        self._relays: dict[str, Relay] = {}  # by container id

    # --- one container -------------------------------------------------------------------

    def connect(self, spec: Spec, pid: int, container_dir: str) -> Endpoint:
        """Do all at once: `reserve`, `write_host_files`, `attach`.

        Raises:
            RuntimeFailure, OSError: nothing is left of it.
        """
        endpoint = self.reserve(spec)
        try:
            self.write_host_files(spec, endpoint, container_dir)
        except BaseException:
            self._abandon(spec.id, endpoint)
            raise
        return self.attach(spec, endpoint, pid)

    def reserve(self, spec: Spec) -> Endpoint:
        """Lease an address and bind the ports for *spec*; nothing else is made.

        Raises:
            RuntimeFailure: no such network, no address left, a port in use; says by whom.
        """
        mode = spec.network
        wanted = ports_model.wanted(spec.ports, spec.exposed, publish_all=spec.publish_all)
        if mode.startswith(model.CNI):
            lease = self._reserve_cni(spec, wanted)
        elif mode in {"host", "none"} or mode.startswith(model.SHARED):
            if wanted:
                self._no_ports(spec)
            return Endpoint(mode)
        else:
            network = self._network_to_run_on(mode)
            lease = self._take_address(network, spec, _FIRST, _ourselves())
            if wanted:
                lease = self._bind(network, lease, wanted)
        return self._endpoint(lease)

    def write_host_files(
        self, spec: Spec, endpoint: Endpoint, container_dir: str
    ) -> tuple[Mount, ...]:
        """Write hosts, hostname and resolv.conf; return them as mounts for the container.

        May be called before `attach`, and again: the files stay the same files.
        """
        mounts = files.write(spec, endpoint, container_dir, self._layout.container)
        lease = self.leases.find(endpoint.network, spec.id, endpoint.interface)
        if lease is not None and lease.names:
            self._tell(lease.network)
        return mounts

    def attach(self, spec: Spec, endpoint: Endpoint, pid: int) -> Endpoint:
        """Make what *endpoint*, from `reserve`, says in the network namespace of *pid*.

        Raises:
            RuntimeFailure, OSError: nothing is left of it.
        """
        if not model.is_own(endpoint.network):
            return endpoint
        namespace_fd = netns.open_of(pid)
        try:
            return self._attach_to(namespace_fd, spec, endpoint, pid)
        except BaseException:
            self._abandon(spec.id, endpoint)
            raise
        finally:
            os.close(namespace_fd)

    def disconnect(self, container_id: str, endpoint: Endpoint) -> None:
        """Undo `reserve` and `attach`; what is undone already is fine.

        With the first interface goes whatever else the container holds, such as a network that
        a command was joining when it was killed.  Takes 10 to 30 ms, most of it the kernel's for
        the interface: do it after the exit code.
        """
        self._abandon(container_id, endpoint)
        if endpoint.address and model.is_own(endpoint.network):
            self.leases.drop(endpoint.network, endpoint.address)  # one that cannot be read
        if endpoint.interface == _FIRST:
            for lease in self.leases.all():
                if lease.id == container_id:
                    self._undo(lease)

    def let_go(self, container_id: str) -> None:
        """Give back the ports held here of a network that a command has disconnected."""
        if (relay := self._relays.pop(container_id, None)) is not None:
            relay.stop()
        for each in self._reserved.pop(container_id, []):
            each.socket.close()

    def _abandon(self, container_id: str, endpoint: Endpoint) -> None:
        lease = self.leases.find(endpoint.network, container_id, endpoint.interface)
        if lease is not None:
            self._undo(lease)

    def join(
        self,
        spec: Spec,
        join: Join,
        pid: int,
        present: Sequence[Endpoint],
        *,
        owner: int,
    ) -> Endpoint:
        """Connect a running container, PID 1 of which is *pid*, to one more network.

        *present* are its endpoints, *owner* is its monitor.  Publishes no ports.

        Raises:
            RuntimeFailure: it is on that network, or has no network namespace of its own.
        """
        network = self.check_join(spec, join, [endpoint.network for endpoint in present])
        taken = {endpoint.interface for endpoint in present}
        interface = next(name for n in range(64) if (name := f"eth{n}") not in taken)
        changed = spec.replace(aliases=join.aliases, address=join.address, mac=join.mac)
        stat = procfs.stat(owner)
        holder = (owner, stat.start_time if stat else 0)
        lease = self._take_address(network, changed, interface, holder)
        endpoint = self.attach(spec, self._endpoint(lease), pid)
        files.add_own_lines(lease, files.hostname_of(spec), spec.domainname)
        return endpoint

    def check_join(self, spec: Spec, join: Join, present: Collection[str]) -> Network:
        """Return the network that a container on the networks *present* is to be connected to.

        Raises:
            RuntimeFailure: it cannot be; code 1.
        """
        network = self.find(join.network)
        _refuse_join(spec, network, present)
        if join.aliases and not network.has_names:
            raise RuntimeFailure(
                f"cannot connect '{spec.name}' to network '{network.name}' under an alias: "
                "its containers do not find each other by name",
                "runtime network create NAME makes one where they do",
                code=1,
            )
        return network

    def leave(self, container_id: str, endpoint: Endpoint, pid: int) -> None:
        """Disconnect a running container from one of its networks."""
        lease = self.leases.find(endpoint.network, container_id, endpoint.interface)
        if lease is None:
            return
        namespace_fd = netns.open_of(pid)
        try:
            links.remove_inside(namespace_fd, endpoint.interface)
        finally:
            os.close(namespace_fd)
        if lease.hosts_file:
            files.forget_network(lease)
        self._undo(lease)

    def child_ended(self, pid: int) -> bool:
        """Tell whether *pid*, which the caller has reaped, was a relay; it is forked anew then."""
        for relay in self._relays.values():
            if relay.pid == pid:
                relay.start()
                return True
        return False

    def heal(self, live_ids: Collection[str]) -> list[str]:
        """Undo what containers that are not among *live_ids* left; return what was found.

        A lease whose holder still runs is left alone too: its container may be starting.
        """
        found = []
        for lease in self.leases.all():
            if lease.id in live_ids or is_held(lease):
                continue
            try:
                self._undo(lease)
            except RuntimeFailure as error:
                # A CNI plugin that refuses: the lease stays, and the next command tries again.
                self._remarks.append(error.message)
            else:
                found.append(f"network '{lease.network}': {lease.address} of '{lease.name}'")
        self.leases.clear_unfinished()
        self.records.clear_unfinished()
        return found

    # --- the steps of these --------------------------------------------------------------

    def _no_ports(self, spec: Spec) -> None:
        """Say what becomes of published ports where there is nothing to publish to."""
        if spec.network.startswith(model.SHARED):
            raise RuntimeFailure(
                f"cannot publish ports of '{spec.name}': it shares the network of another container",
                "publish them there",
            )
        self._remarks.append(f"published ports are discarded with --net {spec.network}")

    def _network_to_run_on(self, name: str) -> Network:
        try:
            return self.network(name)
        except RuntimeFailure as error:
            # An unknown network is code 1 for the verbs of networks, 125 for `run`.
            raise RuntimeFailure(error.message, error.hint) from error

    def _take_address(
        self, network: Network, spec: Spec, interface: str, owner: tuple[int, int]
    ) -> Lease:
        names: tuple[str, ...] = ()
        if network.has_names:
            names = tuple(dict.fromkeys([spec.name, *spec.aliases, spec.id[:12]]))
            if spec.hostname:
                names = tuple(dict.fromkeys([*names, spec.hostname]))
        draft = Lease(
            spec.id,
            spec.name,
            network.name,
            *owner,
            mac=spec.mac,
            interface=interface,
            host_interface=links.host_name_of(spec.id, interface)
            if network.driver == "bridge"
            else "",
            names=names,
            hosts_file=f"{self._layout.container(spec.id)}/hosts" if names else "",
        )
        self._make_locks()
        with locks.lock(self._lock, shared=True):
            if self.records.load(network.name) is None:
                raise RuntimeFailure(f"cannot connect to network '{network.name}': it was removed")
            return self.leases.take(network, draft, spec.address)

    def _bind(self, network: Network, lease: Lease, wanted: list[Port]) -> Lease:
        if network.driver != "bridge" or network.internal:
            self.leases.release(lease)
            kind = "internal" if network.internal else network.driver
            raise RuntimeFailure(
                f"cannot publish ports of '{lease.name}': network '{network.name}' is {kind}",
                "its containers are reached at their own addresses"
                if network.driver != "bridge"
                else "connect the container to another network to be reached from outside",
            )
        from runtime.network import ports

        try:
            reserved = ports.reserve(wanted, self.leases.all())
        except BaseException:
            self.leases.release(lease)
            raise
        self._reserved[lease.id] = reserved
        bound = lease.replace(bindings=tuple(each.binding for each in reserved))
        self.leases.keep(bound)
        return bound

    def _reserve_cni(self, spec: Spec, wanted: list[Port]) -> Lease:
        from runtime.network import cni

        name = spec.network.removeprefix(model.CNI)
        planned = cni.plan(name, wanted, spec.address, spec.mac)
        bindings = tuple(
            (port.address or ports_model.ANY4, port.host, port.container, port.protocol)
            for port in wanted
        )
        pid, started = _ourselves()
        lease = Lease(
            spec.id,
            spec.name,
            spec.network,
            pid,
            started,
            hosts_file=f"{self._layout.container(spec.id)}/hosts",
            bindings=bindings,
            plugins=planned,
        )
        self.leases.keep(lease)
        return lease

    def _attach_to(self, namespace_fd: int, spec: Spec, endpoint: Endpoint, pid: int) -> Endpoint:
        if endpoint.network == "none":
            links.loopback_up(namespace_fd)
            return endpoint
        lease = self._lease_of(spec.id, endpoint)
        if endpoint.network.startswith(model.CNI):
            lease = self._attach_cni(lease, pid)
            # Its address was not known when the file was written.
            files.add_own_lines(lease, files.hostname_of(spec), spec.domainname)
            return self._endpoint(lease)
        self._attach(lease, namespace_fd)
        return endpoint

    def _attach_cni(self, lease: Lease, pid: int) -> Lease:
        from runtime.network import cni

        stat = procfs.stat(pid)
        lease = lease.replace(pid=pid, pid_started=stat.start_time if stat else 0)
        self.leases.keep(lease)
        done = cni.with_result(lease, cni.add(lease, _namespace_of(lease)))
        self.leases.keep(done)
        return done

    def _attach(self, lease: Lease, namespace_fd: int) -> None:
        network = self.network(lease.network)
        with netlink.Socket() as kernel:
            if network.driver == "macvlan":
                links.join_macvlan(kernel, network, lease, namespace_fd)
            else:
                self._ensure_bridge(kernel, network)
                links.join_bridge(kernel, network, lease, namespace_fd)
        if lease.bindings:
            self._publish(lease)
        if network.has_names:
            self._tell(network.name)

    def _ensure_bridge(self, kernel: netlink.Socket, network: Network) -> None:
        if not links.is_ready(kernel, network):
            with locks.lock(self._lock):
                links.make_bridge(kernel, network)
                if not network.internal:
                    enable_forwarding(self._remarks.append, ipv6=bool(network.subnet6))
                self._firewall.rebuild()
        else:
            self._firewall.ensure()

    def _publish(self, lease: Lease) -> None:
        """Have the ports answer: by nft where it can, the rest by a relay."""
        reserved = self._reserved[lease.id]
        usable = self._firewall.ensure()
        translated = [
            binding for binding in lease.bindings if usable and _translates(binding, lease)
        ]
        lease = self._firewall.publish(lease.replace(translated=tuple(translated)))
        services = []
        for each in reserved:
            # Also what nft translates needs the relay on [::1]: no rule leads out of it.
            if each.binding in lease.translated and each.binding[0] != ports_model.ANY6:
                each.idle()
            else:
                services.append((each.socket, (lease.address, each.binding[2])))
        if services:
            from runtime.network.relay import Relay

            self._relays[lease.id] = Relay(services)
        _forget_flows(lease)

    def _tell(self, network: str, leaving: Lease | None = None) -> None:
        """Have the containers of *network* know of each other; with *leaving*, without that one.

        It gives up its address in the same breath: nobody is to hear of it again.
        """
        with locks.lock(self._lock):
            on_it = self.leases.of(network)
            if leaving is None:
                files.tell_neighbours(network, on_it)
            else:
                others = [each for each in on_it if each.address != leaving.address]
                files.tell_neighbours(network, others)
                self.leases.release(leaving)

    def _undo(self, lease: Lease) -> None:
        """Take back all that *lease* stands for, the lease itself last."""
        if lease.translated:
            lease = self._firewall.withdraw(lease)
        relay = self._relays.pop(lease.id, None) if lease.bindings else None
        if relay is not None:
            relay.stop()
        if lease.plugins:
            from runtime.network import cni

            cni.delete(lease, _namespace_of(lease))
        if lease.host_interface:
            with netlink.Socket() as kernel:
                links.delete(kernel, lease.host_interface)
        _forget_flows(lease)
        if lease.names:
            self._tell(lease.network, leaving=lease)
        self.leases.release(lease)
        if lease.bindings:
            for each in self._reserved.pop(lease.id, []):
                each.socket.close()

    def _lease_of(self, container_id: str, endpoint: Endpoint) -> Lease:
        lease = self.leases.find(endpoint.network, container_id, endpoint.interface)
        if lease is None:
            raise RuntimeFailure(
                f"cannot connect to network '{endpoint.network}': its lease was removed meanwhile"
            )
        return lease

    def _endpoint(self, lease: Lease) -> Endpoint:
        network = self.records.load(lease.network)
        extra = {}
        if network is not None:
            extra["network_id"] = network.id
            extra["endpoint_id"] = model.endpoint_id(lease.id, network.id)
            if network.subnet6:
                extra["gateway6"] = network.gateway6
                extra["prefix6"] = network.subnet6.partition("/")[2]
        return Endpoint(
            lease.network,
            lease.address,
            lease.prefix,
            lease.gateway,
            lease.address6,
            lease.mac,
            lease.interface,
            lease.host_interface,
            lease.bindings,
            extra,
        )


def _ourselves() -> tuple[int, int]:
    """Return this process as (pid, start in clock ticks): what a lease names as its holder."""
    pid = os.getpid()
    stat = procfs.stat(pid)
    return pid, stat.start_time if stat else 0


def _namespace_of(lease: Lease) -> str:
    """Return the path of the container's namespace, "" when it is gone with its processes."""
    stat = procfs.stat(lease.pid) if lease.pid else None
    if stat is None or stat.start_time != lease.pid_started or stat.state in "ZX":
        return ""
    return f"/proc/{lease.pid}/ns/net"


def _translates(binding: tuple[str, int, int, str], lease: Lease) -> bool:
    """Tell whether nft can lead this binding to the container."""
    address = binding[0]
    return ":" not in address or (bool(lease.address6) and address != "::1")


def _forget_flows(lease: Lease) -> None:
    udp = {host for _, host, _, protocol in lease.bindings if protocol == "udp"}
    if udp:
        from runtime.linux import conntrack

        conntrack.forget_udp(udp)


def _refuse_join(spec: Spec, network: Network, present: Collection[str]) -> None:
    problem = ""
    alone = network.driver not in model.DRIVERS
    if alone or not model.is_own(spec.network) or "none" in present:
        mode = network.name if alone else spec.network
        problem = f"'{mode}' cannot be combined with other networks"
    elif network.name in present:
        problem = "it is on that network already"
    if problem:
        raise RuntimeFailure(
            f"cannot connect '{spec.name}' to network '{network.name}': {problem}", "", 1
        )
