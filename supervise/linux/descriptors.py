"""Our own file descriptors: the three that must exist, and the others that children must not get.

See dup(2), fcntl(2) F_SETFD, and CVE-2024-21626 for what an inherited descriptor can do.
"""

from __future__ import annotations

import fcntl
import os
import resource


def open_missing_stdio() -> None:
    """Open /dev/null on 0, 1 and 2 where they are closed, so that nothing else lands there."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            _fill(fd)


def _fill(fd: int) -> None:
    try:
        opened = os.open("/dev/null", os.O_RDWR)
    except OSError:  # no /dev: a pipe nobody reads or writes keeps the number taken
        opened, other = os.pipe()
        os.close(other)
    if opened != fd:
        os.dup2(opened, fd)
        os.close(opened)


def keep_from_children() -> None:
    """Mark every descriptor above 2 close-on-exec, whoever left it open for us."""
    try:
        numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        numbers = list(range(3, 256))
    for fd in numbers:
        if fd > 2:
            _set_cloexec(fd)


def _set_cloexec(fd: int) -> None:
    try:
        fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    except OSError:  # EBADF: the listing's own descriptor, or a gap in the range
        return


def limit() -> int:
    """Return how many descriptors we may have: the soft RLIMIT_NOFILE, 1024 if we may not ask."""
    try:
        soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    except OSError:
        return 1024  # the usual one
    return soft if soft != resource.RLIM_INFINITY else 1 << 20
