"""Reading a log of JSON lines that others write and rotate: what there is, then what comes.

For `logs` and `events`.  Waiting is the caller's: inotify(7) on the log's directory.
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_READ = 1 << 20


class Follower:
    """Reads one log from its beginning, rotated files first, and on from there."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._rest = b""

    def past(self) -> Iterator[dict[str, Any]]:
        """Yield all that is there."""
        # The newest is opened first: a rotation in between shows lines twice, never too few.
        self._open()
        for path in self._rotated():
            try:
                with open(path, "rb") as file:
                    if self._fd < 0 or os.fstat(file.fileno()).st_ino != os.fstat(self._fd).st_ino:
                        yield from map(json.loads, file)
            except FileNotFoundError:
                continue  # rotated away
        yield from self.more()

    def more(self) -> Iterator[dict[str, Any]]:
        """Yield what has come since."""
        while True:
            yield from self._read()
            if not self._was_rotated():
                return
            os.close(self._fd)
            self._fd, self._rest = -1, b""
            self._open()

    def _read(self) -> Iterator[dict[str, Any]]:
        while self._fd >= 0 and (data := os.read(self._fd, _READ)):
            *lines, self._rest = (self._rest + data).split(b"\n")
            yield from map(json.loads, lines)

    def _was_rotated(self) -> bool:
        """Tell whether the name leads to another file by now; then ours is complete."""
        try:
            there = os.stat(self._path).st_ino
        except FileNotFoundError:
            return False
        if self._fd < 0:
            self._open()
            return True
        if os.fstat(self._fd).st_ino == there:
            # Kept as one file, it is emptied in place.
            if os.fstat(self._fd).st_size < os.lseek(self._fd, 0, os.SEEK_CUR):
                os.lseek(self._fd, 0, os.SEEK_SET)
                self._rest = b""
                return True
            return False
        return True

    def _open(self) -> None:
        if self._fd < 0:
            try:
                self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return  # nothing was ever said

    def _rotated(self) -> list[str]:
        """Return the older files, the oldest first."""
        directory, _, name = self._path.rpartition("/")
        numbers = [
            int(entry[len(name) + 1 :])
            for entry in os.listdir(directory)
            if entry.startswith(f"{name}.") and entry[len(name) + 1 :].isdecimal()
        ]
        return [f"{self._path}.{number}" for number in sorted(numbers, reverse=True)]
