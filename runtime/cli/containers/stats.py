"""`stats`: what containers use, once or again and again."""

from __future__ import annotations

import os
import sys
import time

from runtime.cli import output, printing
from runtime.cli.containers import lookup
from runtime.language import columns
from runtime.language.commandline import Verb
from runtime.linux import cgroups
from runtime.model import units
from runtime.model.container import statuses
from runtime.model.image import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runtime.language.commandline import Arguments
    from runtime.model.container.spec import Spec
    from runtime.model.container.state import State
    from runtime.store.layout import Layout

STATS = Verb(
    "stats",
    "[CONTAINER...]",
    "Show what containers use of processors, memory, network and disks",
    """
  -a, --all             Also those that do not run
"""
    + output.FORMAT
    + """
      --no-stream       Once, not every second
      --no-trunc        Show whole ids
""",
)
_INTERVAL = 1.0  # seconds between two readings: processor time is a difference
_CLEAR = "\033[2J\033[H"


def stats(layout: Layout, words: Arguments) -> int:
    """Show what the named containers, or all that run, use."""
    # A container that is not there is said at once, not in the first table.
    for name in words.operands:
        lookup.one(layout, name)
    before = _read(layout, words)
    while True:
        time.sleep(_INTERVAL)
        after = _read(layout, words)
        if not words.flag("no-stream") and os.isatty(1):
            printing.write_own(_CLEAR)
        _show(words, before, after)
        sys.stdout.flush()
        if words.flag("no-stream"):
            return 0
        before = after


class _ContainerReading:
    """One container at one moment."""

    def __init__(self, name: str, spec: Spec, state: State) -> None:
        self.name = name
        self.spec = spec
        self.when = time.monotonic()
        self.runs = state.status in statuses.HAS_PROCESS and bool(state.pid)
        self.used = cgroups.of(spec.id).stats() if self.runs else cgroups.Stats()
        self.network = _network(state.pid) if self.runs else (0, 0)


def _read(layout: Layout, words: Arguments) -> dict[str, _ContainerReading]:
    """Return id → reading, in the order they are shown."""
    if words.operands:
        chosen = [(name, *lookup.one(layout, name)) for name in words.operands]
    else:
        chosen = [
            (digests.short(spec.id), spec, state)
            for spec, state in lookup.every(layout)
            if words.flag("all") or state.status in statuses.HAS_PROCESS
        ]
    return {spec.id: _ContainerReading(name, spec, state) for name, spec, state in chosen}


def _network(pid: int) -> tuple[int, int]:
    """Return (bytes received, sent) of all interfaces but lo; proc_pid_net(5)."""
    received = sent = 0
    try:
        with open(f"/proc/{pid}/net/dev", encoding="ascii") as file:
            lines = file.readlines()[2:]
    except OSError:
        return 0, 0
    for line in lines:
        name, _, rest = line.partition(":")
        if name.strip() != "lo":
            fields = rest.split()
            received += int(fields[0])
            sent += int(fields[8])
    return received, sent


def _show(
    words: Arguments, before: dict[str, _ContainerReading], after: dict[str, _ContainerReading]
) -> None:
    rows = [
        _row(reading, before.get(container_id), no_trunc=words.flag("no-trunc"))
        for container_id, reading in after.items()
    ]
    output.show(words, rows, columns.STATS, columns.STATS_TABLE)


def _row(
    now: _ContainerReading, before: _ContainerReading | None, *, no_trunc: bool
) -> dict[str, Any]:
    used = now.used
    row = {
        "Container": now.name,
        "ID": now.spec.id if no_trunc else digests.short(now.spec.id),
        "Name": now.spec.name,
    }
    if not now.runs:
        nothing = "-- / --"
        return row | {
            "CPUPerc": "--",
            "MemUsage": nothing,
            "MemPerc": "--",
            "NetIO": nothing,
            "BlockIO": nothing,
            "PIDs": "--",
        }
    share = 0.0
    if before is not None and before.runs and used.cpu >= 0:
        share = (used.cpu - before.used.cpu) / 1e9 / max(now.when - before.when, 1e-3) * 100
    whole = _machine_memory()
    limit = used.memory_limit if 0 < used.memory_limit < whole else whole
    memory = max(used.memory, 0)
    received, sent = now.network
    return row | {
        "CPUPerc": f"{max(share, 0.0):.2f}%",
        "MemUsage": f"{units.binary_size(memory)} / {units.binary_size(limit)}",
        "MemPerc": f"{memory / limit * 100:.2f}%",
        "NetIO": _pair(received, sent),
        "BlockIO": _pair(max(used.read, 0), max(used.written, 0)),
        "PIDs": str(used.pids) if used.pids >= 0 else "--",
    }


def _pair(first: int, second: int) -> str:
    return f"{units.human_size(first, 3)} / {units.human_size(second, 3)}"


def _machine_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
