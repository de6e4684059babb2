"""Signals: from a signal to PID 1 until the main command's handler runs."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from benchmarks.container import Container
from benchmarks.records import USER_SIGNAL
from benchmarks.rows.base import Case, Metric, Row, Values, waiting_services

if TYPE_CHECKING:
    from benchmarks.peers.base import MeasuredPeer
    from benchmarks.workshop import Workshop

_SIGNALS = 100
_QUICK_SIGNALS = 20
_PAUSE_SECONDS = 0.005


class Signals(Row):
    """SIGUSR1, one at a time."""

    name = "signal"
    title = "Signal forwarding: SIGUSR1 to PID 1 until the command's handler runs"
    metrics = (Metric("delay", "us"),)
    full_cases = (Case("N=1", 1, 3),)

    def measure(self, workshop: Workshop, peer: MeasuredPeer, case: Case, *, quick: bool) -> Values:
        """Send one after the other."""
        directory = workshop.sample_directory()
        (service,) = waiting_services(workshop, directory, case.count)
        delays = []
        with Container(workshop, directory, peer.prepare_alone(directory, service)) as container:
            container.wait_started(1)
            time.sleep(peer.settle_before_kill)
            for _ in range(_QUICK_SIGNALS if quick else _SIGNALS):
                time.sleep(_PAUSE_SECONDS)
                before = container.signal(signal.SIGUSR1)
                (seen,) = container.records.wait(USER_SIGNAL, 1, timeout=5)
                delays.append((seen.time - before) * 1e6)
        return {"delay": delays}
