"""Which services a call means, and the refusal when it means none."""

from __future__ import annotations

from supervise.model import suggest
from supervise.wire import api
from supervise.wire.interface import InvalidParameterError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from supervise.daemon.control.contract import Operations
    from supervise.model.service import ServiceSpec
    from supervise.model.view import ServiceView

_MOST_KNOWN = 100  # names in a NoSuchService


class RefusalError(Exception):
    """The call is answered with this error and nothing was done."""

    def __init__(self, error: str, **parameters: Any) -> None:
        super().__init__(error)
        self.error = error
        self.parameters = parameters


def named(supervisor: Operations, services: list[str] | None) -> list[str]:
    """Return *services* without repetitions, every service for None."""
    known = supervisor.names()
    if services is None:
        return known
    there = set(known)
    for name in services:
        if name not in there:
            raise RefusalError(
                f"{api.NAME}.NoSuchService",
                service=name,
                known=known[:_MOST_KNOWN],
                suggestion=suggest.closest(name, known),
            )
    return list(dict.fromkeys(services))


def chosen(
    supervisor: Operations,
    services: list[str] | None,
    everything: bool | None,  # noqa: FBT001 - null is false
    fits: Callable[[ServiceView], bool],
) -> list[str]:
    """Return the services named, or with *everything* those that fit."""
    if bool(everything) == (services is not None):
        raise InvalidParameterError("all" if everything else "services")
    if services is not None:
        return named(supervisor, services)
    names = supervisor.names()
    return [name for name in names if fits(supervisor.view(name))]


def spec(supervisor: Operations, name: str) -> ServiceSpec | None:
    """Return the specification of *name*, None for the main command."""
    return supervisor.plan.services.get(name)
