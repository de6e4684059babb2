"""System calls of one process and its children, from the kernel's own trace (tracefs).

It costs a fraction of a microsecond a call, where ptrace costs twenty and stops the process; and
it tells the same monotonic clock as everything else here.  Needs root.
"""

from __future__ import annotations

import ctypes
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from benchmarks.records import BenchmarkError

if TYPE_CHECKING:
    from types import TracebackType

_PLACES = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
_BUFFER_KIB = 8192  # a processor
# "  python-123   [001] .....  12.345678: sys_close(fd: 3)", or "…: sys_close -> 0x0"
_LINE = re.compile(
    r"-(\d+) +\[\d+\] \S+ +(\d+\.\d+): sys_(\w+?)(?:\((.*)\)| -> (0x[0-9a-f]+|-?\d+))"
)


@dataclass(frozen=True, slots=True)
class TracedCall:
    """The begin of a system call, or its end when there is a *result*."""

    pid: int
    time: float
    name: str
    arguments: str  # "fd: 3, buf: 0x7ffe…"; empty at its end
    result: int | None


class Trace:
    """Notes the system calls of *pid*, and of children made meanwhile, during a `with` block.

    *pid* may be this very process: then all that is launched in the block is traced from its start.
    """

    def __init__(self, pid: int, mount_point: Path) -> None:
        self._instance = _tracefs(mount_point) / "instances" / f"supervise-{os.getpid()}"
        self._pid = pid
        self.calls: list[TracedCall] = []

    def __enter__(self) -> Self:
        self._instance.mkdir()
        try:
            self._write("trace_clock", "mono")
            self._write("buffer_size_kb", str(_BUFFER_KIB))
            self._write("options/event-fork", "1")
            self._write("set_event_pid", str(self._pid))
            self._write("events/syscalls/enable", "1")
        except OSError as error:
            self._instance.rmdir()
            raise BenchmarkError(f"cannot trace system calls: {error}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._write("events/syscalls/enable", "0")
        for line in (self._instance / "trace").read_text().splitlines():
            match = _LINE.search(line)
            if match:
                result = None if match[5] is None else _signed(int(match[5], 0))
                when, arguments = float(match[2]), match[4] or ""
                self.calls.append(TracedCall(int(match[1]), when, match[3], arguments, result))
        self._instance.rmdir()

    def _write(self, name: str, value: str) -> None:
        (self._instance / name).write_text(value)


def _tracefs(mount_point: Path) -> Path:
    for place in _PLACES:
        if (place / "instances").is_dir():
            return place
    libc = ctypes.CDLL(None, use_errno=True)
    mount_point.mkdir(exist_ok=True)
    if libc.mount(b"tracefs", bytes(mount_point), b"tracefs", ctypes.c_ulong(0), None):
        raise BenchmarkError(f"cannot mount tracefs: {os.strerror(ctypes.get_errno())}")
    return mount_point


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
