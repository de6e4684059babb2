"""waitpid(2): the one reaper of the whole process.

A second one, such as `subprocess`, would steal statuses.  Called by the daemon's kernel alone.
"""

from __future__ import annotations

import os

from supervise.model.exitstatus import ExitStatus, from_wait_status


def reap(limit: int = 512) -> list[tuple[int, ExitStatus]]:
    """Return (pid, status) of up to *limit* children that have ended, and free them.

    One SIGCHLD may mean many deaths, so call again while *limit* came back.  Pids nobody knows
    are normal: orphans are reparented to PID 1 and to a child subreaper.  See wait(2).
    """
    ended: list[tuple[int, ExitStatus]] = []
    waitpid, nohang = os.waitpid, os.WNOHANG
    try:
        while len(ended) < limit:
            pid, status = waitpid(-1, nohang)
            if pid == 0:
                break
            # A tracer gets stops as well; only an end is an end (WIFSTOPPED is 0x7f).
            if status & 0xFF != 0x7F:
                ended.append((pid, from_wait_status(status)))
    except ChildProcessError:  # ECHILD: none are left
        return ended
    return ended


def stopped_children() -> list[tuple[int, int]]:
    """Return (pid, signal) of children that were stopped by a signal since the last call.

    waitid(2) with WSTOPPED alone: it takes no exit away from `reap`.
    """
    stopped: list[tuple[int, int]] = []
    try:
        while (info := os.waitid(os.P_ALL, 0, os.WSTOPPED | os.WNOHANG)) is not None:
            stopped.append((info.si_pid, info.si_status))
    except ChildProcessError:
        return stopped
    return stopped


def has_children() -> bool:
    """Return whether there is any child, ended or not; takes nothing away."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
