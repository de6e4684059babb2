"""A container's record: from an image, options and a fresh id to what is on disk."""

from __future__ import annotations

import os
import time

from runtime.model.container import compose, option_values
from runtime.model.errors import RuntimeFailure
from runtime.store.containers import Containers, new_id
from runtime.store.images import Images
from supervise.linux import capabilities

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.container.spec import Mount, Spec
    from runtime.store.images import Image
    from runtime.store.layout import Layout

_SHARED = "container:"


def create(layout: Layout, image_name: str, image: Image, options: compose.RunOptions) -> Spec:
    """Write the record of a new container and return what it is.

    Raises:
        RuntimeFailure: options that contradict each other, a name in use, the image removed.
    """
    options = _with_others(layout, options)
    spec = compose.compose(
        image.config,
        options,
        container_id=new_id(),
        name=options.name,
        image=image_name,
        image_id=image.id,
        known_capabilities=capabilities.NAMES,
        now=time.time(),
    )
    with Images(layout).pinned(image):
        containers = Containers(layout)
        spec = _with_ids(containers, _with_volume_names(spec))
        try:
            return containers.create(spec)
        except OSError as error:
            where = f" '{error.filename}'" if error.filename else ""
            raise RuntimeFailure(
                f"cannot write the container's record{where}: {error.strerror}"
            ) from error


def _with_others(layout: Layout, options: compose.RunOptions) -> compose.RunOptions:
    """Look up the containers of --link and --volumes-from, and take over the latter's mounts.

    What has the place of a mount of our own, or of an earlier one of these, is left out.

    Raises:
        RuntimeFailure: there is no such container.
    """
    containers = Containers(layout)
    taken = {mount.target for mount in options.mounts}
    found: list[Mount] = []
    for text in options.volumes_from:
        try:
            reference, mode = option_values.volumes_from(text)
        except ValueError as error:
            raise RuntimeFailure(f"--volumes-from: {error}") from None
        for mount in containers.spec(_find(containers, reference)).mounts:
            if mount.kind == "tmpfs" or mount.target in taken:
                continue
            taken.add(mount.target)
            found.append(mount.replace(read_only=mode == "ro") if mode else mount)
    links = tuple((_find(containers, name), alias) for name, alias in options.links)
    return options.replace(mounts=(*options.mounts, *found), links=links)


def _find(containers: Containers, reference: str) -> str:
    try:
        return containers.find(reference)
    except RuntimeFailure as failure:
        failure.code = 125  # nothing ran
        raise


def _with_ids(containers: Containers, spec: Spec) -> Spec:
    """Name the containers whose namespaces are to be shared by id: names change.

    Raises:
        RuntimeFailure: there is no such container.
    """
    changes = {}
    for field in ("network", "pid_mode", "ipc_mode"):
        mode = getattr(spec, field)
        if mode.startswith(_SHARED):
            changes[field] = _SHARED + containers.find(mode.removeprefix(_SHARED))
    return spec.replace(**changes) if changes else spec


def _with_volume_names(spec: Spec) -> Spec:
    """Name the anonymous volumes now, so that whatever happens later they are accounted for."""
    mounts = []
    for mount in spec.mounts:
        if mount.kind == "volume" and not mount.source:
            name = os.urandom(32).hex()
            mounts.append(mount.replace(source=name, options=("anonymous",)))
        else:
            mounts.append(mount)
    return spec.replace(mounts=tuple(mounts))
