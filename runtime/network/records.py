"""Networks on disk: root/networks/NAME.json, and the three that need no file.

The default bridge gets its file with its first container, because its subnet depends on what
routes the machine has then.
"""

from __future__ import annotations

import os
import time

from runtime.model import ipam, jsontext, networks
from runtime.model.errors import RuntimeFailure
from runtime.model.networks import Network
from supervise.model.plain import from_plain, to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_TEMPORARY = ".tmp-"
_FIXED_IDS = {"host": "1" * 64, "none": "0" * 64}  # no machine has two of them


class Records:
    """The networks below one directory."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def load(self, name: str) -> Network | None:
        """Return the network called *name*; None for an unknown one, and the default before use."""
        if name in _FIXED_IDS:
            return Network(name, _FIXED_IDS[name], "host" if name == "host" else "null")
        if "/" in name or name.startswith("."):
            return None
        try:
            with open(self._path(name), "rb") as file:
                return from_plain(Network, jsontext.loads(file.read()))
        except FileNotFoundError:
            return None

    def all(self) -> list[Network]:
        """Return the networks that exist, by name."""
        try:
            files = os.listdir(self._directory)
        except FileNotFoundError:
            files = []
        names = [file.removesuffix(".json") for file in files if file.endswith(".json")]
        found = [self.load(name) for name in sorted({*names, *_FIXED_IDS})]
        return [network for network in found if network is not None]

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
        aside = f"{self._directory}/{_TEMPORARY}{network.name}-{os.getpid()}"
        fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, jsontext.dumps(to_plain(network)).encode() + b"\n")
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(aside, self._path(network.name))

    def delete(self, network: Network) -> None:
        """Forget *network*; one that is forgotten already is fine."""
        try:
            os.unlink(self._path(network.name))
        except FileNotFoundError:
            return  # another command was faster

    def clear_unfinished(self) -> None:
        """Remove the files that a process was writing when it was killed."""
        try:
            names = os.listdir(self._directory)
        except FileNotFoundError:
            return
        for name in names:
            pid = name.rpartition("-")[2]
            if name.startswith(_TEMPORARY) and not os.path.exists(f"/proc/{pid}"):
                os.unlink(f"{self._directory}/{name}")

    def _path(self, name: str) -> str:
        return f"{self._directory}/{name}.json"


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
        networks.DEFAULT, new_id(), "bridge", text, gateway, created=round(time.time(), 3)
    )


def subnets(known: Iterable[Network]) -> list[tuple[int, int]]:
    """Return the IPv4 subnets that networks have."""
    return [ipam.subnet(network.subnet) for network in known if network.subnet]
