"""A container's files for those outside: `cp`, `export`, `diff`, `commit`.

A running container is entered by /proc/PID/root, as it is: volumes, tmpfs, /proc and all.  A
stopped one is mounted in a mount namespace of this process's own, which goes with it.
"""

from __future__ import annotations

import os

from runtime.container.files import transfer
from runtime.container.start import root_mounts
from runtime.linux import beneath, mounts, namespaces, overlay, processes, trees
from runtime.model.container import defaults, idmap, statuses
from runtime.model.errors import RuntimeFailure
from runtime.store import files
from runtime.store.images import Images
from runtime.store.volumes import Volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.container.spec import Mount, Spec
    from runtime.model.container.state import State
    from runtime.store.layout import Layout

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def open_root(layout: Layout, spec: Spec, state: State) -> int:
    """Return a descriptor of the container's root directory, its volumes in their places.

    Raises:
        RuntimeFailure: it cannot be mounted, or its image is gone.
    """
    if state.status in statuses.HAS_PROCESS and state.pid:
        fd = _open_running(state)
        if fd >= 0:
            return fd
    _private_namespace()
    owner = _owner(spec)
    lowers, hidden = _lowers(layout, spec)
    lowers, target = root_mounts.map_layers(lowers, _place(layout), owner)
    directory = layout.container(spec.id)
    overlay.mount(lowers, f"{directory}/upper", f"{directory}/work", target, hidden=hidden)
    fd = os.open(target, _DIRECTORY)
    for mount in spec.mounts:
        if mount.kind != "tmpfs":
            _mount_inside(layout, fd, mount, owner)
    return fd


def open_files(layout: Layout, spec: Spec) -> int:
    """Return a descriptor of the image's and the container's own files, read-only, no mounts.

    What a running container writes meanwhile may or may not be seen.

    Raises:
        RuntimeFailure: as `open_root`.
    """
    _private_namespace()
    lowers, hidden = _lowers(layout, spec)
    lowers, target = root_mounts.map_layers(lowers, _place(layout), _owner(spec))
    directory = layout.container(spec.id)
    # The upper directory as one more lower one: as such it may be in use by another mount.
    overlay.mount([f"{directory}/upper", *lowers], "", f"{directory}/work", target, hidden=hidden)
    return os.open(target, _DIRECTORY)


def _open_running(state: State) -> int:
    """Return the root of the container's first process, -1 when that has just ended."""
    try:
        fd = os.open(f"/proc/{state.pid}/root", _DIRECTORY)
    except OSError:
        return -1
    # Only now is it certain that the number was still that process's when we opened.
    if not processes.exists(state.pid, state.pid_started):
        os.close(fd)
        return -1
    return fd


def _private_namespace() -> None:
    try:
        namespaces.unshare(namespaces.CLONE_NEWNS)
        mounts.mount("", "/", "", mounts.MS_REC | mounts.MS_PRIVATE)
    except OSError as error:
        raise RuntimeFailure(
            f"cannot make a mount namespace: {error.strerror}", "that needs CAP_SYS_ADMIN", code=1
        ) from error


def _owner(spec: Spec) -> root_mounts.FileOwner:
    """Return who owns the files: a stopped container is seen with the ids of a running one."""
    shift = idmap.shift_of(spec)
    if not shift:
        return root_mounts.FileOwner()
    return root_mounts.FileOwner(
        shift, namespaces.make_user_namespace(shift, defaults.MAPPED_COUNT)
    )


def _place(layout: Layout) -> str:
    target = f"{layout.run}/view"
    files.make_directories(target)
    return target


def _lowers(layout: Layout, spec: Spec) -> tuple[tuple[str, ...], tuple[str, ...]]:
    images = Images(layout)
    image = images.get(spec.image_id)
    if image is None:
        raise RuntimeFailure(
            f"cannot read '{spec.name}': its image {spec.image} was removed", code=1
        )
    return images.lowers(image), images.hidden()


def _mount_inside(layout: Layout, root_fd: int, mount: Mount, owner: root_mounts.FileOwner) -> None:
    """Bind a volume or a host's directory at its place, which is made when it is missing."""
    source = Volumes(layout).path(mount.source) if mount.kind == "volume" else mount.source
    if not os.path.exists(source):
        return  # never started: the start makes it, or says why not
    target = os.fsencode(mount.target)
    if os.path.isdir(source):
        target_fd = transfer.make_directories(root_fd, target)
    else:
        try:
            target_fd = beneath.open_in_root(root_fd, target, os.O_PATH)
        except FileNotFoundError:
            return  # a file's place is made by the start
    tree_fd = trees.clone(source, recursive=mount.kind == "bind")
    try:
        if mount.kind == "volume":
            owner.map_ids(tree_fd)
        trees.attach(tree_fd, "", directory_fd=target_fd)
    finally:
        os.close(tree_fd)
        os.close(target_fd)
