"""Containers on networks: the door to this package for who runs a container.

The networks themselves (make, list, show, remove) are `runtime.network.catalog`.  A container's
monitor makes one `Networks`, keeps it as long as the container runs, and calls

* `reserve` before anything else is made: the address is leased, the ports are bound, and what is
  wrong with either is said early;
* `write_host_files`, which needs the address only;
* `attach` when the container's namespace is there (a pid tells which);
* `child_ended` with each child it reaps;
* `disconnect` at the end.

What few containers need (CNI, ports, the relay) is imported when it is needed: a start pays for
each module.

Commands use the rest.  Whatever a crash leaves is found by `heal` through the leases.
"""

from __future__ import annotations

import os

from runtime.linux import locks, netlink, netns, processes
from runtime.model.container.state import Endpoint
from runtime.model.errors import RuntimeFailure
from runtime.model.network import network_records as model
from runtime.model.network import published_ports as ports_model
from runtime.model.network.network_records import Lease, Network
from runtime.network import etc_files, links, neighbours
from runtime.network.firewall import enable_forwarding
from runtime.network.leases import is_held
from runtime.network.publisher import Publisher, forget_flows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from runtime.model.container.spec import (
        Join,
        Mount,
        Port,
        Spec,
    )
    from runtime.network.catalog import Catalog

_FIRST = "eth0"  # the interface a container starts with


class Networks:
    """What this process holds of the networks in *catalog*."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._leases = catalog.leases
        self._publisher = Publisher(catalog)

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
        """Lease an address and bind the ports for *spec*, without making interfaces or rules.

        Raises:
            RuntimeFailure: no such network, no address left, a port in use (names its user).
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
                lease = self._publisher.bind(network, lease, wanted)
        return self._endpoint(lease)

    def write_host_files(
        self, spec: Spec, endpoint: Endpoint, container_dir: str
    ) -> tuple[Mount, ...]:
        """Write hosts, hostname and resolv.conf; return them as mounts for the container.

        May be called before `attach`, and again: the files stay the same files.
        """
        mounts = etc_files.write(spec, endpoint, container_dir, self._catalog.layout.container)
        lease = self._leases.find(endpoint.network, spec.id, endpoint.interface)
        if lease is not None and lease.names:
            neighbours.tell(self._catalog, lease.network)
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
        """Undo `reserve` and `attach`.  Idempotent.

        With the first interface goes whatever else the container holds, such as a network that
        a command was joining when it was killed.  Takes 10 to 30 ms, most of it the kernel's for
        the interface: do it after the exit code.
        """
        self._abandon(container_id, endpoint)
        if endpoint.address and model.is_own(endpoint.network):
            self._leases.drop(endpoint.network, endpoint.address)  # one that cannot be read
        if endpoint.interface == _FIRST:
            for lease in self._leases.all():
                if lease.id == container_id:
                    self._undo(lease)

    def let_go(self, container_id: str) -> None:
        """Give back the ports held here of a network that a command has disconnected."""
        self._publisher.release(container_id)

    def _abandon(self, container_id: str, endpoint: Endpoint) -> None:
        lease = self._leases.find(endpoint.network, container_id, endpoint.interface)
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
        holder = (owner, processes.started(owner))
        lease = self._take_address(network, changed, interface, holder)
        endpoint = self.attach(spec, self._endpoint(lease), pid)
        etc_files.add_own_lines(lease, etc_files.hostname_of(spec), spec.domainname)
        return endpoint

    def check_join(self, spec: Spec, join: Join, present: Collection[str]) -> Network:
        """Return the network that a container on the networks *present* is to be connected to.

        Raises:
            RuntimeFailure: it cannot be; code 1.
        """
        network = self._catalog.find(join.network)
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
        lease = self._leases.find(endpoint.network, container_id, endpoint.interface)
        if lease is None:
            return
        namespace_fd = netns.open_of(pid)
        try:
            links.remove_inside(namespace_fd, endpoint.interface)
        finally:
            os.close(namespace_fd)
        if lease.hosts_file:
            etc_files.forget_network(lease)
        self._undo(lease)

    def child_ended(self, pid: int) -> bool:
        """Fork a relay anew when *pid*, which the caller reaped, was one; return whether it was."""
        return self._publisher.child_ended(pid)

    def heal(self, live_ids: Collection[str]) -> list[str]:
        """Remove the remains of containers that are not in *live_ids*; return what they were.

        A lease whose holder still runs is left alone too: its container may be starting.
        """
        found = []
        for lease in self._leases.all():
            if lease.id in live_ids or is_held(lease):
                continue
            try:
                self._undo(lease)
            except RuntimeFailure as error:
                # A CNI plugin that refuses: the lease stays, and the next command tries again.
                self._catalog.remark(error.message)
            else:
                found.append(f"network '{lease.network}': {lease.address} of '{lease.name}'")
        self._leases.clear_unfinished()
        self._catalog.records.clear_unfinished()
        return found

    def _no_ports(self, spec: Spec) -> None:
        """Refuse published ports, or warn, in a network mode that cannot publish them."""
        if spec.network.startswith(model.SHARED):
            raise RuntimeFailure(
                f"cannot publish ports of '{spec.name}': it shares the network of another container",
                "publish them there",
            )
        self._catalog.remark(f"published ports are discarded with --net {spec.network}")

    def _network_to_run_on(self, name: str) -> Network:
        try:
            return self._catalog.network(name)
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
            hosts_file=f"{self._catalog.layout.container(spec.id)}/hosts" if names else "",
        )
        self._catalog.make_lock_directory()
        with locks.lock(self._catalog.lock, shared=True):
            if self._catalog.records.load(network.name) is None:
                raise RuntimeFailure(f"cannot connect to network '{network.name}': it was removed")
            return self._leases.take(network, draft, spec.address)

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
            hosts_file=f"{self._catalog.layout.container(spec.id)}/hosts",
            bindings=bindings,
            plugins=planned,
        )
        self._leases.keep(lease)
        return lease

    def _attach_to(self, namespace_fd: int, spec: Spec, endpoint: Endpoint, pid: int) -> Endpoint:
        if endpoint.network == "none":
            links.loopback_up(namespace_fd)
            return endpoint
        lease = self._lease_of(spec.id, endpoint)
        if endpoint.network.startswith(model.CNI):
            lease = self._attach_cni(lease, pid)
            # Its address was not known when the file was written.
            etc_files.add_own_lines(lease, etc_files.hostname_of(spec), spec.domainname)
            return self._endpoint(lease)
        self._attach(lease, namespace_fd)
        return endpoint

    def _attach_cni(self, lease: Lease, pid: int) -> Lease:
        from runtime.network import cni

        lease = lease.replace(pid=pid, pid_started=processes.started(pid))
        self._leases.keep(lease)
        done = cni.with_result(lease, cni.add(lease, _namespace_of(lease)))
        self._leases.keep(done)
        return done

    def _attach(self, lease: Lease, namespace_fd: int) -> None:
        network = self._catalog.network(lease.network)
        with netlink.Socket() as kernel:
            if network.driver == "macvlan":
                links.join_macvlan(kernel, network, lease, namespace_fd)
            else:
                self._ensure_bridge(kernel, network)
                links.join_bridge(kernel, network, lease, namespace_fd)
        if lease.bindings:
            self._publisher.publish(lease)
        if network.has_names:
            neighbours.tell(self._catalog, network.name)

    def _ensure_bridge(self, kernel: netlink.Socket, network: Network) -> None:
        if not links.is_ready(kernel, network):
            with locks.lock(self._catalog.lock):
                links.make_bridge(kernel, network)
                if not network.internal:
                    enable_forwarding(self._catalog.remark, ipv6=bool(network.subnet6))
                self._catalog.firewall.rebuild()
        else:
            self._catalog.firewall.ensure()

    def _undo(self, lease: Lease) -> None:
        """Take back all that *lease* stands for, the lease itself last."""
        lease = self._publisher.withdraw(lease)
        if lease.plugins:
            from runtime.network import cni

            cni.delete(lease, _namespace_of(lease))
        if lease.host_interface:
            with netlink.Socket() as kernel:
                links.delete(kernel, lease.host_interface)
        forget_flows(lease)
        if lease.names:
            neighbours.tell_of_leaving(self._catalog, lease)
        self._leases.release(lease)
        if lease.bindings:
            self._publisher.release(lease.id)

    def _lease_of(self, container_id: str, endpoint: Endpoint) -> Lease:
        lease = self._leases.find(endpoint.network, container_id, endpoint.interface)
        if lease is None:
            raise RuntimeFailure(
                f"cannot connect to network '{endpoint.network}': its lease was removed meanwhile"
            )
        return lease

    def _endpoint(self, lease: Lease) -> Endpoint:
        network = self._catalog.records.load(lease.network)
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
    return pid, processes.started(pid)


def _namespace_of(lease: Lease) -> str:
    """Return the path of the container's namespace, "" when it is gone with its processes."""
    if not lease.pid or not processes.runs(lease.pid, lease.pid_started):
        return ""
    return f"/proc/{lease.pid}/ns/net"


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
