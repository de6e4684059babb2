"""Orphans: 20,000 zombies become PID 1's children in the same moment."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from benchmarks.container import Container
from benchmarks.peers.base import MeasuredService
from benchmarks.records import ALL_GONE, ORPHANED, STILL_THERE
from benchmarks.rows.base import Case, Metric, Row, Values

if TYPE_CHECKING:
    from benchmarks.peers.base import MeasuredPeer
    from benchmarks.workshop import Workshop

_ORPHANS = 20_000


class Orphans(Row):
    """How long until none is left; or how many are after five seconds."""

    name = "orphans"
    title = f"{_ORPHANS:,} orphans at once, all reaped"
    metrics = (Metric("all gone", "ms"), Metric("left after 5 s", ""))
    full_cases = (Case("M=20000", 1, 5),)

    def measure(self, workshop: Workshop, peer: MeasuredPeer, case: Case, *, quick: bool) -> Values:
        """Have one service make them and look for them."""
        del case, quick
        directory = workshop.sample_directory()
        argv = (workshop.program("orphans"), str(directory / "records"), "0", str(_ORPHANS))
        launch = peer.prepare(directory, [MeasuredService("p0", argv)])
        with Container(workshop, directory, launch) as container:
            container.wait_started(1)
            time.sleep(peer.settle_before_kill)
            os.kill(container.service_pid(), signal.SIGUSR1)
            (orphaned,) = container.records.wait(ORPHANED, 1, timeout=60)
            (end,) = container.records.wait(ALL_GONE + STILL_THERE, 1, timeout=60)
            if end.kind == STILL_THERE:
                return {"left after 5 s": [end.value]}
            return {"all gone": [(end.time - orphaned.time) * 1000], "left after 5 s": [0]}
