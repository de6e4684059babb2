"""`supervisectl top`: what each service's processes use, measured here, not in PID 1.

supervise says which pids belong to a service; psutil reads /proc.  In another pid namespace than
supervise's the numbers would mean other processes: run it in the container.
"""

from __future__ import annotations

import json
import sys
import time

import psutil

from supervise.cli import render
from supervise.cli.connect import connect
from supervise.cli.exitcodes import DONE
from supervise.model.printable import printable
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.cli.arguments import Arguments

HEAD = ("NAME", "PROCESSES", "CPU%", "RSS", "FDS", "THREADS", "COMMAND")
_RIGHT_ALIGNED = (1, 2, 3, 4, 5)
_FIRST_SPAN = 0.25  # seconds over which the only or first table measures the processor
_INTERVAL = 2.0  # seconds between tables
_CLEAR = "\x1b[H\x1b[J"


class Usage(Record):
    """What one service's processes use together."""

    service: str
    processes: int
    cpu: float  # per cent of one processor
    rss: int  # bytes; pages shared between processes count for each
    fds: int | None  # None: not permitted to count
    threads: int
    command: str  # of the main process


def top(given: Arguments) -> int:
    """Run the verb."""
    client = connect(given)
    names = list(given.operands) or None
    meter = Meter()
    repeats = sys.stdout.isatty() and not given.flag("once") and not given.flag("json")
    meter.measure(client.call("Processes", services=names)["services"])
    time.sleep(_FIRST_SPAN)
    while True:
        usages = meter.measure(client.call("Processes", services=names)["services"])
        if given.flag("json"):
            sys.stdout.write(json.dumps([dict(u.items()) for u in usages], indent=2) + "\n")
        else:
            text = "".join(f"{line}\n" for line in _lines(usages))
            sys.stdout.write(_CLEAR + text if repeats else text)
        sys.stdout.flush()
        if not repeats:
            return DONE
        time.sleep(given.get("interval") or _INTERVAL)


class Meter:
    """Remembers the processor time of every process between two measurements."""

    def __init__(self) -> None:
        self._before: dict[tuple[int, float], float] = {}  # (pid, start) → seconds used
        self._when = 0.0

    def measure(self, groups: list[dict[str, object]]) -> list[Usage]:
        """Return the usage of each group, the API's ProcessGroup."""
        now = time.monotonic()
        span, self._when = now - self._when, now
        before, self._before = self._before, {}
        return [self._usage(group, before, span) for group in groups]

    def _usage(
        self, group: dict[str, object], before: dict[tuple[int, float], float], span: float
    ) -> Usage:
        used, rss, fds, threads, count, command = 0.0, 0, 0, 0, 0, ""
        may_count = True
        pids = group["pids"]
        assert isinstance(pids, list)
        for pid in pids:
            try:
                process = psutil.Process(pid)
                with process.oneshot():
                    times = process.cpu_times()
                    key = (pid, process.create_time())
                    rss += process.memory_info().rss
                    threads += process.num_threads()
                    command = command or " ".join(process.cmdline()) or process.name()
            except (psutil.NoSuchProcess, ValueError, OverflowError):
                continue  # it ended since supervise looked, or the number was never a pid
            except psutil.AccessDenied:
                may_count = False
                continue
            count += 1
            self._before[key] = times.user + times.system
            # A process seen for the first time has used all it has within this span, or came late.
            used += max(0.0, self._before[key] - before.get(key, self._before[key]))
            try:
                fds += process.num_fds()
            except psutil.NoSuchProcess:
                continue
            except psutil.AccessDenied:
                may_count = False
        cpu = 100 * used / span
        name = str(group["service"])
        return Usage(name, count, cpu, rss, fds if may_count else None, threads, command)


def _lines(usages: list[Usage]) -> list[str]:
    rows = [HEAD, *map(_row, usages)]
    return render.table(
        rows,
        right=_RIGHT_ALIGNED,
        width=render.width_of(sys.stdout),
        colour=render.wants_colour(sys.stdout),
    )


def _row(usage: Usage) -> tuple[str, ...]:
    if not usage.processes:
        return (usage.service, "0", "-", "-", "-", "-", "")
    return (
        usage.service,
        str(usage.processes),
        f"{usage.cpu:.1f}",
        show_size(usage.rss),
        "?" if usage.fds is None else str(usage.fds),
        str(usage.threads),
        printable(usage.command),
    )


def show_size(size: float) -> str:
    """Return bytes as ``512B``, ``8.1M``, ``1.2G``; powers of 1024."""
    for unit in ("B", "K", "M", "G"):
        if size < 1000:
            return f"{size:.0f}{unit}" if unit == "B" or size >= 100 else f"{size:.1f}{unit}"
        size /= 1024
    return f"{size:.1f}T"
