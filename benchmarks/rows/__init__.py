"""What is measured, one module a kind: each row takes one sample of one peer in one case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.rows import (
    archives,
    boot,
    control,
    footprint,
    idle,
    memory,
    orphans,
    ports,
    pull,
    relay,
    restart,
    signals,
    start,
    stop,
)

if TYPE_CHECKING:
    from benchmarks.rows.base import Row


def engine_rows() -> list[Row]:
    """Return the rows of container engines, in the order of the tables."""
    return [
        start.StartBridge(),
        start.StartPlain(),
        footprint.Footprint(),
        archives.Import(),
        archives.Load(),
        pull.Pull(),
        ports.Ports(),
    ]


def all_rows() -> list[Row]:
    """Return the rows of supervisors, in the order of the tables."""
    return [
        boot.BootRow(),
        boot.BootMany(),
        restart.RestartRow(),
        memory.MemoryRow(),
        idle.Idle(),
        orphans.Orphans(),
        relay.RelayRow(),
        stop.StopRow(),
        control.Status(),
        signals.Signals(),
    ]
