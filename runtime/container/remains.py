"""Removing a container: its record, its name, its directories, its anonymous volumes."""

from __future__ import annotations

import os

from runtime.model.contexts import suppress
from runtime.store import files
from runtime.store.containers import Containers
from runtime.store.volumes import Volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.container.spec import Spec
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


def remove_run_directory(layout: Layout, container_id: str) -> None:
    """Let the run directory disappear at once, then remove what is in it.

    Whoever starts the container meanwhile makes a fresh one; several may be removing this.
    """
    directory = layout.container_run(container_id)
    doomed = f"{os.path.dirname(directory)}/{files.TEMPORARY}{container_id}-{os.getpid()}"
    with suppress(FileNotFoundError):
        os.rename(directory, doomed)
        clear_away(doomed)


def clear_away(directory: str) -> None:
    """Remove a tree that other processes may be removing too."""
    while os.path.lexists(directory):
        with suppress(FileNotFoundError):  # another was faster with an entry
            files.remove_tree(directory)


def remove_anonymous_volumes(layout: Layout, spec: Spec) -> None:
    """Remove them; what another container uses meanwhile stays."""
    volumes = Volumes(layout)
    for mount in spec.mounts:
        anonymous = mount.kind == "volume" and "anonymous" in mount.options
        if anonymous and volumes.find(mount.source) and not volumes.users(mount.source):
            volumes.remove(mount.source)
