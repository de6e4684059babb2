"""The control client: wall time of the command that shows the state of 100 services."""

from __future__ import annotations

import re
import subprocess
import time
from typing import TYPE_CHECKING

from benchmarks.container import Container
from benchmarks.records import BenchmarkError
from benchmarks.rows.base import Case, Metric, Row, Values, waiting_services

if TYPE_CHECKING:
    from benchmarks.peers.base import MeasuredPeer
    from benchmarks.workshop import Workshop

_SETTLE_SECONDS = 1.5  # supervisord calls a service running after one
_NAME = re.compile(r"\bp\d+\b")
_RUNNING = re.compile(r"\b(running|up|run)\b", re.IGNORECASE)
_CALLS = 10
_QUICK_CALLS = 3


class Status(Row):
    """Start of the client to its end."""

    name = "status"
    title = "Status of 100 services: wall time of the client"
    metrics = (Metric("wall", "ms"),)
    full_cases = (Case("N=100", 100, 3),)

    def measure(self, workshop: Workshop, peer: MeasuredPeer, case: Case, *, quick: bool) -> Values:
        """Ask several times in a row."""
        directory = workshop.sample_directory()
        services = waiting_services(workshop, directory, case.count)
        launch = peer.prepare(directory, services)
        with Container(workshop, directory, launch) as container:
            container.wait_started(case.count)
            time.sleep(_SETTLE_SECONDS)
            command = peer.status_command(directory, services)
            names = {service.name for service in services}
            return {
                "wall": [_ask(command, names) for _ in range(_QUICK_CALLS if quick else _CALLS)]
            }


def _ask(command: list[str], names: set[str]) -> float:
    before = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall = (time.monotonic() - before) * 1000
    lines = [line for line in done.stdout.splitlines() if _RUNNING.search(line)]
    shown = {word for line in lines for word in _NAME.findall(line)}
    if not names <= shown:
        missing = len(names - shown)
        raise BenchmarkError(
            f"'{' '.join(command[:3])}' shows {missing} of {len(names)} as not running: {done.stderr}"
        )
    return wall
