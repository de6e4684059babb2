"""A container's files for those outside: `cp`, `export`, `diff`, `commit`.

A running container is entered by /proc/PID/root, as it is: volumes, tmpfs, /proc and all.  A
stopped one is mounted in a mount namespace of this process's own, which goes with it.
"""

from __future__ import annotations

import os

from runtime.container import transfer
from runtime.linux import beneath, mounts, namespaces
from runtime.model.errors import RuntimeFailure
from runtime.store import files, overlay
from runtime.store.images import Images
from runtime.store.volumes import Volumes
from supervise.linux import procfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.spec import Mount, Spec
    from runtime.model.state import State
    from runtime.store.layout import Layout

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def open_root(layout: Layout, spec: Spec, state: State) -> int:
    """Return a descriptor of the container's root directory, its volumes in their places.

    Raises:
        RuntimeFailure: it cannot be mounted, or its image is gone.
    """
    if state.status in ("running", "paused") and state.pid:
        fd = _open_running(state)
        if fd >= 0:
            return fd
    _private_namespace()
    target = _place(layout)
    lowers, hidden = _lowers(layout, spec)
    directory = layout.container(spec.id)
    overlay.mount(lowers, f"{directory}/upper", f"{directory}/work", target, hidden=hidden)
    fd = os.open(target, _DIRECTORY)
    for mount in spec.mounts:
        if mount.kind != "tmpfs":
            _mount_inside(layout, fd, mount)
    return fd


def open_files(layout: Layout, spec: Spec) -> int:
    """Return a descriptor of the image's and the container's own files, read-only, no mounts.

    What a running container writes meanwhile may or may not be seen.

    Raises:
        RuntimeFailure: as `open_root`.
    """
    _private_namespace()
    target = _place(layout)
    lowers, hidden = _lowers(layout, spec)
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
    found = procfs.stat(state.pid)
    # Only now is it certain that the number was still that process's when we opened.
    if found is None or found.start_time != state.pid_started:
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


def _mount_inside(layout: Layout, root_fd: int, mount: Mount) -> None:
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
    try:
        mounts.mount(source, f"/proc/self/fd/{target_fd}", "", mounts.MS_BIND | mounts.MS_REC)
    finally:
        os.close(target_fd)
