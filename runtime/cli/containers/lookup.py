"""Containers by what a person calls them, after the remains of killed monitors are cleared up."""

from __future__ import annotations

import sys

from runtime.container import heal as healing
from runtime.model.container import statuses
from runtime.model.errors import RuntimeFailure
from runtime.store.containers import Containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.container.spec import Spec
    from runtime.model.container.state import State
    from runtime.store.layout import Layout


def heal(layout: Layout) -> None:
    """Clear up after what was killed, and say what could not be."""
    for remark in healing.heal(layout):
        sys.stderr.write(f"runtime: {remark}\n")


def every(layout: Layout) -> list[tuple[Spec, State]]:
    """Return all containers, the newest first; those whose records cannot be read too."""
    heal(layout)
    containers = Containers(layout)
    found = []
    for container_id in containers.list():
        try:
            found.append(healing.believed(layout, *containers.look(container_id)))
        except RuntimeFailure:
            continue  # removed meanwhile
    return sorted(found, key=lambda pair: (-pair[0].created, pair[0].id))


def one(layout: Layout, reference: str) -> tuple[Spec, State]:
    """Return the container that *reference*, a name or the start of an id, means.

    Raises:
        RuntimeFailure: there is none, or several, code 1; or its record cannot be read.
    """
    heal(layout)
    containers = Containers(layout)
    container_id = containers.find(reference.removeprefix("/"))
    containers.spec(container_id)  # raises where `look` makes something up
    return healing.believed(layout, *containers.look(container_id))


def any_of(layout: Layout, reference: str) -> tuple[Spec, State]:
    """Return what `one` does; also of a container whose record cannot be read, as `every`."""
    heal(layout)
    containers = Containers(layout)
    container_id = containers.find(reference.removeprefix("/"))
    return healing.believed(layout, *containers.look(container_id))


def running(layout: Layout, reference: str) -> tuple[Spec, State]:
    """Return a container that has processes; raises as `one`, and when it has none."""
    spec, state = one(layout, reference)
    if state.status not in statuses.HAS_PROCESS or not state.pid:
        raise RuntimeFailure(
            f"container '{spec.name}' is not running", f"runtime start {spec.name}", code=1
        )
    return spec, state
