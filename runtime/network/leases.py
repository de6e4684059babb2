"""Leases: one file an address that a container holds, below run/network/leases/NETWORK/ADDRESS.

A file is whole from the moment it is there (written aside, then linked into place), and taking an
address is that link(2): two processes never get the same.  After a crash the file tells `heal`
what else there may be; nothing of a container exists on a network without its lease.
"""

from __future__ import annotations

import os

from runtime.linux import processes, record_files
from runtime.model import jsontext
from runtime.model.contexts import suppress
from runtime.model.errors import DamagedFailure, RuntimeFailure
from runtime.model.network import ipam
from runtime.model.network.network_records import Lease, Network
from supervise.model.plain import to_plain

_TEMPORARY = ".tmp-"


class Leases:
    """The lease files below one run directory."""

    def __init__(self, run: str) -> None:
        self._directory = f"{run}/network/leases"

    def take(self, network: Network, lease: Lease, wanted: str = "") -> Lease:
        """Give *lease* an address of *network*, *wanted* or else the lowest free one, and keep it.

        Raises:
            RuntimeFailure: *wanted* is not to be had, or the subnet is used up.
        """
        within = ipam.subnet(network.subnet)
        part = ipam.subnet(network.ip_range) if network.ip_range else None
        gateway = ipam.number(network.gateway) if network.gateway else 0
        fixed = _fixed(network, within, gateway, wanted) if wanted else None
        while True:
            taken = self._taken(network.name)
            address = fixed or ipam.free_address(within, gateway, taken, part)
            if address is None:
                raise RuntimeFailure(
                    f"cannot connect to network '{network.name}': every address of "
                    f"{network.ip_range or network.subnet} is taken",
                    "remove containers, or create a network with a larger --subnet",
                )
            made = _with_address(network, lease, within, address)
            if self._put_new(made):
                return made
            if fixed:
                raise RuntimeFailure(
                    f"cannot use address {wanted} on network '{network.name}': "
                    f"container '{self._holder(network.name, wanted)}' has it"
                )

    def keep(self, lease: Lease) -> None:
        """Write *lease* in place of an earlier version."""
        path = self._path(lease)
        os.rename(self._write_aside(lease), path)

    def release(self, lease: Lease) -> None:
        """Give the address back, unless it is another container's by now."""
        current = _read(self._path(lease))
        if current is not None and current.id == lease.id:
            os.unlink(self._path(lease))

    def close(self, network: str) -> None:
        """Remove the lease directory of an unused network that is being removed.

        With what is in it and is no lease that can be read.
        """
        for name in self._listed(network):
            self.drop(network, name)
        try:
            os.rmdir(f"{self._directory}/{network}")
        except FileNotFoundError:
            return  # no container was ever on it

    def drop(self, network: str, file: str) -> None:
        """Remove the file of a lease that cannot be read."""
        path = f"{self._directory}/{network}/{file}"
        if _read(path) is not None:
            return
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
        except IsADirectoryError:
            import shutil

            shutil.rmtree(path, ignore_errors=True)

    def find(self, network: str, container: str, interface: str) -> Lease | None:
        """Return what *container* holds of *network* on *interface*."""
        for lease in self.of(network):
            if lease.id == container and lease.interface == interface:
                return lease
        return None

    def of(self, network: str) -> list[Lease]:
        """Return all leases of *network*, by address."""
        found = [
            lease
            for name in self._listed(network)
            if not name.startswith(_TEMPORARY)
            and (lease := _read(f"{self._directory}/{network}/{name}")) is not None
        ]
        return sorted(found, key=lambda lease: (_number(lease.address), lease.id))

    def all(self) -> list[Lease]:
        """Return every lease."""
        return [lease for network in self._networks() for lease in self.of(network)]

    def clear_unfinished(self) -> None:
        """Remove the files that a process was writing when it was killed."""
        for network in self._networks():
            directory = f"{self._directory}/{network}"
            for name in self._listed(network):
                if name.startswith(_TEMPORARY):
                    pid = name.removeprefix(_TEMPORARY).partition("-")[0]
                    if not (pid.isdecimal() and processes.runs(int(pid))):
                        with suppress(FileNotFoundError, IsADirectoryError):
                            os.unlink(f"{directory}/{name}")

    def _networks(self) -> list[str]:
        try:
            return sorted(os.listdir(self._directory))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _listed(self, network: str) -> list[str]:
        try:
            return os.listdir(f"{self._directory}/{network}")
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _taken(self, network: str) -> set[int]:
        taken = set()
        for name in self._listed(network):
            if name[0] != ".":
                with suppress(ValueError):  # no file of ours: it holds no address
                    taken.add(ipam.number(name))
        return taken

    def _holder(self, network: str, address: str) -> str:
        found = _read(f"{self._directory}/{network}/{address}")
        return found.name if found else "?"

    def _path(self, lease: Lease) -> str:
        return f"{self._directory}/{lease.network}/{_file_of(lease)}"

    def _put_new(self, lease: Lease) -> bool:
        aside = self._write_aside(lease)
        try:
            os.link(aside, self._path(lease))
        except FileExistsError:
            return False
        finally:
            os.unlink(aside)
        return True

    def _write_aside(self, lease: Lease) -> str:
        directory = f"{self._directory}/{lease.network}"
        os.makedirs(directory, mode=0o700, exist_ok=True)
        path = f"{directory}/{_TEMPORARY}{os.getpid()}-{lease.id[:12]}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            try:
                record_files.write_all(fd, jsontext.dumps(to_plain(lease)).encode())
            finally:
                os.close(fd)
        except OSError:
            os.unlink(path)
            raise
        return path


def is_held(lease: Lease) -> bool:
    """Return whether the process that holds *lease* is still there."""
    return processes.runs(lease.owner, lease.owner_started)


def _number(address: str) -> int:
    return ipam.number(address) if address else 0


def _with_address(network: Network, lease: Lease, within: tuple[int, int], address: int) -> Lease:
    offset = address - within[0]
    return lease.replace(
        address=ipam.dotted(address),
        prefix=within[1],
        gateway="" if network.internal else network.gateway,
        address6=ipam.address6(network.subnet6, offset) if network.subnet6 else "",
        mac=lease.mac or ipam.mac_of(address),
    )


def _fixed(network: Network, within: tuple[int, int], gateway: int, wanted: str) -> int:
    """Return the address a user asked for as a number."""
    try:
        address = ipam.number(wanted)
    except ValueError as error:
        raise RuntimeFailure(f"cannot use address '{wanted}': {error}") from error
    reason = ""
    if not ipam.contains(within, address):
        reason = f"it is not in {network.subnet}"
    elif address == gateway:
        reason = "it is the gateway's"
    elif within[1] < 31 and address - within[0] in {0, ipam.size(within[1]) - 1}:
        reason = f"it is the first or last of {network.subnet}"
    if reason:
        raise RuntimeFailure(f"cannot use address {wanted} on network '{network.name}': {reason}")
    return address


def _read(path: str) -> Lease | None:
    """Return the lease in a file, None when it is gone."""
    try:
        return record_files.read_record(Lease, path, problem=lambda each: _foreign(each, path))
    except DamagedFailure as failure:
        record_files.note(failure)
        return None


def _foreign(lease: Lease, path: str) -> str:
    """Return why that is not what lies there, empty when it is."""
    directory, name = os.path.split(path)
    if lease.network != os.path.basename(directory) or name != _file_of(lease):
        return "it is of another container or network"
    if not all(0 <= pid < 1 << 31 for pid in (lease.owner, lease.pid)):
        return "Lease has a pid that no process has"
    return ""


def _file_of(lease: Lease) -> str:
    # A CNI plugin chose the address: it is not ours to keep from others.
    return f"{lease.id[:12]}.{lease.interface}" if lease.plugins else lease.address
