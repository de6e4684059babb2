r"""A container's output on disk: docker's json-file lines, rotated by size.

``{"log":"text\\n","stream":"stdout","time":"2026-01-02T03:04:05.000006Z"}`` a line; a line of the
program longer than 16 KiB becomes several without the line feed.  Written by the monitor alone;
`runtime logs` reads it.  A full disk costs lines, never the container.
"""

from __future__ import annotations

import errno
import os

from runtime.model import jsontext, timestamp
from runtime.model.contexts import suppress
from runtime.store import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.container.spec import Logging

NAME = "log.json"
LONGEST_LINE = 16 * 1024  # bytes of the program's text in one of ours: docker's


class JsonLog:
    """The log of one container, open for appending."""

    def __init__(self, directory: str, settings: Logging) -> None:
        self._path = f"{directory}/{NAME}"
        self._settings = settings
        self._partial = {"stdout": b"", "stderr": b""}
        self._fd = -1
        self._size = 0
        self.lost = 0  # lines that the disk did not take, since the log last said so
        self._problem = ""
        self._now = 0.0
        with suppress(OSError):  # tried again with the first line
            self._open()

    def write(self, stream: str, data: bytes, now: float) -> None:
        """Append what *stream* (stdout, stderr) brought; an unfinished line waits for its end."""
        self._now = now
        text = self._partial[stream] + data
        lines = text.split(b"\n")
        rest = lines.pop()
        records = [_record(line + b"\n", stream, now) for line in lines if len(line) < LONGEST_LINE]
        if len(records) < len(lines) or len(rest) >= LONGEST_LINE:
            records, rest = _cut(text, stream, now)
        self._partial[stream] = rest
        for batch in self._batches(records):
            self._append(b"".join(batch), len(batch))

    def _batches(self, records: list[bytes]) -> list[list[bytes]]:
        """Divide *records* so that no file grows over its size by more than one record."""
        room = max(0, self._settings.max_size - self._size) if self._settings.max_size else 0
        found: list[list[bytes]] = [[]]
        for record in records:
            if found[-1] and self._settings.max_size and len(record) > room:
                found.append([])
                room = self._settings.max_size
            found[-1].append(record)
            room -= len(record)
        return found if found[0] else []

    def flush(self, now: float) -> None:
        """Write the unfinished lines: nothing more will come."""
        for stream, rest in self._partial.items():
            if rest:
                self._append(_record(rest, stream, now), 1)
                self._partial[stream] = b""

    def close(self) -> None:
        """Give the descriptor back; writing opens it anew."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def take_problem(self) -> str:
        """Return the sentence a person should see once about lines that were lost, and forget it."""
        found, self._problem = self._problem, ""
        return found

    def _lose(self, lines: int, reason: str) -> None:
        if not self.lost:
            self._problem = f"cannot write '{self._path}': {reason}; lines of the log are lost"
        self.lost += lines

    def _say_lost(self) -> None:
        """Have the log itself say what it lacks, in front of what is written next."""
        text = f"runtime: {self.lost} lines are missing here: the disk was full\n"
        data = _record(text.encode(), "stderr", self._now)
        if os.write(self._fd, data) < len(data):
            os.ftruncate(self._fd, self._size)
            return
        self._size += len(data)
        self.lost = 0

    def _append(self, data: bytes, lines: int) -> None:
        try:
            if self._fd < 0:
                self._open()
            if self._size and self._size + len(data) > self._settings.max_size > 0:
                self._rotate()
            if self.lost:
                self._say_lost()
            written = os.write(self._fd, data)
            if written < len(data):  # the disk is full in the middle of a line: take it back
                os.ftruncate(self._fd, self._size)
                self._lose(lines, os.strerror(errno.ENOSPC))
                return
            self._size += written
        except OSError as error:
            self._lose(lines, error.strerror or str(error))

    def _open(self) -> None:
        self._fd = files.open_log(self._path, 0o640)
        self._size = os.fstat(self._fd).st_size

    def _rotate(self) -> None:
        """log.json becomes log.json.1 and so on; the last one goes."""
        self.close()
        keep = self._settings.max_file
        for number in range(keep - 1, 0, -1):
            newer = f"{self._path}.{number - 1}" if number > 1 else self._path
            with suppress(FileNotFoundError):
                os.rename(newer, f"{self._path}.{number}")
        if keep <= 1:
            os.truncate(self._path, 0)
        self._open()


def _cut(text: bytes, stream: str, now: float) -> tuple[list[bytes], bytes]:
    """Return the records of *text* with overlong lines cut, and the rest that is no line yet."""
    records = []
    while text:
        end = text.find(b"\n") + 1
        if end and end <= LONGEST_LINE:
            piece = end
        elif len(text) >= LONGEST_LINE:
            piece = LONGEST_LINE
        else:
            break
        records.append(_record(text[:piece], stream, now))
        text = text[piece:]
    return records, text


def _record(text: bytes, stream: str, now: float) -> bytes:
    quoted = jsontext.quoted(text.decode(errors="replace"))
    return f'{{"log":{quoted},"stream":"{stream}","time":"{timestamp.render(now)}"}}\n'.encode()
