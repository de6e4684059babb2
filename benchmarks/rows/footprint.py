"""Memory of what is there because of one detached container that sleeps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks import procfs
from benchmarks.engines.base import IMAGE, Engine
from benchmarks.rows.base import Case, Metric, Row, Values

if TYPE_CHECKING:
    from benchmarks.peers.base import MeasuredPeer
    from benchmarks.workshop import Workshop

_MB = 1 << 20
_SETTLE_SECONDS = 1.0


class Footprint(Row):
    """RSS of what watches it, of its PID 1, and of what is there once for all."""

    name = "footprint"
    title = "Memory with one detached container"
    metrics = (
        Metric("monitor, RSS", "MB"),
        Metric("monitor, private", "MB"),
        Metric("PID 1, RSS", "MB"),
        Metric("daemons, RSS", "MB"),
    )
    full_cases = (Case("sleep", 1, 3),)

    def measure(self, workshop: Workshop, peer: MeasuredPeer, case: Case, *, quick: bool) -> Values:
        """Start one, look, remove it."""
        del workshop, case, quick
        assert isinstance(peer, Engine)
        container = peer.call("run", "--detach", *peer.bridged(), IMAGE, "sleep", "1000")
        try:
            time.sleep(_SETTLE_SECONDS)
            monitors = peer.monitor_pids(container)
            return {
                "monitor, RSS": [procfs.memory(monitors).rss / _MB],
                "monitor, private": [procfs.private(monitors) / _MB],
                "PID 1, RSS": [procfs.memory([peer.first_pid(container)]).rss / _MB],
                "daemons, RSS": [procfs.memory(peer.daemon_pids()).rss / _MB],
            }
        finally:
            peer.remove(container)
