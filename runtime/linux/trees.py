"""Mount trees that are attached nowhere yet: clone, change, attach.

With open_tree(2) a source is taken hold of before pivot_root(2) and attached after it, so that no
symbolic link of an image can lead a mount out of the container.  Linux 5.2, mount_setattr(2) 5.12.
"""

from __future__ import annotations

import os

from runtime.linux import mounts
from supervise.linux import prctl

MOUNT_ATTR_RDONLY = 0x01
MOUNT_ATTR_NOSUID = 0x02
MOUNT_ATTR_NODEV = 0x04
MOUNT_ATTR_NOEXEC = 0x08
MOUNT_ATTR_IDMAP = 0x00100000

_NR_OPEN_TREE = 428
_NR_MOVE_MOUNT = 429
_NR_MOUNT_SETATTR = 442
_AT_EMPTY_PATH = 0x1000
_MOVE_MOUNT_T_SYMLINKS = 0x10
_MOVE_MOUNT_T_EMPTY_PATH = 0x40


def clone(path: str, *, directory_fd: int = mounts.AT_FDCWD, recursive: bool = False) -> int:
    """Return a descriptor of a copy of the mount tree at *path*, attached nowhere.

    With *path* empty it is that of *directory_fd* itself, which may be any kind of file.

    Raises:
        OSError: ENOENT; EINVAL: not of our mount namespace; ENOSYS: an older kernel.
    """
    import ctypes

    flags = mounts.OPEN_TREE_CLONE | os.O_CLOEXEC | (mounts.AT_RECURSIVE if recursive else 0)
    flags |= 0 if path else _AT_EMPTY_PATH
    fd: int = prctl.libc().syscall(
        ctypes.c_long(_NR_OPEN_TREE),
        ctypes.c_long(directory_fd),
        os.fsencode(path),
        ctypes.c_ulong(flags),
    )
    return _check(fd, path)


def attach(tree_fd: int, target: str, *, directory_fd: int = mounts.AT_FDCWD) -> None:
    """Attach the tree *tree_fd* at *target*, following links; an empty one is *directory_fd*.

    Raises:
        OSError: ENOENT; ENOTDIR: a directory on a file, or the other way round.
    """
    import ctypes

    flags = mounts.MOVE_MOUNT_F_EMPTY_PATH
    flags |= _MOVE_MOUNT_T_SYMLINKS if target else _MOVE_MOUNT_T_EMPTY_PATH
    result = prctl.libc().syscall(
        ctypes.c_long(_NR_MOVE_MOUNT),
        ctypes.c_long(tree_fd),
        b"",
        ctypes.c_long(directory_fd),
        os.fsencode(target),
        ctypes.c_ulong(flags),
    )
    _check(result, target)


def set_attributes(
    path: str,
    *,
    directory_fd: int = mounts.AT_FDCWD,
    add: int = 0,
    remove: int = 0,
    propagation: int = 0,
    user_namespace_fd: int = 0,
    recursive: bool = False,
) -> None:
    """Change a mount's MOUNT_ATTR_… and its propagation (MS_PRIVATE, …); see mount_setattr(2).

    With *path* empty it is the tree *directory_fd*.

    Raises:
        OSError: EINVAL; EPERM: it is locked by a user namespace; ENOSYS: an older kernel.
    """
    import ctypes

    attributes = (ctypes.c_uint64 * 4)(add, remove, propagation, user_namespace_fd)
    flags = (mounts.AT_RECURSIVE if recursive else 0) | (0 if path else _AT_EMPTY_PATH)
    result = prctl.libc().syscall(
        ctypes.c_long(_NR_MOUNT_SETATTR),
        ctypes.c_long(directory_fd),
        os.fsencode(path),
        ctypes.c_ulong(flags),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    _check(result, path)


def _check(result: int, path: str) -> int:
    if result < 0:
        import ctypes

        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path or None)
    return result
