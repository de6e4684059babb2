"""The three files a container gets from us, and the names of its neighbours in one of them.

They lie beside the container and are bind mounted, so they are rewritten in place: a new file
under the old name would not be seen inside.
"""

from __future__ import annotations

import os

from runtime.linux import record_files
from runtime.model.container.spec import Mount
from runtime.model.errors import DamagedFailure, RuntimeFailure
from runtime.model.network import hostfiles
from runtime.model.network.network_records import SHARED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.model.container.spec import Spec
    from runtime.model.container.state import Endpoint
    from runtime.model.network.network_records import Lease

_NAMES = ("hosts", "hostname", "resolv.conf")
_LARGEST_HOSTS = 1 << 20  # characters; a thousand neighbours are 60,000
_STUB_SOURCE = "/run/systemd/resolve/resolv.conf"  # systemd-resolved's list without its stub


def hostname_of(spec: Spec) -> str:
    """Return what the container is called inside."""
    return spec.hostname or (os.uname().nodename if spec.network == "host" else spec.id[:12])


def write(
    spec: Spec, endpoint: Endpoint, directory: str, container_directory: Callable[[str], str]
) -> tuple[Mount, ...]:
    """Write the files into *directory* and return how they are to be mounted.

    With ``--net host`` they are this machine's own, read-only, unless an option changes one; with
    ``--net container:ID`` they are that container's, found by *container_directory*.

    Raises:
        RuntimeFailure: the other container is not there.
    """
    if spec.network.startswith(SHARED):
        return _shared(spec, container_directory(spec.network.removeprefix(SHARED)))
    name = hostname_of(spec)
    texts = {"hostname": hostfiles.hostname(name)}
    if spec.network != "host":
        addresses = [each for each in (endpoint.address, endpoint.address6) if each]
        texts["hosts"] = hostfiles.hosts(
            addresses=addresses,
            name=name,
            domain=spec.domainname,
            extra=spec.add_hosts,
            gateway=endpoint.gateway or endpoint.extra.get("gateway", ""),
        )
        texts["resolv.conf"] = _resolv_conf(spec, ipv6=bool(endpoint.address6))
    else:
        if spec.add_hosts:
            texts["hosts"] = _host_text("/etc/hosts") + hostfiles.added(spec.add_hosts, "127.0.0.1")
        if spec.dns or spec.dns_search or spec.dns_options:
            texts["resolv.conf"] = _resolv_conf(spec, ipv6=True)
    for file, text in texts.items():
        overwrite(f"{directory}/{file}", text)
    own = [Mount("bind", f"{directory}/{file}", f"/etc/{file}") for file in _NAMES if file in texts]
    machine = [
        Mount("bind", os.path.realpath(f"/etc/{file}"), f"/etc/{file}", read_only=True)
        for file in _NAMES
        if file not in texts and os.path.exists(f"/etc/{file}")
    ]
    return (*own, *machine)


def _shared(spec: Spec, directory: str) -> tuple[Mount, ...]:
    if not os.path.isdir(directory):
        other = spec.network.removeprefix(SHARED)
        raise RuntimeFailure(f"cannot share the network of '{other}': no such container")
    found = []
    for file in _NAMES:
        own = f"{directory}/{file}"
        # A container on --net host has no file of its own, and so have we none.
        source = own if os.path.exists(own) else os.path.realpath(f"/etc/{file}")
        if os.path.exists(source):
            found.append(Mount("bind", source, f"/etc/{file}", read_only=source != own))
    return tuple(found)


def _resolv_conf(spec: Spec, *, ipv6: bool) -> str:
    host = _host_text("/etc/resolv.conf")
    if hostfiles.only_stub(host):
        host = _host_text(_STUB_SOURCE) or host
    return hostfiles.resolv_conf(
        host, servers=spec.dns, search=spec.dns_search, options=spec.dns_options, ipv6=ipv6
    )


def _host_text(path: str) -> str:
    """Return a file of this machine, empty when there is none."""
    try:
        with open(path, errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def overwrite(path: str, text: str) -> None:
    """Replace the file's text in place, so that mounts and open descriptors see the change.

    One write(2) with blank lines up to the old length, then the cut: a reader in between sees no
    torn line.
    """
    data = text.encode(errors="surrogateescape")
    fd = record_files.open_to_write(path, os.O_RDWR, 0o644)
    try:
        os.fchmod(fd, 0o644)  # the container's users read it, whatever our umask
        old = os.fstat(fd).st_size
        if old > _LARGEST_HOSTS:  # a container has blown it up
            os.ftruncate(fd, old := 0)
        written = os.pwrite(fd, data.ljust(old, b"\n"), 0)
        os.pwrite(fd, data[written:], written)  # on a full disk the rest says why it was less
        os.ftruncate(fd, len(data))
    except OSError as error:  # pwrite(2) knows no name
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.close(fd)


def tell_neighbours(network: str, leases: list[Lease]) -> None:
    """Write into each container's /etc/hosts who else is on *network* now.

    The caller holds the network lock exclusively.
    """
    named = [
        (address, lease.names)
        for lease in leases
        for address in (lease.address, lease.address6)
        if address and lease.names
    ]
    for lease in leases:
        if lease.hosts_file:
            _edit(lease.hosts_file, lambda text: hostfiles.with_peers(text, network, named))


def forget_network(lease: Lease) -> None:
    """Take the network of *lease* out of the /etc/hosts of a container that goes on without it."""

    def without(text: str) -> str:
        for address in (lease.address, lease.address6):
            text = hostfiles.without_line(text, address) if address else text
        return hostfiles.with_peers(text, lease.network, None)

    _edit(lease.hosts_file, without)


def add_own_lines(lease: Lease, name: str, domain: str) -> None:
    """Add the lines by which a running container finds itself on one more network."""
    lines = "".join(
        hostfiles.own_line(address, name, domain)
        for address in (lease.address, lease.address6)
        if address
    )
    _edit(lease.hosts_file, lambda text: text + lines)


def _edit(path: str, change: Callable[[str], str]) -> None:
    """Apply *change* to the file; a container that was removed meanwhile has none.

    A file that a container has blown up is left to it: what all wait for must not take long.
    """
    try:
        fd = record_files.open_file(path)
    except DamagedFailure as failure:  # the next start makes it anew
        record_files.note(failure)
        return
    if fd < 0:
        return
    with open(fd, errors="surrogateescape") as file:
        text = file.read(_LARGEST_HOSTS + 1)
    if len(text) > _LARGEST_HOSTS:
        return
    changed = change(text)
    if changed != text:
        overwrite(path, changed)
