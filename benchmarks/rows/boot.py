"""Boot: from the execve of PID 1 to the first instruction of the services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.peers.base import Log
from benchmarks.rows.base import Case, Metric, Row, Values, run_waiting

if TYPE_CHECKING:
    from benchmarks.peers.base import MeasuredPeer
    from benchmarks.workshop import Workshop


class _AnyBoot(Row):
    metrics = (Metric("first", "ms"), Metric("last", "ms"))

    def measure(self, workshop: Workshop, peer: MeasuredPeer, case: Case, *, quick: bool) -> Values:
        """Launch once and read when each service started."""
        del quick
        directory = workshop.sample_directory()
        with run_waiting(workshop, peer, directory, case.count, case.log) as container:
            times = [record.time for record in container.wait_started(case.count)]
            return {
                "first": [(min(times) - container.executed_at) * 1000],
                "last": [(max(times) - container.executed_at) * 1000],
            }


class BootRow(_AnyBoot):
    """First and last of N services."""

    name = "boot"
    title = "Boot: execve of PID 1 to the services' first instruction"
    full_cases = (Case("N=1", 1, 15), Case("N=100", 100, 10), Case("N=500", 500, 6))
    quick_cases = (Case("N=1", 1, 1), Case("N=100", 100, 1))


class BootMany(_AnyBoot):
    """The same with 10,000 services, for those that can."""

    name = "boot-many"
    title = "Boot of 10,000 services"
    full_cases = (Case("N=10000", 10_000, 2, Log.STDOUT_RAW),)
    quick_cases = (Case("N=2000", 2_000, 1, Log.STDOUT_RAW),)

    def applies(self, peer: MeasuredPeer, case: Case) -> bool:
        """Only supervise itself claims to."""
        return "boot" in peer.rows and case.count <= peer.most_services
