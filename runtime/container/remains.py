"""Removing a container: its record, its name, its directories, its anonymous volumes."""

from __future__ import annotations

from runtime.store.containers import Containers
from runtime.store.volumes import Volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.spec import Spec
    from runtime.store.layout import Layout


def retire(layout: Layout, spec: Spec) -> str | None:
    """Let the container disappear at once; return what is left to be removed, None for nothing."""
    return Containers(layout).retire(spec.id)


def remove_retired(layout: Layout, spec: Spec, doomed: str) -> None:
    """Remove what `retire` left, and the volumes that were made for this container alone."""
    # The record last: it says which volumes they are.
    remove_anonymous_volumes(layout, spec)
    Containers(layout).remove_retired(doomed)


def forget(layout: Layout, spec: Spec) -> None:
    """Do both at once."""
    doomed = retire(layout, spec)
    if doomed is not None:
        remove_retired(layout, spec, doomed)


def remove_anonymous_volumes(layout: Layout, spec: Spec) -> None:
    """Remove them; what another container uses meanwhile stays."""
    volumes = Volumes(layout)
    for mount in spec.mounts:
        anonymous = mount.kind == "volume" and "anonymous" in mount.options
        if anonymous and volumes.find(mount.source) and not volumes.users(mount.source):
            volumes.remove(mount.source)
