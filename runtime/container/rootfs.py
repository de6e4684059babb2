"""A container's mounts, made from inside its own mount namespace.

Not the overlay itself (`runtime.store.overlay`) and not the order of things (`init`).  Sources on
the host are taken hold of before `pivot`; every target is a path after it, so that whatever
symbolic links an image has, they lead to places in the image.  In `MountError` the sentence is
for the user.
"""

from __future__ import annotations

import errno
import os
import stat

from runtime.container import copyup
from runtime.linux import beneath, mounts, namespaces, trees
from runtime.model import defaults
from runtime.model.contexts import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runtime.model.spec import Mount, Spec

_HARDENED = mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC
_PROPAGATION = {
    "private": mounts.MS_PRIVATE,
    "rprivate": mounts.MS_PRIVATE,
    "slave": mounts.MS_SLAVE,
    "rslave": mounts.MS_SLAVE,
    "shared": mounts.MS_SHARED,
    "rshared": mounts.MS_SHARED,
}
_TMPFS_FLAGS = {
    "noexec": mounts.MS_NOEXEC,
    "nosuid": mounts.MS_NOSUID,
    "nodev": mounts.MS_NODEV,
}
_MOST_LINKS = 40  # MAXSYMLINKS of the kernel
_THERMAL = "/sys/devices/system/cpu"


class Owner:
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


def map_layers(layers: Sequence[str], place: str, owner: Owner) -> tuple[tuple[str, ...], str]:
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


class Source:
    """A host's file or directory, held as a mount tree that is attached nowhere."""

    def __init__(self, mount: Mount, owned_tree_fd: int, owner: Owner) -> None:
        self.mount = mount
        self.fd = owned_tree_fd
        self._owner = owner
        self.is_directory = stat.S_ISDIR(os.fstat(self.fd).st_mode)

    def attach(self) -> None:
        """Mount it at its place, made when missing, and let go of it; a fresh volume is filled."""
        propagation = self.mount.propagation or "rprivate"
        target_fd = open_target(self.mount.target, self._owner, directory=self.is_directory)
        try:
            if self.mount.kind == "volume" and self.mount.copy_up and self.is_directory:
                copyup.fill(self.fd, target_fd, self._owner.shift)
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
        finally:
            os.close(target_fd)
            os.close(self.fd)


def hold(mount: Mount, path: str, owner: Owner) -> Source:
    """Take hold of *path* on the host, with what is mounted below it if that is wanted."""
    tree_fd = trees.clone(path, recursive=mount.propagation.startswith("r"))
    return Source(mount, tree_fd, owner)


def hold_ipc(shared: Sequence[Mount], namespace_fd: int, owner: Owner) -> list[Source]:
    """Take hold of another's /dev/shm and /dev/mqueue, in the mount namespace *namespace_fd*.

    -1 is ours.  A tree can be cloned in one's own namespace alone, so we go there and back.
    """
    if namespace_fd < 0:
        return [hold(mount, mount.source, owner) for mount in shared]
    own_fd = namespaces.open_own("mnt")
    try:
        namespaces.setns(namespace_fd, namespaces.CLONE_NEWNS)
        try:
            return [hold(mount, mount.source, owner) for mount in shared]
        finally:
            namespaces.setns(own_fd, namespaces.CLONE_NEWNS)
    finally:
        os.close(own_fd)
        os.close(namespace_fd)


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


def open_target(path: str, owner: Owner, *, directory: bool) -> int:
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


def _open_or_make(root_fd: int, path: str, owner: Owner, *, directory: bool, links: int) -> int:
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


def _make(parent_fd: int, name: str, owner: Owner, *, directory: bool) -> str | None:
    """Make a directory or an empty file; return where a link that is there already leads."""
    with suppress(OSError):
        return os.readlink(name, dir_fd=parent_fd)
    with suppress(FileExistsError):
        if directory:
            os.mkdir(name, 0o755, dir_fd=parent_fd)
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(name, flags, 0o644, dir_fd=parent_fd))
        owner.take(parent_fd, name)
    return None


def make_directories(path: str, owner: Owner) -> None:
    """Make the directory *path* and those above it, within the image."""
    os.close(open_target(path, owner, directory=True))


def _own_directory(path: str) -> None:
    """Make sure that *path* is a directory and no link: what hides secrets must lie there."""
    with suppress(FileExistsError):
        os.mkdir(path, 0o755)
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        raise OSError(errno.ENOTDIR, "the image has something else than a directory there", path)


def mount_proc() -> None:
    """Mount /proc of our pid namespace."""
    _own_directory("/proc")
    mounts.mount("proc", "/proc", "proc", _HARDENED)


def mount_sys(*, read_only: bool) -> None:
    """Mount /sys of our network namespace."""
    _own_directory("/sys")
    flags = _HARDENED | (mounts.MS_RDONLY if read_only else 0)
    mounts.mount("sysfs", "/sys", "sysfs", flags)


def mount_dev(spec: Spec, shared_ipc: Sequence[Source]) -> None:
    """Mount /dev with its nodes, pts, shm and mqueue; *shared_ipc* are another's shm and mqueue."""
    _own_directory("/dev")
    flags = mounts.MS_NOSUID | mounts.MS_STRICTATIME
    mounts.mount("tmpfs", "/dev", "tmpfs", flags, "mode=755,size=65536k")
    before = os.umask(0)
    try:
        for name, major, minor in defaults.DEVICES:
            os.mknod(f"/dev/{name}", stat.S_IFCHR | 0o666, os.makedev(major, minor))
        for name, target in defaults.DEVICE_LINKS:
            os.symlink(target, f"/dev/{name}")
        for name in ("pts", "shm", "mqueue"):
            os.mkdir(f"/dev/{name}", 0o755)
    finally:
        os.umask(before)
    options = "newinstance,ptmxmode=0666,mode=0620,gid=5"
    mounts.mount("devpts", "/dev/pts", "devpts", mounts.MS_NOSUID | mounts.MS_NOEXEC, options)
    for source in shared_ipc:
        source.attach()
    if not shared_ipc:
        mounts.mount("mqueue", "/dev/mqueue", "mqueue", _HARDENED)
        mounts.mount("shm", "/dev/shm", "tmpfs", _HARDENED, f"mode=1777,size={spec.shm_size}")  # noqa: S108 - it is the mount itself


def mount_cgroup2(*, read_only: bool) -> None:
    """Mount the cgroup file system of our cgroup namespace."""
    flags = _HARDENED | (mounts.MS_RDONLY if read_only else 0)
    mounts.mount("cgroup", "/sys/fs/cgroup", "cgroup2", flags)


def mount_cgroup1(held: Iterable[tuple[str, int]], *, read_only: bool) -> None:
    """Show our own directory of each hierarchy; *held* are (name, its mount tree)."""
    mounts.mount("tmpfs", "/sys/fs/cgroup", "tmpfs", _HARDENED, "mode=755")
    attributes = trees.MOUNT_ATTR_NOSUID | trees.MOUNT_ATTR_NODEV | trees.MOUNT_ATTR_NOEXEC
    attributes |= trees.MOUNT_ATTR_RDONLY if read_only else 0
    for name, tree_fd in held:
        target = f"/sys/fs/cgroup/{name}"
        os.mkdir(target)
        trees.set_attributes("", directory_fd=tree_fd, add=attributes)
        trees.attach(tree_fd, target)
        os.close(tree_fd)
    if read_only:
        trees.set_attributes("/sys/fs/cgroup", add=trees.MOUNT_ATTR_RDONLY)


def mount_tmpfs(mount: Mount, owner: Owner) -> None:
    """Mount an empty tmpfs; docker's flags unless the options say otherwise."""
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
        mounts.mount("tmpfs", f"/proc/self/fd/{target_fd}", "tmpfs", flags, ",".join(data))
    finally:
        os.close(target_fd)


def mount_private(path: str, owner: int) -> None:
    """Mount a small directory in memory at *path*, for the user *owner* alone to write to."""
    data = f"mode=755,size=1m,uid={owner},gid={owner}"
    mounts.mount("tmpfs", path, "tmpfs", _HARDENED, data)


def mount_console(terminal: str) -> None:
    """Let /dev/console be the program's terminal."""
    os.close(os.open("/dev/console", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o620))
    mounts.mount(terminal, "/dev/console", "", mounts.MS_BIND)


def masked_paths() -> list[str]:
    """Return the default list for this machine."""
    found = list(defaults.MASKED_PATHS)
    if os.path.exists(f"{_THERMAL}/cpu0/thermal_throttle"):
        found += [
            f"{_THERMAL}/{name}/thermal_throttle"
            for name in os.listdir(_THERMAL)
            if name[:3] == "cpu" and name[3:].isdecimal()
        ]
    return found


def mask(paths: Iterable[str]) -> None:
    """Make files look empty and directories too; what is not there is passed over."""
    null_fd = trees.clone("/dev/null")
    try:
        device = os.fstat(null_fd)
        assert stat.S_ISCHR(device.st_mode)
        assert device.st_rdev == os.makedev(1, 3)
    finally:
        os.close(null_fd)
    for path in paths:
        try:
            found = os.stat(path)
        except OSError:
            continue
        if stat.S_ISDIR(found.st_mode):
            mounts.mount("tmpfs", path, "tmpfs", mounts.MS_RDONLY | _HARDENED, "nr_inodes=1")
        else:
            mounts.mount("/dev/null", path, "", mounts.MS_BIND)


def make_read_only(paths: Iterable[str]) -> None:
    """Make what lies at *paths* read-only; what is not there is passed over."""
    for path in paths:
        try:
            tree_fd = trees.clone(path, recursive=True)
        except FileNotFoundError:
            continue
        trees.set_attributes("", directory_fd=tree_fd, add=trees.MOUNT_ATTR_RDONLY, recursive=True)
        trees.attach(tree_fd, path)
        os.close(tree_fd)


def make_root_read_only() -> None:
    """Make the root file system read-only, but not what is mounted in it."""
    trees.set_attributes("/", add=trees.MOUNT_ATTR_RDONLY)
