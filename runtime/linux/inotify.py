"""Waiting for changes in a directory: inotify(7), as much of it as `logs -f` needs."""

from __future__ import annotations

import ctypes
import os

IN_MODIFY = 0x2
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE_SELF = 0x400
_CLOEXEC = 0o2000000
_NONBLOCK = 0o4000

_libc = ctypes.CDLL(None, use_errno=True)


def watch(path: str, events: int = IN_MODIFY | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF) -> int:
    """Return a descriptor that becomes readable when something happens in the directory *path*.

    See inotify_add_watch(2); what it says is of no use here, `drain` throws it away.

    Raises:
        OSError: ENOENT, EMFILE (fs.inotify.max_user_instances), ENOSPC (…max_user_watches).
    """
    fd: int = _libc.inotify_init1(_CLOEXEC | _NONBLOCK)
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if _libc.inotify_add_watch(fd, os.fsencode(path), ctypes.c_uint32(events)) < 0:
        number = ctypes.get_errno()
        os.close(fd)
        raise OSError(number, os.strerror(number), path)
    return fd


def drain(fd: int) -> None:
    """Read what there is, so that the next event wakes again."""
    try:
        while os.read(fd, 65536):
            continue
    except BlockingIOError:
        return
