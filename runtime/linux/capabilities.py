"""The capability sets of a container's process, set once before execve(2); see capabilities(7)."""

from __future__ import annotations

import errno

from supervise.linux import capabilities, prctl

NUMBERS = capabilities.NUMBERS
NAMES = capabilities.NAMES
_VERSION_3 = 0x20080522
_PR_CAP_AMBIENT_CLEAR_ALL = 4


def held() -> int:
    """Return our permitted set as a bit mask: more we cannot give."""
    return _capget()[1]


def mask(names: tuple[str, ...]) -> int:
    """Return the bit mask of *names*, without CAP_."""
    found = 0
    for name in names:
        found |= 1 << NUMBERS[name]
    return found


def limit_bounding(kept: int) -> None:
    """Take everything but *kept* out of the bounding set.  Needs CAP_SETPCAP.

    Numbers above those we know are dropped too: a newer kernel has more.
    """
    for number in range(64):
        if kept >> number & 1:
            continue
        try:
            present = prctl.prctl(prctl.PR_CAPBSET_READ, number)
        except OSError as error:
            if error.errno == errno.EINVAL:  # the kernel's last one was the one before
                return
            raise
        if present:
            prctl.prctl(prctl.PR_CAPBSET_DROP, number)


def set_sets(*, permitted: int, effective: int, inheritable: int = 0) -> None:
    """Set our three sets and clear the ambient one; only ever fewer than we hold."""
    import ctypes

    prctl.prctl(prctl.PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    sets = (effective, permitted, inheritable)
    words = [word & 0xFFFFFFFF for word in sets] + [word >> 32 for word in sets]
    data = (ctypes.c_uint32 * 6)(*words)
    prctl.check(prctl.libc().capset(header, data), "capset")


def make_files_as(number: int) -> None:
    """Make new files belong to the user and group *number*, and keep all capabilities.

    See setfsuid(2), which takes the power over files away with root's number.  A mount that maps
    ids lets nobody make files whose number it does not know.
    """
    power = held()
    prctl.libc().setfsgid(number)
    prctl.libc().setfsuid(number)
    set_sets(permitted=power, effective=power)


def _capget() -> tuple[int, int, int]:
    """Return our (effective, permitted, inheritable) sets as bit masks."""
    import ctypes

    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()
    prctl.check(prctl.libc().capget(header, data), "capget")
    effective, permitted, inheritable = (data[i] | data[i + 3] << 32 for i in range(3))
    return effective, permitted, inheritable
