"""A terminal from a devpts that is open; see pty(7), ioctl_tty(2)."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import termios

from runtime.linux import beneath, filesystems

_WITHIN = beneath.RESOLVE_BENEATH | beneath.RESOLVE_NO_SYMLINKS
_TIOCSPTLCK, _TIOCGPTN = 0x40045431, 0x80045430


def open_terminals() -> int:
    """Return a descriptor of the /dev/pts of the root directory we have, reached by no link.

    Raises:
        OSError: ENODEV: something else than terminals is there; ELOOP: a link leads to it.
    """
    root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = beneath.openat2(root_fd, b"dev/pts", os.O_PATH | os.O_DIRECTORY, _WITHIN)
    finally:
        os.close(root_fd)
    if filesystems.kind(fd) != filesystems.DEVPTS:
        os.close(fd)
        raise OSError(errno.ENODEV, "no terminals are there", "/dev/pts")
    return fd


def open_pair(devpts_fd: int) -> tuple[int, int]:
    """Return (master, slave) of a new terminal of that devpts that has no session yet."""
    flags, resolve = os.O_RDWR | os.O_NOCTTY, _WITHIN | beneath.RESOLVE_NO_XDEV
    master = beneath.openat2(devpts_fd, b"ptmx", flags, resolve)
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    number = struct.unpack("i", fcntl.ioctl(master, _TIOCGPTN, bytes(4)))[0]
    return master, beneath.openat2(devpts_fd, str(number).encode(), flags, resolve)


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
