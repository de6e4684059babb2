"""Kernel parameters below /proc/sys; see sysctl(8), proc(5).

Those of the network are the ones of the namespace the *calling* thread is in.  On the machine they
are reached by path; those of a container through a descriptor of its procfs, for its own paths may
be made to lead to the machine's.
"""

from __future__ import annotations

import errno
import os

from runtime.linux import beneath, filesystems

_WITHIN = beneath.RESOLVE_BENEATH | beneath.RESOLVE_NO_SYMLINKS | beneath.RESOLVE_NO_XDEV


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
    """Set *name* unless it has that value already; return whether that changed anything.

    Raises:
        OSError: as `write`; not when there is nothing to change.
    """
    if read(name) == value:
        return False
    write(name, value)
    return True


def write_beneath(proc_fd: int, name: str, value: str) -> None:
    """Set *name* through the procfs *proc_fd*; a dot separates, and so does a slash.

    Raises:
        OSError: as `write`; ELOOP or EXDEV: a link or a mount is on the way; EINVAL: another file
            system than a procfs.
    """
    write_file(proc_fd, f"sys/{name.replace('.', '/')}", value)


def write_file(proc_fd: int, path: str, text: str) -> None:
    """Write the file *path*, relative, of the procfs *proc_fd*; never through a link or a mount.

    Raises:
        OSError: as `write_beneath`.
    """
    try:
        fd = beneath.openat2(proc_fd, os.fsencode(path), os.O_WRONLY, _WITHIN)
        try:
            # RESOLVE_NO_XDEV: it is on the same mount as proc_fd.
            if filesystems.kind(fd) != filesystems.PROC:
                raise OSError(errno.EINVAL, "it is on no procfs")
            os.write(fd, text.encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"/proc/{path}") from None
