"""Which networks a container is on at its next start, after `network connect` and `disconnect`."""

from __future__ import annotations

from runtime.model.container.spec import Join

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.container.spec import Spec

_NONE = "none"


def networks(spec: Spec) -> tuple[Join, ...]:
    """Return all networks of the container, the one that ports are published on first."""
    return (Join(spec.network, spec.aliases, spec.address, spec.mac), *spec.joins)


def connected(spec: Spec, join: Join) -> Spec:
    """Return the container with one more network; one that was on none begins with it."""
    if spec.network != _NONE:
        return spec.replace(joins=(*spec.joins, join))
    return _with(spec, join)


def disconnected(spec: Spec, network: str) -> Spec:
    """Return the container without *network*: the next one comes first, after the last none."""
    if spec.network != network:
        return spec.replace(joins=tuple(each for each in spec.joins if each.network != network))
    first, *others = (*spec.joins, Join(_NONE))
    kept = tuple(each for each in others if each.network != _NONE)
    return _with(spec.replace(joins=kept), first)


def _with(spec: Spec, first: Join) -> Spec:
    return spec.replace(
        network=first.network, aliases=first.aliases, address=first.address, mac=first.mac
    )
