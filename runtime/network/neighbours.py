"""What the containers of a network know of each other: the names in their hosts files."""

from __future__ import annotations

from runtime.linux import locks
from runtime.network import etc_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.network.network_records import Lease
    from runtime.network.catalog import Catalog


def tell(catalog: Catalog, network: str) -> None:
    """Have the containers of *network* know of each other."""
    with locks.lock(catalog.lock):
        etc_files.tell_neighbours(network, catalog.leases.of(network))


def tell_of_leaving(catalog: Catalog, leaving: Lease) -> None:
    """Have the other containers forget *leaving*, and release its address under the same lock.

    No container may be told of it again in between.
    """
    with locks.lock(catalog.lock):
        others = [
            lease
            for lease in catalog.leases.of(leaving.network)
            if lease.address != leaving.address
        ]
        etc_files.tell_neighbours(leaving.network, others)
        catalog.leases.release(leaving)
