"""Which process a record means: its pid, and when it was started, for processes that come later.

/proc/PID/stat counts from the boot that the *reader's* time namespace shows (time_namespaces(7)).
Records are read by commands in other ones, so they hold clock ticks since the machine's own boot.
A process that only compares what it read itself needs none of this.
"""

from __future__ import annotations

import os

from supervise.linux import procfs

_OFFSETS = "/proc/self/timens_offsets"
_NANO = 1_000_000_000
_WRAPS = 1 << 64  # nanoseconds: what is before the boot that we are shown comes as a huge number

_offset: int | None = None


def started(pid: int) -> int:
    """Return when *pid* was started, in clock ticks since the machine's boot; 0: it is gone."""
    found = procfs.stat(pid)
    return _candidates(found.start_time)[0] if found else 0


def exists(pid: int, when: int) -> bool:
    """Return whether the process that `started` then is there, if only as an exit status."""
    found = procfs.stat(pid)
    return found is not None and when in _candidates(found.start_time)


def runs(pid: int, when: int | None = None) -> bool:
    """Return whether that process is there and has not ended; without *when*, any of that pid."""
    found = procfs.stat(pid)
    if found is None or found.state in "ZX":
        return False
    return when is None or when in _candidates(found.start_time)


def _candidates(shown: int) -> tuple[int, int]:
    """Return the first and the last tick that *shown*, in our time namespace, may be.

    They are the same where our namespace is a whole number of ticks away, as with unshare(1).
    """
    global _offset
    if _offset is None:
        _offset = _boot_offset()
    tick = _NANO // os.sysconf("SC_CLK_TCK")
    since = shown * tick
    if since >= _WRAPS // 2:
        since -= _WRAPS
    since -= _offset
    return since // tick, (since + tick - 1) // tick


def _boot_offset() -> int:
    """Return the nanoseconds by which our boot seems earlier than the machine's.

    The file is about the namespace of our children; it is also ours, for execve(2) enters it
    (Linux 6.3), and before that its maker has to fork.
    """
    try:
        with open(_OFFSETS, encoding="ascii") as file:
            rows = [line.split() for line in file]
    except OSError:  # a kernel without time namespaces
        return 0
    return next((int(s) * _NANO + int(ns) for name, s, ns in rows if name == "boottime"), 0)
