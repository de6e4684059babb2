"""Namespaces: unshare(2), setns(2), pivot_root(2), and the names and maps they hold."""

from __future__ import annotations

import os

from supervise.linux import prctl

CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

# Name below /proc/PID/ns → flag, in an order that setns(2) likes: the user namespace last among
# those that root enters with its own power, the mount namespace after what needs our /proc.
KINDS = {
    "cgroup": CLONE_NEWCGROUP,
    "ipc": CLONE_NEWIPC,
    "uts": CLONE_NEWUTS,
    "net": CLONE_NEWNET,
    "pid": CLONE_NEWPID,
    "mnt": CLONE_NEWNS,
}

_NR_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "i686": 217, "armv7l": 218}


def unshare(flags: int) -> None:
    """Leave namespaces for fresh ones.  Needs CAP_SYS_ADMIN.

    CLONE_NEWPID counts for children alone, and only until `setns` takes it back.

    Raises:
        OSError: EPERM; ENOSPC: too many namespaces; EINVAL: one that this kernel lacks.
    """
    prctl.check(prctl.libc().unshare(flags), "unshare")


def setns(fd: int, kind: int = 0) -> None:
    """Enter a namespace.

    *fd* is a file of /proc/PID/ns, or a pidfd with *kind* the sum of CLONE_NEW… to enter.

    Raises:
        OSError: EPERM; ESRCH: the process of the pidfd has ended; EINVAL: not of that kind.
    """
    prctl.check(prctl.libc().setns(fd, kind), "setns")


def open_own(kind: str) -> int:
    """Return a descriptor of our own namespace *kind*: a name below /proc/self/ns."""
    return os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)


def pivot_root(new_root: str, put_old: str) -> None:
    """Make *new_root* the root of this mount namespace.

    ``(".", ".")`` stacks the old root on top, ready for ``umount2(".", MNT_DETACH)``.

    Raises:
        OSError: EINVAL: *new_root* is no mount point, or a parent mount is shared; EBUSY: it is
            on the current root mount.
    """
    import ctypes

    number = ctypes.c_long(_NR_PIVOT_ROOT[os.uname().machine])
    result = prctl.libc().syscall(number, os.fsencode(new_root), os.fsencode(put_old))
    prctl.check(result, "pivot_root")


def sethostname(name: str) -> None:
    """Name the machine in our UTS namespace."""
    data = name.encode()
    prctl.check(prctl.libc().sethostname(data, len(data)), "sethostname")


def setdomainname(name: str) -> None:
    """Set the NIS domain of our UTS namespace."""
    data = name.encode()
    prctl.check(prctl.libc().setdomainname(data, len(data)), "setdomainname")


def make_user_namespace(first: int, count: int) -> int:
    """Return a descriptor of a fresh user namespace whose ids from 0 on are *first* and so on here.

    Raises:
        OSError: ENOSPC or EPERM: the system allows no more of them, or none.
    """
    ready_read, ready_write = os.pipe2(os.O_CLOEXEC)
    done_read, done_write = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        number = 1
        try:
            unshare(CLONE_NEWUSER)
            number = 0
        except OSError as error:
            number = error.errno or 1
        finally:
            os.write(ready_write, bytes([number]))
            os.close(done_write)
            os.read(done_read, 1)
            os._exit(0)
    try:
        if number := os.read(ready_read, 1)[0]:
            raise OSError(number, f"unshare: {os.strerror(number)}")
        text = f"0 {first} {count}\n"
        map_ids(pid, text, text)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        for fd in (ready_read, ready_write, done_read, done_write):
            os.close(fd)
        os.waitpid(pid, 0)


def map_ids(pid: int, uids: str, gids: str) -> None:
    """Give the fresh user namespace of *pid* its maps: lines ``INSIDE OUTSIDE COUNT``.

    See user_namespaces(7).  Needs CAP_SETUID and CAP_SETGID outside; can be done once.
    """
    for name, text in (("uid_map", uids), ("gid_map", gids)):
        fd = os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)
