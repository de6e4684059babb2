"""One supervisor as PID 1 of a fresh pid and mount namespace, for one sample."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Self

from benchmarks import procfs, records

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from benchmarks.peers.base import LaunchCommand
    from benchmarks.workshop import Workshop

_OUTPUT_ROOM_BYTES = 1 << 20
_OUTPUT_PAUSE_SECONDS = 0.1
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


class Container:
    """Launches, watches and, at the end of the `with` block, kills one PID 1.

    Its stdout and stderr are one wide pipe, emptied ten times a second: a reader that woke up for
    every line would compete for the processors.  *stdout* replaces it.
    """

    def __init__(
        self, workshop: Workshop, directory: Path, launch: LaunchCommand, stdout: int | None = None
    ) -> None:
        self.directory = directory
        self.records = records.EventRecords(str(directory / "records"))
        self._workshop = workshop
        self._launch = launch
        self._stdout = stdout
        self.output = b""  # of the supervisor; whole once the `with` block has ended
        self._reader: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.pid = 0  # of PID 1, as seen from outside
        self.executed_at = 0.0

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._finish()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        output = self._finish()
        if isinstance(error, records.BenchmarkError):
            error.add_note("its output: " + output[-2000:].decode(errors="replace"))

    def wait_started(self, count: int, timeout: float = 60.0) -> list[records.EventRecord]:
        """Return the first *count* records of programs that run, one a service."""
        started = self.records.wait(records.STARTED, count, timeout)
        if len({record.id for record in started}) != count:
            raise records.BenchmarkError("a service started twice before all had started once")
        return started

    def service_pid(self) -> int:
        """Return the pid, as seen from outside, of the only service."""
        pids = self.service_pids()
        if len(pids) != 1:
            raise records.BenchmarkError(f"{len(pids)} services run, not one")
        return pids[0]

    def service_pids(self) -> list[int]:
        """Return the pids, as seen from outside, of all processes that run our programs."""
        return procfs.services(self.pid, self._workshop.services)

    def supervisor_pids(self) -> list[int]:
        """Return the pids of the supervisor's own processes."""
        return procfs.supervisors(self.pid, self._workshop.services)

    def signal(self, number: int) -> float:
        """Send a signal to PID 1 and return the moment before it."""
        before = time.monotonic()
        os.kill(self.pid, number)
        return before

    def _start(self) -> None:
        read_fd, write_fd = os.pipe()
        self._reader = threading.Thread(target=self._read_output, args=(read_fd,), daemon=True)
        self._reader.start()
        fcntl.fcntl(write_fd, fcntl.F_SETPIPE_SZ, _OUTPUT_ROOM_BYTES)
        try:
            self._process = subprocess.Popen(
                [self._workshop.tool("launch"), self.records.path, *self._launch.argv],
                stdin=subprocess.DEVNULL,
                stdout=write_fd if self._stdout is None else self._stdout,
                stderr=write_fd,
                cwd=self.directory,
                env={**_ENVIRONMENT, **self._launch.environment},
            )
        finally:
            os.close(write_fd)
        self.executed_at = self.records.wait(records.EXECUTED, 1, 10)[0].time
        self.pid = self.records.wait(records.OUTSIDE_PID, 1, 10)[0].pid

    def _finish(self) -> bytes:
        if self._process is not None:
            if self.pid:
                # The launcher collects it, so the pid cannot be another's while it lives.
                if self._process.poll() is None:
                    with contextlib.suppress(ProcessLookupError):  # it ended by itself
                        os.kill(self.pid, signal.SIGKILL)
            else:
                self._process.kill()
            self._process.wait(timeout=60)
        if self._reader is not None:
            self._reader.join(timeout=60)
        self.records.close()
        return self.output

    def _read_output(self, owned_fd: int) -> None:
        """Read until all writing ends are closed, which the end of the namespace sees to."""
        with os.fdopen(owned_fd, "rb", buffering=0) as pipe:
            while chunk := pipe.read(_OUTPUT_ROOM_BYTES):
                self.output += chunk
                time.sleep(_OUTPUT_PAUSE_SECONDS)
