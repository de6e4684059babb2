"""Networks on disk: root/networks/NAME.json, and the three that need no file.

The default bridge gets its file with its first container, because its subnet depends on what
routes the machine has then.
"""

from __future__ import annotations

import os
import time

from runtime.linux import record_files
from runtime.model import jsontext
from runtime.model.contexts import suppress
from runtime.model.errors import DamagedFailure, RuntimeFailure
from runtime.model.network import ipam, network_records
from runtime.model.network.network_records import Network
from supervise.model.plain import to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

DAMAGED = "damaged"  # the driver of a network whose record cannot be read; never on disk
_FIXED_IDS = {"host": "1" * 64, "none": "0" * 64}  # no machine has two of them


class NetworkRecords:
    """The networks below one directory."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def load(self, name: str) -> Network | None:
        """Return the network called *name*; None for an unknown one, and the default before use.

        Raises:
            DamagedFailure: its record cannot be read.
        """
        if name in _FIXED_IDS:
            return Network(name, _FIXED_IDS[name], "host" if name == "host" else "null")
        if "/" in name or name.startswith("."):
            return None
        hint = f"runtime network rm {name} removes the network"
        return record_files.read_record(
            Network, self._path(name), hint, problem=lambda each: _foreign(each, name)
        )

    def all(self) -> list[Network]:
        """Return the networks that exist and whose records can be read, by name."""
        found = []
        for name in self._names():
            with suppress(DamagedFailure):  # said by `damaged`, and by whoever needs that one
                found.append(self.load(name))
        return [network for network in found if network is not None]

    def damaged(self) -> list[Network]:
        """Return what is known of the networks whose records cannot be read, by name."""
        found = []
        for name in self._names():
            try:
                self.load(name)
            except DamagedFailure as failure:
                record_files.note(failure)
                found.append(self.stand_in(name))
        return found

    def stand_in(self, name: str) -> Network:
        """Return what is known of a network whose record cannot be read; with luck its id."""
        try:
            data = record_files.read(self._path(name)) or b""
        except DamagedFailure:
            data = b""
        digits = data.partition(b'"id": "')[2][:64].decode("ascii", "replace")
        known = len(digits) == 64 and set(digits) <= set("0123456789abcdef")
        return Network(name, digits if known else "", DAMAGED)

    def _names(self) -> list[str]:
        try:
            listed = os.listdir(self._directory)
        except (FileNotFoundError, NotADirectoryError):
            listed = []
        names = [file.removesuffix(".json") for file in listed if file.endswith(".json")]
        return sorted({*(name for name in names if name[:1] != "."), *_FIXED_IDS})

    def find(self, reference: str) -> Network:
        """Return the network with that name, id or start of an id.

        Raises:
            RuntimeFailure: there is none, or more than one.
        """
        exact = self.load(reference)
        if exact is not None:
            return exact
        everything = self.all()
        found = [
            network for network in everything if reference and network.id.startswith(reference)
        ]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(f"'{network.name}'" for network in found)
            raise RuntimeFailure(f"cannot choose network '{reference}': it may be {names}", "", 1)
        from supervise.model import suggest

        nearest = suggest.closest(reference, [network.name for network in everything])
        hint = f"did you mean '{nearest}'?" if nearest else "`runtime network ls` lists them"
        raise RuntimeFailure(f"no such network: network '{reference}' not found", hint, 1)

    def save(self, network: Network) -> None:
        """Write *network*; it survives a power failure once this returns."""
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        text = jsontext.dumps(to_plain(network))
        record_files.write(self._path(network.name), f"{text}\n".encode())

    def delete(self, network: Network) -> None:
        """Forget *network*; one that is forgotten already is fine."""
        path = self._path(network.name)
        try:
            os.unlink(path)
        except FileNotFoundError:
            return  # another command was faster
        except IsADirectoryError:
            import shutil

            shutil.rmtree(path)

    def clear_unfinished(self) -> None:
        """Remove the files that a process was writing when it was killed."""
        try:
            names = os.listdir(self._directory)
        except FileNotFoundError:
            return
        for name in names:
            pid = name.rpartition("-")[2]
            if name.startswith(record_files.TEMPORARY) and not os.path.exists(f"/proc/{pid}"):
                with suppress(FileNotFoundError, IsADirectoryError):
                    os.unlink(f"{self._directory}/{name}")

    def _path(self, name: str) -> str:
        return f"{self._directory}/{name}.json"


def _foreign(network: Network, name: str) -> str:
    """Return why that is not what the network is, empty when it is."""
    if network.name != name:
        return f"it is of another network, {network.name!r:.40}"
    if len(network.id) != 64 or not network.id.isalnum():
        return "Network has an id of another kind"
    try:
        for text in filter(None, (network.subnet, network.ip_range)):
            ipam.subnet(text)
        if network.gateway:
            ipam.number(network.gateway)
        if network.subnet6:
            ipam.subnet6(network.subnet6)
    except (ValueError, RuntimeFailure) as error:
        return f"it has no such addresses: {error}"
    if network.driver not in network_records.DRIVERS:
        return f"there is no driver {network.driver!r:.40}: another version wrote it"
    return "" if record_files.is_time(network.created) else "Network has a time that no clock shows"


def new_id() -> str:
    """Return a random network id."""
    return os.urandom(32).hex()


def default_bridge(routes: Iterable[tuple[int, int]], known: Iterable[Network]) -> Network:
    """Return the default bridge: docker's subnet, or the next that overlaps no route."""
    taken = [*routes, *subnets(known)]
    wanted = ipam.subnet(ipam.DEFAULT_SUBNET)
    free = not any(ipam.overlap(wanted, other) for other in taken)
    text = ipam.DEFAULT_SUBNET if free else ipam.free_pool(taken)
    gateway = ipam.dotted(ipam.default_gateway(ipam.subnet(text)))
    return Network(
        network_records.DEFAULT, new_id(), "bridge", text, gateway, created=round(time.time(), 3)
    )


def subnets(known: Iterable[Network]) -> list[tuple[int, int]]:
    """Return the IPv4 subnets that networks have."""
    return [ipam.subnet(network.subnet) for network in known if network.subnet]
