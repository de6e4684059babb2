"""Idle: how often a supervisor wakes up, and what it computes, while nothing happens."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks import procfs
from benchmarks.rows.base import Case, Metric, Row, Values, run_waiting

if TYPE_CHECKING:
    from benchmarks.peers.base import MeasuredPeer
    from benchmarks.workshop import Workshop

_SETTLE_SECONDS = 2.0
_WINDOW_SECONDS = 10.0
_QUICK_WINDOW_SECONDS = 2.0


class Idle(Row):
    """Context switches and processor time of all the supervisor's threads."""

    name = "idle"
    title = "Idle: wake-ups and processor time while nothing happens"
    metrics = (Metric("wake-ups", "/s"), Metric("CPU", "ms/s"))
    full_cases = (Case("N=1", 1, 1), Case("N=100", 100, 2))
    quick_cases = (Case("N=100", 100, 1),)

    def applies(self, peer: MeasuredPeer, case: Case) -> bool:
        """One service tells nothing more of those that can have a hundred."""
        return super().applies(peer, case) and (case.count > 1) == (peer.most_services > 1)

    def measure(self, workshop: Workshop, peer: MeasuredPeer, case: Case, *, quick: bool) -> Values:
        """Read the counters twice."""
        directory = workshop.sample_directory()
        window = _QUICK_WINDOW_SECONDS if quick else _WINDOW_SECONDS
        with run_waiting(workshop, peer, directory, case.count) as container:
            container.wait_started(case.count)
            time.sleep(_SETTLE_SECONDS)
            pids = container.supervisor_pids()
            before = procfs.activity(pids)
            time.sleep(window)
            after = procfs.activity(pids)
            return {
                "wake-ups": [(after.switches - before.switches) / window],
                "CPU": [(after.cpu_seconds - before.cpu_seconds) * 1000 / window],
            }
