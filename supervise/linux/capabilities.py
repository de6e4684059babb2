"""Capability sets of the process that is about to become a service; see capabilities(7)."""

from __future__ import annotations

import errno

from supervise.linux import prctl

# The order is the number: include/uapi/linux/capability.h.
NAMES = (
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
)
NUMBERS = {name: number for number, name in enumerate(NAMES)}
_VERSION_3 = 0x20080522


def drop_bounding(names: tuple[str, ...], *, keep: tuple[str, ...]) -> None:
    """Take *names* (or ``ALL``) but *keep* out of all sets that execve(2) gives a program from.

    Those are the bounding set and, for root, the inheritable one; ambient ones go with it.

    Raises:
        OSError: EPERM without CAP_SETPCAP.
    """
    dropped = NUMBERS if "ALL" in names else {name: NUMBERS[name] for name in names}
    mask = 0
    for name, number in dropped.items():
        if name in keep or "ALL" in keep:
            continue
        mask |= 1 << number
        try:
            present = prctl.prctl(prctl.PR_CAPBSET_READ, number)
        except OSError as error:
            if error.errno == errno.EINVAL:  # this kernel does not know it: nothing to drop
                continue
            raise
        if present:
            _drop_one(number)
    effective, permitted, inheritable = _capget()
    if inheritable & mask:
        _capset(effective, permitted, inheritable & ~mask)


def _drop_one(number: int) -> None:
    try:
        prctl.prctl(prctl.PR_CAPBSET_DROP, number)
    except PermissionError as error:
        why = "PID 1 has no CAP_SETPCAP; drop them for the whole container, or run it as root"
        raise PermissionError(errno.EPERM, why) from error


def keep(names: tuple[str, ...], *, root: bool) -> None:
    """Give the program *names* (or ``ALL`` we have), also when it does not run as root.

    As root the bounding set decides what execve(2) gives, so only a check is needed; a plain user
    gets them as ambient capabilities.

    Raises:
        OSError: EPERM when we do not have one of them ourselves.
    """
    permitted = _capget()[1]
    wanted = 0
    for name in names:
        wanted |= permitted if name == "ALL" else 1 << NUMBERS[name]
    if missing := wanted & ~permitted:
        lacking = ", ".join(n for n, number in NUMBERS.items() if missing >> number & 1)
        raise PermissionError(errno.EPERM, f"this container does not have {lacking}")
    if root:
        return
    _capset(wanted, wanted, wanted)
    for number in NUMBERS.values():
        if wanted >> number & 1:
            prctl.prctl(prctl.PR_CAP_AMBIENT, prctl.PR_CAP_AMBIENT_RAISE, number)


def _capget() -> tuple[int, int, int]:
    """Return our (effective, permitted, inheritable) sets as bit masks."""
    import ctypes

    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()
    prctl.check(prctl.libc().capget(header, data), "capget")
    return tuple(data[i] | data[i + 3] << 32 for i in range(3))  # type: ignore[return-value]


def _capset(effective: int, permitted: int, inheritable: int) -> None:
    import ctypes

    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    sets = (effective, permitted, inheritable)
    words = [word & 0xFFFFFFFF for word in sets] + [word >> 32 for word in sets]
    data = (ctypes.c_uint32 * 6)(*words)
    prctl.check(prctl.libc().capset(header, data), "capset")
