"""The kernel's files in a container: /proc, /sys, /dev, and what of them is hidden or read-only.

They are mounted, changed and hidden before anything that a user or an image asked for is mounted;
`KernelFiles` keeps descriptors of them for what comes after.  Nothing here resolves a path of
the container a second time, and nothing follows a link: who can replace files in a volume while we
look cannot choose which file we write to, hide or mount.
"""

from __future__ import annotations

import errno
import os
import stat

from runtime.linux import beneath, filesystems, mounts, sysctl, trees
from runtime.model.container import defaults, mount_places
from runtime.model.contexts import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Protocol

    from runtime.model.container.spec import Mount, Spec

    class HeldTree(Protocol):
        """A mount tree that is attached nowhere; see `runtime.container.start.root_mounts`."""

        mount: Mount

        def put_on(self, target_fd: int) -> None:
            """Attach it on an open place."""


HARDENED = mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC
# Where a mount lands.
ELSEWHERE, ON_DEV, KERNEL = "elsewhere", "on /dev", "among the kernel's files"
_THERMAL = "/sys/devices/system/cpu"
_DIRECTORY = os.O_PATH | os.O_DIRECTORY
_PLAIN = beneath.RESOLVE_NO_SYMLINKS | beneath.RESOLVE_BENEATH
_ONE_MOUNT = _PLAIN | beneath.RESOLVE_NO_XDEV
_HIDEABLE = (filesystems.PROC, filesystems.SYSFS)
_KERNELS = (
    *(filesystems.SYSFS, filesystems.DEVPTS, filesystems.MQUEUE),
    *(filesystems.CGROUP, filesystems.CGROUP2),
)


class KernelFiles:
    """Descriptors of the container's own /proc and /dev, taken while nothing lies on them."""

    def __init__(self, machine_dev: tuple[int, int]) -> None:
        """Take hold of them; *machine_dev* are device and inode of the host's /dev."""
        self._machine_dev = machine_dev
        self.root_fd = os.open("/", _DIRECTORY | os.O_CLOEXEC)
        self.proc_fd = self._take(b"proc", filesystems.PROC)
        self._dev_fd = self._take(b"dev", filesystems.TMPFS)
        self.pts_fd = self._take(b"dev/pts", filesystems.DEVPTS)
        self._null_fd = beneath.openat2(self._dev_fd, b"null", os.O_PATH, _ONE_MOUNT)
        found = os.fstat(self._null_fd)
        if not stat.S_ISCHR(found.st_mode) or found.st_rdev != os.makedev(1, 3):
            raise OSError(errno.ENODEV, "it is not the null device", "/dev/null")
        self._root, self._dev = _identity(self.root_fd), _identity(self._dev_fd)
        groups = os.stat("sys/fs/cgroup", dir_fd=self.root_fd, follow_symlinks=False)
        self._ours: tuple[int, ...] = (self._dev[0], groups.st_dev)  # they have nothing of an image
        self._console_fd = -1

    def _take(self, path: bytes, kind: int) -> int:
        fd = beneath.openat2(self.root_fd, path, _DIRECTORY, _PLAIN)
        if filesystems.kind(fd) != kind:
            raise OSError(errno.EINVAL, "another file system is mounted there", b"/" + path)
        return fd

    def close(self) -> None:
        """Let go of all of them."""
        for fd in (self.root_fd, self.proc_fd, self._dev_fd, self.pts_fd, self._null_fd):
            os.close(fd)
        if self._console_fd >= 0:
            os.close(self._console_fd)

    def set_parameters(self, values: Iterable[tuple[str, str]]) -> None:
        """Write kernel parameters of the container's namespaces, before /proc/sys is read-only."""
        for name, value in values:
            try:
                sysctl.write_beneath(self.proc_fd, name, value)
            except FileNotFoundError:
                if name not in defaults.NETWORK_SYSCTLS:  # those are a wish of ours
                    raise

    def set_oom_score(self, adjustment: int) -> None:
        """Write our own oom_score_adj."""
        path = f"{os.getpid()}/oom_score_adj"
        sysctl.write_file(self.proc_fd, path, str(adjustment))

    def protect(self, hidden: Iterable[str], read_only: Iterable[str]) -> None:
        """Make *hidden* look empty and *read_only* read-only.

        What is not there, or not the kernel's, is passed over.
        """
        for path in hidden:
            fd = self._find(path)
            if fd >= 0:
                self._hide(fd, path)
                os.close(fd)
        for path in read_only:
            fd = self._find(path)
            if fd >= 0:
                _make_read_only(fd)
                os.close(fd)

    def _find(self, path: str) -> int:
        """Return an O_PATH descriptor of the kernel's file *path*, -1 if it is none."""
        try:
            fd = beneath.openat2(self.root_fd, os.fsencode(path[1:]), os.O_PATH, _PLAIN)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return -1
            raise
        if filesystems.kind(fd) in _HIDEABLE:
            return fd
        os.close(fd)
        return -1

    def _hide(self, fd: int, path: str) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            self.mount_tmpfs(fd, path, mounts.MS_RDONLY | HARDENED, "nr_inodes=1")
            return
        null_fd = trees.clone("", directory_fd=self._null_fd)
        try:
            trees.attach(null_fd, "", directory_fd=fd)
        finally:
            os.close(null_fd)

    def mount_tmpfs(self, directory_fd: int, name: str, flags: int, data: str) -> None:
        """Mount a tmpfs on the directory itself, by no path; *name* is for errors."""
        os.fchdir(directory_fd)
        try:
            mounts.mount("tmpfs", ".", "tmpfs", flags, data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, name) from None
        finally:
            os.fchdir(self.root_fd)

    def admit(self, mount: Mount, target_fd: int, tree_fd: int = -1) -> str:
        """Return where a mount on *target_fd* lands: ELSEWHERE, ON_DEV or KERNEL.

        *tree_fd* is what is to be mounted there; -1 is a new tmpfs.

        Raises:
            RuntimeFailure: nothing may be mounted there.
        """
        kind, here = filesystems.kind(target_fd), _identity(target_fd)
        if here == self._root:
            raise mount_places.on_root(mount.target)
        if kind == filesystems.PROC:
            self._admit_to_proc(mount.target, target_fd, tree_fd)
            return KERNEL
        if here == self._dev:
            if tree_fd < 0 or _identity(tree_fd) != self._machine_dev:
                raise mount_places.on_dev(mount.target)
            return ON_DEV
        return KERNEL if kind in _KERNELS or here[0] in self._ours else ELSEWHERE

    def _admit_to_proc(self, target: str, target_fd: int, tree_fd: int) -> None:
        device, inode = _identity(target_fd)
        if inode == filesystems.PROC_ROOT_INODE:
            is_proc = tree_fd >= 0 and filesystems.kind(tree_fd) == filesystems.PROC
            if not is_proc or _identity(tree_fd)[1] != filesystems.PROC_ROOT_INODE:
                raise mount_places.on_proc(target)
            return
        if tree_fd >= 0 and device == _identity(self.proc_fd)[0]:
            for name in mount_places.REPLACEABLE:
                with suppress(OSError):  # this kernel has none
                    fd = beneath.openat2(self.proc_fd, name.encode(), os.O_PATH, _PLAIN)
                    same = _identity(fd) == (device, inode)
                    os.close(fd)
                    if same:
                        return
        raise mount_places.in_proc(target)

    def take_machine_dev(self, tree_fd: int) -> None:
        """Go on with the machine's own /dev, which the user has mounted on ours."""
        os.close(self._dev_fd)
        self._dev_fd = os.dup(tree_fd)
        self._dev = self._machine_dev
        self._ours = (*self._ours, self._dev[0])
        with suppress(OSError):  # it has no terminals: ours are as good
            fd = beneath.openat2(self._dev_fd, b"pts", _DIRECTORY, _PLAIN)
            if filesystems.kind(fd) == filesystems.DEVPTS:
                os.close(self.pts_fd)
                self.pts_fd = fd
            else:
                os.close(fd)
        if self._console_fd >= 0:
            os.close(self._console_fd)
            self._console_fd = -1
            with suppress(OSError):  # it has none, and gets none from us
                self._take_console()

    def make_console(self) -> None:
        """Make the place of /dev/console, and take hold of it."""
        os.mknod("console", stat.S_IFREG | 0o620, dir_fd=self._dev_fd)
        self._take_console()

    def _take_console(self) -> None:
        self._console_fd = beneath.openat2(self._dev_fd, b"console", os.O_PATH, _ONE_MOUNT)

    def show_console(self, terminal_fd: int) -> None:
        """Let /dev/console be the terminal *terminal_fd*."""
        if self._console_fd < 0:
            return
        tree_fd = trees.clone("", directory_fd=terminal_fd)
        try:
            trees.attach(tree_fd, "", directory_fd=self._console_fd)
        finally:
            os.close(tree_fd)


def _identity(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def _make_read_only(fd: int) -> None:
    tree_fd = trees.clone("", directory_fd=fd, recursive=True)
    try:
        trees.set_attributes("", directory_fd=tree_fd, add=trees.MOUNT_ATTR_RDONLY, recursive=True)
        trees.attach(tree_fd, "", directory_fd=fd)
    finally:
        os.close(tree_fd)


def _own_directory(path: str) -> None:
    """Make sure that *path* is a directory and no link: what hides secrets must lie there."""
    with suppress(FileExistsError):
        os.mkdir(path, 0o755)
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        raise OSError(errno.ENOTDIR, "the image has something else than a directory there", path)


def mount_proc() -> None:
    """Mount /proc of our pid namespace."""
    _own_directory("/proc")
    mounts.mount("proc", "/proc", "proc", HARDENED)


def mount_sys(*, read_only: bool) -> None:
    """Mount /sys of our network namespace."""
    _own_directory("/sys")
    flags = HARDENED | (mounts.MS_RDONLY if read_only else 0)
    mounts.mount("sysfs", "/sys", "sysfs", flags)


def mount_dev(spec: Spec, shared_ipc: Sequence[HeldTree]) -> None:
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
        place_fd = os.open(source.mount.target, _DIRECTORY | os.O_CLOEXEC)
        source.put_on(place_fd)
        os.close(place_fd)
    if not shared_ipc:
        mounts.mount("mqueue", "/dev/mqueue", "mqueue", HARDENED)
        mounts.mount("shm", "/dev/shm", "tmpfs", HARDENED, f"mode=1777,size={spec.shm_size}")  # noqa: S108 - it is the mount itself


def mount_cgroup2(*, read_only: bool) -> None:
    """Mount the cgroup file system of our cgroup namespace."""
    flags = HARDENED | (mounts.MS_RDONLY if read_only else 0)
    mounts.mount("cgroup", "/sys/fs/cgroup", "cgroup2", flags)


def mount_cgroup1(held: Iterable[tuple[str, int]], *, read_only: bool) -> None:
    """Show our own directory of each hierarchy; *held* are (name, its mount tree)."""
    mounts.mount("tmpfs", "/sys/fs/cgroup", "tmpfs", HARDENED, "mode=755")
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
