"""Reading a log of JSON lines that others write and rotate: what there is, then what comes.

For `logs` and `events`.  Waiting is the caller's: inotify(7) on the log's directory.
"""

from __future__ import annotations

import json
import os
import stat

from runtime.linux import record_files
from runtime.model.errors import DamagedFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

_READ = 1 << 20
_LONGEST = 1 << 22  # bytes of a line: an event has all labels of a container


class Follower:
    """Reads one log from its beginning, rotated files first, and on from there."""

    def __init__(self, path: str, is_record: Callable[[dict[str, Any]], bool]) -> None:
        """Read *path*; what *is_record* refuses is no line of the log's writer."""
        self._path = path
        self._is_record = is_record
        self._fd = -1
        self._rest = b""

    def past(self) -> Iterator[dict[str, Any]]:
        """Yield all that is there."""
        # The newest is opened first: a rotation in between shows lines twice, never too few.
        self._open()
        for path in self._rotated():
            fd = _open(path)
            if fd < 0:
                continue  # rotated away, or no log
            with open(fd, "rb") as file:
                if self._fd < 0 or os.fstat(fd).st_ino != os.fstat(self._fd).st_ino:
                    yield from self._records(path, iter(lambda: file.readline(_LONGEST), b""))
        yield from self.more()

    def more(self) -> Iterator[dict[str, Any]]:
        """Yield what has come since."""
        while True:
            yield from self._read()
            if not self._was_rotated():
                return
            if self._fd >= 0:
                os.close(self._fd)
            self._fd, self._rest = -1, b""
            self._open()
            if self._fd < 0:  # what has the name is no log; that has been said
                return

    def _read(self) -> Iterator[dict[str, Any]]:
        while self._fd >= 0 and (data := os.read(self._fd, _READ)):
            *lines, self._rest = (self._rest + data).split(b"\n")
            if len(self._rest) > _LONGEST:  # no line of ours: what follows is passed over with it
                self._rest = b"?"
            yield from self._records(self._path, lines)

    def _records(self, path: str, lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
        """Yield the records among *lines*; the command line says once that others are passed over."""
        for line in lines:
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                found = None
            if isinstance(found, dict) and self._is_record(found):
                yield found
            else:
                record_files.note(DamagedFailure(path, "a line is no record, it is passed over"))

    def _was_rotated(self) -> bool:
        """Return whether the name leads to another file by now; then ours is complete."""
        try:
            there = os.stat(self._path).st_ino
        except FileNotFoundError:
            return False
        if self._fd < 0:
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
            self._fd = _open(self._path)

    def _rotated(self) -> list[str]:
        """Return the older files, the oldest first."""
        directory, _, name = self._path.rpartition("/")
        numbers = [
            int(entry[len(name) + 1 :])
            for entry in os.listdir(directory)
            if entry.startswith(f"{name}.") and entry[len(name) + 1 :].isdecimal()
        ]
        return [f"{self._path}.{number}" for number in sorted(numbers, reverse=True)]


def _open(path: str) -> int:
    """Return a descriptor of the log, -1 when there is none: nothing was ever said."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        return -1
    except OSError as error:
        record_files.note(DamagedFailure(path, error.strerror or str(error)))
        return -1
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    record_files.note(DamagedFailure(path, "it is no regular file"))
    return -1
