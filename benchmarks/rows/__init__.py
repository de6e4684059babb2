"""What is measured, one module a kind: each row takes one sample of one peer in one case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.rows import boot, control, idle, memory, orphans, relay, restart, signals, stop

if TYPE_CHECKING:
    from benchmarks.rows.base import Row


def all_rows() -> list[Row]:
    """Return the rows in the order of the tables."""
    return [
        boot.Boot(),
        boot.BootMany(),
        restart.Restart(),
        memory.MemoryRow(),
        idle.Idle(),
        orphans.Orphans(),
        relay.Relay(),
        stop.Stop(),
        control.Status(),
        signals.Signals(),
    ]
