"""What all rows share: cases, metrics, and the way to have a peer run some services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.container import Container
from benchmarks.peers.base import Log, MeasuredPeer, MeasuredService

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.workshop import Workshop

Values = dict[str, list[float]]  # metric name → what one sample gave


@dataclass(frozen=True, slots=True)
class Case:
    """One variant of a row."""

    label: str
    count: int  # services
    samples: int  # in a full run; a quick one takes one
    log: Log = Log.DEFAULT


@dataclass(frozen=True, slots=True)
class Metric:
    """One number a sample gives."""

    name: str
    unit: str
    higher_is_better: bool = False


class Row:
    """One kind of measurement."""

    name: str
    title: str
    metrics: tuple[Metric, ...]
    full_cases: tuple[Case, ...] = ()
    quick_cases: tuple[Case, ...] = ()  # empty: as in a full run

    def cases(self, *, quick: bool) -> tuple[Case, ...]:
        """Return the cases of a run; a quick one takes one sample of each."""
        return self.quick_cases or self.full_cases if quick else self.full_cases

    def fetch(self, workshop: Workshop) -> None:
        """Make what its samples take that comes from the network."""

    def applies(self, peer: MeasuredPeer, case: Case) -> bool:
        """Return whether the case means something for *peer*."""
        return self.name in peer.rows and case.count <= peer.most_services

    def measure(self, workshop: Workshop, peer: MeasuredPeer, case: Case, *, quick: bool) -> Values:
        """Take one sample; raises BenchmarkError when something did not happen."""
        raise NotImplementedError


def waiting_services(
    workshop: Workshop, directory: Path, count: int, log: Log = Log.DEFAULT
) -> list[MeasuredService]:
    """Return *count* services that say when they start and then wait."""
    program, fifo = workshop.program("service"), str(directory / "records")
    return [
        MeasuredService(f"p{index}", (program, fifo, str(index)), log) for index in range(count)
    ]


def run_waiting(
    workshop: Workshop, peer: MeasuredPeer, directory: Path, count: int, log: Log = Log.DEFAULT
) -> Container:
    """Return a container, still to be entered, in which *peer* keeps *count* services."""
    services = waiting_services(workshop, directory, count, log)
    return Container(workshop, directory, peer.prepare(directory, services))
