"""A service together with the places in the files that say so.

What every dialect hands to `load`, and `load` to `validate`.
"""

from __future__ import annotations

from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervise.model.service import Plan, ServiceSpec


class Place(Record):
    """Where something stands; line and column counted from 1."""

    file: str
    line: int
    column: int


class Declared(Record):
    """One declared service.

    *places* is keyed by the path below the service: "" is the service itself, ``depends_on.db``
    one edge; whatever has no place of its own stands where the service does.
    """

    spec: ServiceSpec
    places: Mapping[str, Place]
    active: bool = True  # False: none of its profiles is selected
    profiles: tuple[str, ...] = ()

    def place(self, key: str) -> Place:
        """Return where *key* stands."""
        return self.places.get(key, self.places[""])


class Configuration(Record):
    """What a dialect read: the services, not yet checked against each other, and the rest."""

    services: Mapping[str, Declared]  # keyed by name, in file order
    plan: Plan  # all but its services
