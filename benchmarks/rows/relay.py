"""Log relay: one service writes numbered 100-byte lines as fast as it can; all must arrive.

To stdout, a C program reads PID 1's pipe and checks the number on every line.  To files, the
numbers are checked in all of them afterwards.  Megabytes are the service's own: prefixes and time
stamps that a supervisor adds do not count.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from benchmarks.container import Container
from benchmarks.peers.base import Log, MeasuredService
from benchmarks.records import FLOOD_BEGAN, FLOOD_DONE, LINE_LENGTH, LOST, READ_ALL, BenchmarkError
from benchmarks.rows.base import Case, Metric, Row, Values

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.peers.base import MeasuredPeer
    from benchmarks.workshop import Workshop

_LINE_BYTES = 100
_LINES_A_WRITE = 40  # 4000 bytes: below PIPE_BUF, as stdio writes
_LINES = 3_000_000
_QUICK_LINES = 500_000
_TIMEOUT_SECONDS = 120.0
_NUMBER = re.compile(rb"(\d{10})\n")
_PREFIXED = (Log.STDOUT_PREFIXED, Log.FILE_PREFIXED)
_TO_FILE = (Log.FILE_PREFIXED, Log.FILE_RAW)


class RelayRow(Row):
    """Megabytes a second from a service's stdout to where the configuration says."""

    name = "relay"
    title = "Log relay: 100-byte lines, 4000 bytes a write"
    metrics = (Metric("rate", "MB/s", higher_is_better=True), Metric("CPU", "s/GB"))
    full_cases = tuple(Case(log.value, 1, 4, log) for log in Log if log is not Log.DEFAULT)
    quick_cases = tuple(Case(log.value, 1, 1, log) for log in Log if log is not Log.DEFAULT)

    def applies(self, peer: MeasuredPeer, case: Case) -> bool:
        """Only ways in which the peer itself copies the lines."""
        return self.name in peer.rows and case.log in peer.relays

    def measure(self, workshop: Workshop, peer: MeasuredPeer, case: Case, *, quick: bool) -> Values:
        """Let the service write, wait for the last line, check them all."""
        directory = workshop.sample_directory()
        lines = _QUICK_LINES if quick else _LINES
        fifo = str(directory / "records")
        argv = (workshop.program("flood"), fifo, "0", str(lines), str(_LINES_A_WRITE))
        launch = peer.prepare(directory, [MeasuredService("p0", argv, case.log)])
        to_file = case.log in _TO_FILE
        read_fd, write_fd = os.pipe()
        container = Container(workshop, directory, launch, None if to_file else write_fd)
        drain = None
        try:
            if not to_file:
                # It opens the FIFO, which the container has made.
                command = [workshop.tool("drain"), fifo, str(lines)]
                drain = subprocess.Popen(command, stdin=read_fd)
            with container:
                os.close(write_fd)
                return _flood(container, peer, case.log, lines)
        finally:
            os.close(read_fd)
            if drain is not None:
                drain.wait(timeout=60)


def _flood(container: Container, peer: MeasuredPeer, log: Log, lines: int) -> Values:
    container.wait_started(1)
    time.sleep(peer.settle_before_kill)
    pids = container.supervisor_pids()
    before = _cpu_seconds(pids)
    os.kill(container.service_pid(), signal.SIGUSR1)
    (began,) = container.records.wait(FLOOD_BEGAN, 1, 10)
    if log in _TO_FILE:
        container.records.wait(FLOOD_DONE, 1, _TIMEOUT_SECONDS)
        ended_at = _wait_written(container.directory, lines)
        line_bytes = _check_files(container.directory, lines)
    else:
        (end,) = container.records.wait(READ_ALL + LOST, 1, _TIMEOUT_SECONDS)
        if end.kind == LOST:
            raise BenchmarkError(f"line {end.value} of {lines} was lost or came twice")
        ended_at = end.time
        line_bytes = container.records.wait(LINE_LENGTH, 1, 10)[0].value
    if (line_bytes > _LINE_BYTES) != (log in _PREFIXED):
        raise BenchmarkError(f"a line of {_LINE_BYTES} bytes came as {line_bytes:g}")
    cpu = _cpu_seconds(pids) - before
    megabytes = lines * _LINE_BYTES / 1e6
    return {"rate": [megabytes / (ended_at - began.time)], "CPU": [cpu / megabytes * 1000]}


def _cpu_seconds(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _log_files(directory: Path) -> list[Path]:
    """Return all files of the service's log: the file and its rotated siblings, or a directory."""
    found = [path for path in directory.glob("log-p0*") if path.is_file()]
    found += [path for path in directory.glob("log-p0/*") if path.name not in ("lock", "config")]
    return found


def _wait_written(directory: Path, lines: int) -> float:
    """Return the moment the last line was seen in a file, by size alone: at most 1 ms late."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    last = b"%010d\n" % (lines - 1)
    while time.monotonic() < deadline:
        now = time.monotonic()
        for path in _log_files(directory):
            with open(path, "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - len(last)))
                if file.read() == last:
                    return now
        time.sleep(0.001)
    raise BenchmarkError(f"the last of {lines} lines is in no file")


def _check_files(directory: Path, lines: int) -> float:
    """Return the mean bytes a line takes in the files.

    Raises:
        BenchmarkError: the files do not hold every number exactly once.
    """
    total = 0
    size = 0
    seen = bytearray(lines)
    for path in _log_files(directory):
        content = path.read_bytes()
        size += len(content)
        for match in _NUMBER.finditer(content):
            total += 1
            seen[int(match[1])] = 1
    if total != lines or sum(seen) != lines:
        raise BenchmarkError(f"{total} lines in the files, {sum(seen)} of {lines} different ones")
    return size / total
