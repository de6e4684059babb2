"""Stop: from SIGTERM to PID 1 until the container is gone, services that end at once."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from benchmarks.records import ENDED, TERMINATED
from benchmarks.rows.base import Case, Metric, Row, Values, run_waiting

if TYPE_CHECKING:
    from benchmarks.peers.base import MeasuredPeer
    from benchmarks.workshop import Workshop

_SETTLE_SECONDS = 1.2


class StopRow(Row):
    """How long, and how many of the services were told."""

    name = "stop"
    title = "Stop: SIGTERM to PID 1 until the container is gone"
    metrics = (Metric("gone", "ms"), Metric("services that got SIGTERM", ""))
    full_cases = (Case("N=100", 100, 10),)

    def measure(self, workshop: Workshop, peer: MeasuredPeer, case: Case, *, quick: bool) -> Values:
        """Stop one container."""
        del quick
        directory = workshop.sample_directory()
        with run_waiting(workshop, peer, directory, case.count) as container:
            container.wait_started(case.count)
            time.sleep(_SETTLE_SECONDS)
            before = container.signal(signal.SIGTERM)
            (ended,) = container.records.wait(ENDED, 1, timeout=30)
            told = {record.id for record in container.records.take(TERMINATED)}
            return {
                "gone": [(ended.time - before) * 1000],
                "services that got SIGTERM": [len(told)],
            }
