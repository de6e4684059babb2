"""Mounts: mount(2) and the calls of the new mount API, under the kernel's names.

Paths are bytes-like or text; nothing here decides what is mounted where.
"""

from __future__ import annotations

import os

from supervise.linux import prctl

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MS_RELATIME = 1 << 21
MS_STRICTATIME = 1 << 24

MNT_FORCE = 1
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

AT_FDCWD = -100
AT_RECURSIVE = 0x8000

# One number on every machine: include/uapi/asm-generic/unistd.h, x86 and arm alike.
_NR_OPEN_TREE = 428
_NR_MOVE_MOUNT = 429
_NR_FSOPEN = 430
_NR_FSCONFIG = 431
_NR_FSMOUNT = 432

OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH = 0x4
MOUNT_ATTR_RDONLY = 0x1
_FSOPEN_CLOEXEC = 1
_FSMOUNT_CLOEXEC = 1
_FSCONFIG_SET_FLAG = 0
_FSCONFIG_SET_STRING = 1
_FSCONFIG_CMD_CREATE = 6


def mount(source: str, target: str, filesystem: str, flags: int = 0, data: str = "") -> None:
    """Mount *source*, or change the mount at *target*.  Needs CAP_SYS_ADMIN.

    Raises:
        OSError: EINVAL, ENOENT, EPERM, EBUSY and so on; names the target.
    """
    result = prctl.libc().mount(
        os.fsencode(source),
        os.fsencode(target),
        os.fsencode(filesystem),
        _unsigned(flags),
        os.fsencode(data) or None,
    )
    _check(result, target)


def umount2(target: str, flags: int = 0) -> None:
    """Unmount the topmost mount at *target*; umount(2).  Needs CAP_SYS_ADMIN.

    Raises:
        OSError: EINVAL: *target* is no mount point; EBUSY: it is in use; ENOENT.
    """
    _check(prctl.libc().umount2(os.fsencode(target), flags), target)


def fsopen(filesystem: str) -> int:
    """Return a descriptor to configure a new *filesystem* with; Linux 5.2.

    Raises:
        OSError: ENOSYS: an older kernel; ENODEV: it does not know *filesystem*.
    """
    return _call(_NR_FSOPEN, os.fsencode(filesystem), _FSOPEN_CLOEXEC)


def fsconfig_string(fd: int, key: str, value: str) -> None:
    """Set the parameter *key*, at most 255 bytes of *value*; see fsconfig(2).

    Raises:
        OSError: EINVAL: the file system refuses it; `messages` may say why.
    """
    _call(_NR_FSCONFIG, fd, _FSCONFIG_SET_STRING, key.encode(), os.fsencode(value), 0)


def fsconfig_flag(fd: int, key: str) -> None:
    """Set the parameter *key* that has no value; see fsconfig(2)."""
    _call(_NR_FSCONFIG, fd, _FSCONFIG_SET_FLAG, key.encode(), None, 0)


def fsconfig_create(fd: int) -> None:
    """Make the file system that was configured; see FSCONFIG_CMD_CREATE in fsconfig(2)."""
    _call(_NR_FSCONFIG, fd, _FSCONFIG_CMD_CREATE, None, None, 0)


def fsmount(fd: int, attributes: int = 0) -> int:
    """Return a descriptor of a mount, attached nowhere, of the file system that was made."""
    return _call(_NR_FSMOUNT, fd, _FSMOUNT_CLOEXEC, attributes)


def move_mount(mount_fd: int, target: str) -> None:
    """Attach the mount *mount_fd* at *target*; Linux 5.2."""
    _call(_NR_MOVE_MOUNT, mount_fd, b"", AT_FDCWD, os.fsencode(target), MOVE_MOUNT_F_EMPTY_PATH)


def open_tree(path: str, flags: int = OPEN_TREE_CLONE) -> int:
    """Return a descriptor of a mount, or of a detached copy of it; Linux 5.2."""
    return _call(_NR_OPEN_TREE, AT_FDCWD, os.fsencode(path), flags | OPEN_TREE_CLOEXEC)


def messages(fd: int) -> str:
    """Return what the kernel has written about the file system of *fd*, empty when nothing.

    Each message comes as ``e …``, ``w …`` or ``i …``: see fsopen(2).
    """
    found = []
    while True:
        try:
            found.append(os.read(fd, 4096).decode(errors="replace")[2:].strip())
        except OSError:  # ENODATA: that was all
            return "; ".join(found)


def _call(number: int, *arguments: int | bytes | None) -> int:
    """Make a system call that libc may not wrap; integers go as long, as syscall(2) asks."""
    import ctypes

    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    names = [os.fsdecode(a) for a in arguments if isinstance(a, bytes) and a]
    return _check(prctl.libc().syscall(ctypes.c_long(number), *converted), *names[-1:])


def _check(result: int, *path: str) -> int:
    if result < 0:
        import ctypes

        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), *path)
    return result


def _unsigned(flags: int) -> object:
    import ctypes

    return ctypes.c_ulong(flags)
