"""A container's mounts, made from inside its own mount namespace.

Not the overlay itself (`runtime.linux.overlay`), not the kernel's file systems (`kernelfiles`) and
not the order of things (`init`).  Sources on the host are taken hold of before `pivot`; every
target is opened once after it, so that whatever symbolic links an image has, they lead to places
in the image, and what was opened is looked at and mounted on: a target is no path any more.
"""

from __future__ import annotations

import errno
import os
import stat

from runtime.container.start import copyup, kernelfiles
from runtime.linux import beneath, filesystems, mounts, namespaces, trees
from runtime.model.contexts import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.container.start.kernelfiles import KernelFiles
    from runtime.model.container.spec import Mount

_HARDENED = kernelfiles.HARDENED
_PROPAGATION = {
    "private": mounts.MS_PRIVATE,
    "rprivate": mounts.MS_PRIVATE,
    "slave": mounts.MS_SLAVE,
    "rslave": mounts.MS_SLAVE,
    "shared": mounts.MS_SHARED,
    "rshared": mounts.MS_SHARED,
}
_NO_LINKS = beneath.RESOLVE_NO_SYMLINKS
_TMPFS_FLAGS = {
    "noexec": mounts.MS_NOEXEC,
    "nosuid": mounts.MS_NOSUID,
    "nodev": mounts.MS_NODEV,
}
_MOST_LINKS = 40  # MAXSYMLINKS of the kernel


class FileOwner:
    """Who owns what is made for the container: root, or with --userns root's stand-in here."""

    def __init__(self, shift: int = 0, user_namespace_fd: int = -1) -> None:
        self.shift = shift  # what the container's id 0 is on the host
        self._fd = user_namespace_fd

    def map_ids(self, tree_fd: int) -> None:
        """Let the files of a tree that is attached nowhere have the container's owners."""
        if self._fd >= 0:
            trees.set_attributes(
                "",
                directory_fd=tree_fd,
                add=trees.MOUNT_ATTR_IDMAP,
                user_namespace_fd=self._fd,
            )

    def take(self, parent_fd: int, name: str) -> None:
        """Make *name*, which we have just made, the container's."""
        if self.shift:
            os.chown(name, self.shift, self.shift, dir_fd=parent_fd, follow_symlinks=False)


def map_layers(layers: Sequence[str], place: str, owner: FileOwner) -> tuple[tuple[str, ...], str]:
    """Return *layers* with the container's owners, and where their overlay is to be mounted.

    They are mounted below the directory *place*, for overlayfs takes nothing that is not.
    """
    if not owner.shift:
        return tuple(layers), place
    mounts.mount("tmpfs", place, "tmpfs", 0, "mode=700")
    mapped = []
    for number, layer in enumerate(layers):
        os.mkdir(path := f"{place}/{number}")
        tree_fd = trees.clone(layer)
        owner.map_ids(tree_fd)
        trees.attach(tree_fd, path)
        os.close(tree_fd)
        mapped.append(path)
    os.mkdir(target := f"{place}/root")
    return tuple(mapped), target


class MountSource:
    """A host's file or directory, held as a mount tree that is attached nowhere."""

    def __init__(self, mount: Mount, owned_tree_fd: int, owner: FileOwner) -> None:
        self.mount = mount
        self.fd = owned_tree_fd
        self._owner = owner
        self.is_directory = stat.S_ISDIR(os.fstat(self.fd).st_mode)

    def attach(self, kernel: KernelFiles) -> None:
        """Mount it at its place, made when missing; a fresh volume is filled.

        Raises:
            RuntimeFailure: nothing may be mounted where its place leads to.
        """
        target_fd = open_target(self.mount.target, self._owner, directory=self.is_directory)
        try:
            lands = kernel.admit(self.mount, target_fd, self.fd)
            is_volume = self.mount.kind == "volume"
            # What the kernel shows there is nothing of the image.
            if (
                is_volume
                and self.mount.copy_up
                and self.is_directory
                and lands == kernelfiles.ELSEWHERE
            ):
                copyup.fill(self.fd, target_fd, kernel.proc_fd, self._owner.shift)
            self.put_on(target_fd)
            if lands == kernelfiles.ON_DEV:
                kernel.take_machine_dev(self.fd)
        finally:
            os.close(target_fd)

    def put_on(self, target_fd: int) -> None:
        """Mount it on the file or directory *target_fd* itself."""
        propagation = self.mount.propagation or "rprivate"
        if self.mount.kind == "volume":  # what is in there belongs to containers
            self._owner.map_ids(self.fd)
        trees.set_attributes(
            "",
            directory_fd=self.fd,
            add=trees.MOUNT_ATTR_RDONLY if self.mount.read_only else 0,
            propagation=_PROPAGATION[propagation],
            recursive=propagation.startswith("r"),
        )
        trees.attach(self.fd, "", directory_fd=target_fd)

    def is_of_the_kernel(self) -> bool:
        """Return whether it is a procfs or a sysfs, which have what containers must not see."""
        return filesystems.kind(self.fd) in (filesystems.PROC, filesystems.SYSFS)

    def close(self) -> None:
        """Let go of it; what is mounted stays so."""
        os.close(self.fd)


def hold(mount: Mount, path: str, owner: FileOwner) -> MountSource:
    """Take hold of *path* on the host, with what is mounted below it if that is wanted."""
    tree_fd = trees.clone(path, recursive=mount.propagation.startswith("r"))
    return MountSource(mount, tree_fd, owner)


def hold_ipc(shared: Sequence[Mount], namespace_fd: int, owner: FileOwner) -> list[MountSource]:
    """Take hold of another's /dev/shm and /dev/mqueue, in the mount namespace *namespace_fd*.

    -1 is ours.  A tree can be cloned in one's own namespace alone, so we go there and back.
    """
    if namespace_fd < 0:
        return [hold(mount, mount.source, owner) for mount in shared]
    own_fd = namespaces.open_own("mnt")
    try:
        namespaces.setns(namespace_fd, namespaces.CLONE_NEWNS)
        try:
            return [_hold_inside(mount, owner) for mount in shared]
        finally:
            namespaces.setns(own_fd, namespaces.CLONE_NEWNS)
    finally:
        os.close(own_fd)
        os.close(namespace_fd)


def _hold_inside(mount: Mount, owner: FileOwner) -> MountSource:
    """Take hold of a directory in the mount namespace of a container that runs, by no link of it."""
    root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    flags = os.O_PATH | os.O_DIRECTORY
    try:
        path = os.fsencode(mount.source.lstrip("/"))
        fd = beneath.openat2(root_fd, path, flags, beneath.RESOLVE_BENEATH | _NO_LINKS)
    finally:
        os.close(root_fd)
    try:
        return MountSource(mount, trees.clone("", directory_fd=fd), owner)
    finally:
        os.close(fd)


def detach_from_host() -> None:
    """Let no mount of ours reach the host, while the host's still reach what asks for it."""
    mounts.mount("", "/", "", mounts.MS_SLAVE | mounts.MS_REC)


def pivot(root: str) -> None:
    """Make the mount *root* our root and take the old one away, with all that was below it.

    At once: pivot_root(".", ".") stacks the old root upon the new one, and as long as it lies
    there ``..`` in an image's link leads from ``/`` up to the host's files.
    """
    old_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    os.chdir(root)
    namespaces.pivot_root(".", ".")
    os.fchdir(old_fd)
    os.close(old_fd)
    # Slaves first: taking it away must not travel to the host.
    mounts.mount("", ".", "", mounts.MS_SLAVE | mounts.MS_REC)
    mounts.umount2(".", mounts.MNT_DETACH)
    os.chdir("/")


def open_target(path: str, owner: FileOwner, *, directory: bool) -> int:
    """Return a descriptor of what is to be mounted on at *path*, made when missing.

    Links lead to places in the image, also dangling ones; those of /proc that lead elsewhere
    (/proc/self/fd/3 while the host's root is still open) are refused.

    Raises:
        OSError: ELOOP: such a link; ENOTDIR: something else than a directory is on the way.
    """
    root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _open_or_make(root_fd, path, owner, directory=directory, links=_MOST_LINKS)
    finally:
        os.close(root_fd)


def _open_or_make(root_fd: int, path: str, owner: FileOwner, *, directory: bool, links: int) -> int:
    """Open *path* below *root_fd*; make what is missing, following at most *links* links."""
    try:
        return beneath.open_in_root(root_fd, os.fsencode(path), os.O_PATH)
    except FileNotFoundError:
        if not links:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path) from None
    above, _, name = path.rstrip("/").rpartition("/")
    parent_fd = _open_or_make(root_fd, above or "/", owner, directory=True, links=links - 1)
    try:
        target = _make(parent_fd, name, owner, directory=directory)
    finally:
        os.close(parent_fd)
    if target is not None:  # a dangling link
        path = os.path.normpath(os.path.join(above or "/", target))
    return _open_or_make(root_fd, path, owner, directory=directory, links=links - 1)


def _make(parent_fd: int, name: str, owner: FileOwner, *, directory: bool) -> str | None:
    """Make a directory or an empty file; return where a link that is there already leads."""
    with suppress(OSError):
        return os.readlink(name, dir_fd=parent_fd)
    if filesystems.kind(parent_fd) == filesystems.PROC:
        raise OSError(errno.EPERM, "nothing can be made in /proc", name)
    with suppress(FileExistsError):
        if directory:
            os.mkdir(name, 0o755, dir_fd=parent_fd)
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(name, flags, 0o644, dir_fd=parent_fd))
        owner.take(parent_fd, name)
    return None


def make_directories(path: str, owner: FileOwner) -> None:
    """Make the directory *path* and those above it, within the image."""
    os.close(open_target(path, owner, directory=True))


def make_device(path: str, mode: int, device: int, owner: FileOwner) -> None:
    """Make a device node at *path* unless something is there, with exactly that mode."""
    above, _, name = path.rstrip("/").rpartition("/")
    parent_fd = open_target(above or "/", owner, directory=True)
    before = os.umask(0)
    try:
        if filesystems.kind(parent_fd) == filesystems.PROC:
            raise OSError(errno.EPERM, "nothing can be made in /proc", path)
        with suppress(FileExistsError):
            os.mknod(name, mode, device, dir_fd=parent_fd)
    finally:
        os.umask(before)
        os.close(parent_fd)


def mount_tmpfs(mount: Mount, owner: FileOwner, kernel: KernelFiles) -> None:
    """Mount an empty tmpfs; docker's flags unless the options say otherwise.

    Raises:
        RuntimeFailure: nothing may be mounted where its place leads to.
    """
    flags = _HARDENED
    data = []
    for option in mount.options:
        if option in _TMPFS_FLAGS:
            flags |= _TMPFS_FLAGS[option]
        elif f"no{option}" in _TMPFS_FLAGS:
            flags &= ~_TMPFS_FLAGS[f"no{option}"]
        else:
            data.append(option)
    if not any(option.startswith("mode=") for option in data):
        data.append("mode=1777")
    if mount.read_only:
        flags |= mounts.MS_RDONLY
    if owner.shift:
        data += [f"uid={owner.shift}", f"gid={owner.shift}"]
    target_fd = open_target(mount.target, owner, directory=True)
    try:
        kernel.admit(mount, target_fd)
        kernel.mount_tmpfs(target_fd, mount.target, flags, ",".join(data))
    finally:
        os.close(target_fd)


def mount_private(source: MountSource, path: str, owner: int, kernel: KernelFiles) -> None:
    """Mount a small directory in memory, for the user *owner* alone to write to.

    Its place is *path*, which is in the tree of *source* that is mounted.
    """
    name = os.fsencode(os.path.relpath(path, source.mount.target))
    flags = os.O_PATH | os.O_DIRECTORY
    target_fd = beneath.openat2(source.fd, name, flags, beneath.RESOLVE_BENEATH | _NO_LINKS)
    try:
        data = f"mode=755,size=1m,uid={owner},gid={owner}"
        kernel.mount_tmpfs(target_fd, path, _HARDENED, data)
    finally:
        os.close(target_fd)


def make_root_read_only() -> None:
    """Make the root file system read-only, but not what is mounted in it."""
    trees.set_attributes("/", add=trees.MOUNT_ATTR_RDONLY)
