"""A service together with the places in the files that say so.

What every dialect hands to `load`, and `load` to `validate`.
"""

from __future__ import annotations

from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervise.model.service import Plan, ServiceSpec


class SourcePlace(Record):
    """Where something stands; line and column counted from 1."""

    file: str
    line: int
    column: int


class Wording(Record):
    """How a dialect writes what the checks between services name: keys, and ways out.

    A hint may hold ``{other}``, the name of the other service, and ``{profile}``, one of the
    profiles that would switch it on.
    """

    path: str  # with {name} of the service and {key}, such as services.{name}.{key}
    declare: str  # a service that is not there
    delete_edge: str  # a dependency of a service on itself
    break_cycle: str
    select: str  # a service that no profile selects
    healthcheck: str  # waiting for the health of a service without a health check
    oneshot: str  # waiting for the completion of what is no oneshot
    grace: str  # more time to stop than the shutdown has
    one_terminal: str
    keys: Mapping[str, str] = {}  # "depends_on" → "After="; others are written as they are called

    def path_of(self, name: str, key: str) -> str:
        """Return how the dialect writes *key*, such as ``depends_on.db``, of the service *name*."""
        first, _, rest = key.partition(".")
        written = self.keys[first] + rest if first in self.keys else key
        return self.path.format(name=name, key=written)


class Declared(Record):
    """One declared service.

    *places* is keyed by the path below the service: "" is the service itself, ``depends_on.db``
    one edge; whatever has no place of its own stands where the service does.
    """

    spec: ServiceSpec
    places: Mapping[str, SourcePlace]
    wording: Wording  # how the file that declares it writes what is wrong with it
    active: bool = True  # False: none of its profiles is selected
    profiles: tuple[str, ...] = ()

    def place(self, key: str) -> SourcePlace:
        """Return where *key* stands."""
        return self.places.get(key, self.places[""])


class Configuration(Record):
    """What a dialect read: the services, not yet checked against each other, and the rest."""

    services: Mapping[str, Declared]  # keyed by name, in file order
    plan: Plan  # all but its services
