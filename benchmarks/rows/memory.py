"""Memory of all of the supervisor's processes, a moment after the last service started."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks import procfs
from benchmarks.rows.base import Case, Metric, Row, Values, run_waiting

if TYPE_CHECKING:
    from benchmarks.peers.base import MeasuredPeer
    from benchmarks.workshop import Workshop

_MB = 1 << 20
_SETTLE_SECONDS = 1.2  # past supervisord's first second


class MemoryRow(Row):
    """RSS, and each physical page once."""

    name = "memory"
    title = "Memory of all the supervisor's processes"
    metrics = (Metric("RSS", "MB"), Metric("unique", "MB"), Metric("processes", ""))
    full_cases = (Case("N=10", 10, 3), Case("N=100", 100, 3), Case("N=500", 500, 2))
    quick_cases = (Case("N=10", 10, 1), Case("N=100", 100, 1))

    def measure(self, workshop: Workshop, peer: MeasuredPeer, case: Case, *, quick: bool) -> Values:
        """Read smaps and pagemap once."""
        del quick
        directory = workshop.sample_directory()
        with run_waiting(workshop, peer, directory, case.count) as container:
            container.wait_started(case.count)
            time.sleep(_SETTLE_SECONDS)
            memory = procfs.memory(container.supervisor_pids())
            return {
                "RSS": [memory.rss / _MB],
                "unique": [memory.unique / _MB],
                "processes": [memory.processes],
            }
