"""The FIFO on which measured processes tell what happened, and when.

Every record carries CLOCK_MONOTONIC from the moment of the event, so it does not matter when the
harness reads it: it looks every few milliseconds and sleeps in between, out of the way.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
from dataclasses import dataclass

_LAYOUT = struct.Struct("=c3xiiiq")
_ROOM_BYTES = 1 << 20
_PAUSE_SECONDS = 0.002

# What the letters mean; the C programs' opening comments say more.
EXECUTED = b"E"  # launch: the moment before the execve of PID 1
OUTSIDE_PID = b"P"  # launch: PID 1's pid as seen from outside
EXEC_FAILED = b"F"
ENDED = b"X"  # launch: PID 1 is gone, value is its wait status
STARTED = b"S"  # service: its first instruction
TERMINATED = b"T"
USER_SIGNAL = b"U"
FLOOD_BEGAN = b"B"
FLOOD_DONE = b"D"
READ_ALL = b"R"  # drain: the last line, in order
LINE_LENGTH = b"Y"  # drain: of the last line, its prefix and newline included
LOST = b"L"
ORPHANED = b"O"
ALL_GONE = b"G"
STILL_THERE = b"Z"


class BenchmarkError(Exception):
    """Something did not happen that a measurement needs; the sample is void."""


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One event; *time* is in seconds of the monotonic clock."""

    kind: bytes
    id: int
    pid: int
    value: int
    time: float


class EventRecords:
    """The reading end; records of kinds that nobody asked for yet are kept."""

    def __init__(self, path: str) -> None:
        os.mkfifo(path)
        self.path = path
        # Read and write: there is always a writer, so reading never meets the end of the file.
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, _ROOM_BYTES)
        self._kept: list[EventRecord] = []

    def close(self) -> None:
        """Close the descriptor; the path goes with its directory."""
        os.close(self._fd)

    def wait(self, kinds: bytes, count: int, timeout: float) -> list[EventRecord]:
        """Return *count* records whose kind is one of *kinds*, in order of arrival.

        Raises:
            BenchmarkError: fewer came within *timeout* seconds, or an execve failed.
        """
        deadline = time.monotonic() + timeout
        while True:
            found = self.take(kinds)
            if len(found) >= count:
                self._kept = found[count:] + self._kept
                return found[:count]
            self._kept = found + self._kept
            ended = [record for record in self._kept if record.kind == ENDED]
            if ended:
                raise BenchmarkError(f"PID 1 ended with wait status {ended[0].value}")
            if time.monotonic() > deadline:
                names = kinds.decode()
                raise BenchmarkError(
                    f"{len(found)} of {count} '{names}' records within {timeout:g} s"
                )
            time.sleep(_PAUSE_SECONDS)

    def take(self, kinds: bytes) -> list[EventRecord]:
        """Return and forget all records of *kinds* that have arrived."""
        self._read()
        taken = [record for record in self._kept if record.kind in kinds]
        self._kept = [record for record in self._kept if record.kind not in kinds]
        return taken

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._fd, _LAYOUT.size * 2048)
            except BlockingIOError:
                return
            for kind, ident, pid, value, time_ns in _LAYOUT.iter_unpack(data):
                if kind == EXEC_FAILED:
                    raise BenchmarkError(f"cannot launch: {os.strerror(value)}")
                self._kept.append(EventRecord(kind, ident, pid, value, time_ns / 1e9))
