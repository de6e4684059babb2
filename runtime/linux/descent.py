"""Where a walk over a tree is: one directory open, those above it remembered by name.

The tree may be in use, by a container that moves its directories about and nests them thousands
deep: no path is given to the kernel whole, no link is followed, and one descriptor is enough.
"""

from __future__ import annotations

import errno
import os

from runtime.linux import beneath

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# What a name says that somebody has removed, or put something else in the place of, meanwhile.
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL, errno.ESTALE})


def is_gone(error: OSError) -> bool:
    """Return whether *error* says that what had the name has it no longer."""
    return error.errno in _GONE


class Descent:
    """Goes down and up below one directory, and never out of it."""

    def __init__(self, root_fd: int) -> None:
        """Begin in the directory *root_fd*, which stays the caller's."""
        self._root_fd = root_fd
        self.path = b""  # of the open directory, below the root
        self.fd = os.open(".", _DIRECTORY, dir_fd=root_fd)

    def inner(self, name: bytes) -> bytes:
        """Return the path of *name* in the open directory."""
        return self.path + b"/" + name if self.path else name

    def enter(self, name: bytes) -> bool:
        """Go into the directory *name*; return False if that has become something else.

        Raises:
            OSError: it cannot be opened.
        """
        try:
            fd = os.open(name, _DIRECTORY, dir_fd=self.fd)
        except OSError as error:
            if is_gone(error):
                return False
            raise
        self.close()
        self.fd = fd
        self.path = self.inner(name)
        return True

    def leave(self) -> bool:
        """Go to the directory above, or what has its path by then; return False if nothing has it.

        After that, and at the end, only `leave` and `close` may follow.

        Raises:
            OSError: it cannot be opened.
        """
        self.close()
        self.path = self.path.rpartition(b"/")[0]
        try:
            self.fd = beneath.open_real(self._root_fd, self.path, _DIRECTORY)
        except OSError as error:
            if is_gone(error):
                return False
            raise
        return True

    def names(self) -> list[bytes]:
        """Return what is in the open directory, the last first."""
        return sorted(map(os.fsencode, os.listdir(self.fd)), reverse=True)

    def close(self) -> None:
        """Close the directory. Idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
