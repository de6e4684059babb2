"""Restart: from `kill -9` to the first instruction of the successor, no backoff asked for."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from benchmarks.records import STARTED, BenchmarkError
from benchmarks.rows.base import Case, Metric, Row, Values, run_waiting

if TYPE_CHECKING:
    from benchmarks.container import Container
    from benchmarks.peers.base import MeasuredPeer
    from benchmarks.workshop import Workshop

_KILLS_AT_ONCE = 5


class RestartRow(Row):
    """One service, killed when it has run a while, and again the moment it is back."""

    name = "restart"
    title = "Restart: `kill -9` to the successor's first instruction"
    metrics = (Metric("settled", "ms"), Metric("again at once", "ms"))
    full_cases = (Case("N=1", 1, 4),)

    def measure(self, workshop: Workshop, peer: MeasuredPeer, case: Case, *, quick: bool) -> Values:
        """Kill `peer.kills` times after the peer's settling time, then at once."""
        directory = workshop.sample_directory()
        kills = min(peer.kills, 5) if quick else peer.kills
        with run_waiting(workshop, peer, directory, case.count) as container:
            container.wait_started(1)
            settled = []
            for _ in range(kills):
                time.sleep(peer.settle_before_kill)
                settled.append(_kill(container))
            again = [_kill(container) for _ in range(min(kills, _KILLS_AT_ONCE))]
            return {"settled": settled, "again at once": again}


def _kill(container: Container) -> float:
    """Kill the service and return the milliseconds until its successor ran."""
    pid = container.service_pid()
    before = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    (started,) = container.records.wait(STARTED, 1, timeout=10)
    if started.time < before or container.service_pid() == pid:
        raise BenchmarkError("what started is no successor")
    return (started.time - before) * 1000
