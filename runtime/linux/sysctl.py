"""Kernel parameters below /proc/sys; see sysctl(8), proc(5).

Those of the network are the ones of the namespace the *calling* thread is in.
"""

from __future__ import annotations

import os


def _path(name: str) -> str:
    # A dot separates; an interface's own dot (eth0.100) is written as a slash, as sysctl(8) does.
    return "/proc/sys/" + name.translate({ord("."): "/", ord("/"): "."})


def read(name: str) -> str:
    """Return the value of *name* ("net.ipv4.ip_forward"), "" where this kernel has none."""
    try:
        fd = os.open(_path(name), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        return os.read(fd, 4096).decode().strip()
    finally:
        os.close(fd)


def write(name: str, value: str) -> None:
    """Set *name*.

    Raises:
        OSError: ENOENT: this kernel has none; EROFS or EACCES: not ours to set; EINVAL: no such
            value.
    """
    fd = os.open(_path(name), os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def ensure(name: str, value: str) -> bool:
    """Set *name* unless it has that value already; tell whether that changed anything.

    Raises:
        OSError: as `write`; not when there is nothing to change.
    """
    if read(name) == value:
        return False
    write(name, value)
    return True
