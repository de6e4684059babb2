"""A terminal from the devpts of the mount namespace we are in; see pty(7), ioctl_tty(2)."""

from __future__ import annotations

import fcntl
import os
import struct
import termios

_TIOCSPTLCK, _TIOCGPTN = 0x40045431, 0x80045430


def open_pair(directory: str = "/dev/pts") -> tuple[int, int, str]:
    """Return (master, slave, the slave's path) of a new terminal that controls nobody yet."""
    master = os.open(f"{directory}/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    number = struct.unpack("i", fcntl.ioctl(master, _TIOCGPTN, bytes(4)))[0]
    path = f"{directory}/{number}"
    return master, os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC), path


def set_window(fd: int, rows: int, columns: int) -> None:
    """Set the size that programs on the terminal see."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def window(fd: int) -> tuple[int, int]:
    """Return (rows, columns).

    Raises:
        OSError: ENOTTY: *fd* is no terminal.
    """
    rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)))
    return rows, columns


def take_control(slave_fd: int) -> None:
    """Make the terminal our session's; we lead one that has none."""
    fcntl.ioctl(slave_fd, termios.TIOCSCTTY, 0)
