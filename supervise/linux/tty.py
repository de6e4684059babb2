"""Controlling terminals and foreground groups: tcsetpgrp(3), TIOCSCTTY of ioctl_tty(2)."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import termios
from contextlib import suppress


def is_terminal(fd: int) -> bool:
    """Return whether *fd* is open and a terminal."""
    return os.isatty(fd)


def has_hung_up(fd: int) -> bool:
    """Return whether terminal *fd* has lost its other end; the kernel says so before it signals."""
    poll = select.poll()
    poll.register(fd, 0)
    return bool(poll.poll(0))  # POLLHUP and POLLERR need not be asked for


def take_foreground(fd: int) -> None:
    """Make the calling child the foreground of terminal *fd*, in a process group of its own.

    In our session where *fd* is our controlling terminal, as a shell does it; else in a session
    of its own with *fd* as its controlling terminal.  SIGTTOU must be blocked or ignored.
    """
    try:
        os.tcgetpgrp(fd)
    except OSError as error:
        if error.errno != errno.ENOTTY:
            raise
        os.setsid()
        # 1: take it from another session, which needs CAP_SYS_ADMIN; 0 does not.
        fcntl.ioctl(fd, termios.TIOCSCTTY, 0)
        return
    os.setpgid(0, 0)
    os.tcsetpgrp(fd, os.getpid())


def take_back(fd: int) -> None:
    """Make our own group the foreground again; nothing to do when the terminal is gone."""
    with suppress(OSError):  # EIO, ENOTTY: hung up, or it went with the child's session
        os.tcsetpgrp(fd, os.getpgrp())
