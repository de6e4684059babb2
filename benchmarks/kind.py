"""The two kinds of run: supervise beside supervisors, `runtime` beside container engines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import engines, pairing, peers, report, rows, targets

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.peers.base import MeasuredPeer
    from benchmarks.results import Results
    from benchmarks.rows.base import Row
    from benchmarks.targets import FigureTarget
    from benchmarks.workshop import Workshop


@dataclass(frozen=True, slots=True)
class RunKind:
    """What a kind of run measures, and how its page is written."""

    rows: Callable[[], list[Row]]
    peers: Callable[[Workshop], list[MeasuredPeer]]
    paired: Callable[[Workshop, str], list[MeasuredPeer]]  # ours now and at a revision
    targets: tuple[FigureTarget, ...]
    page: Callable[[Results], str]
    results: str  # the file's name in the working directory


WORK = Path("/var/tmp/supervise-benchmarks")
SUPERVISORS = RunKind(
    rows.all_rows,
    peers.everyone,
    pairing.supervisors,
    targets.TARGETS,
    report.page,
    "results.json",
)
ENGINES = RunKind(
    rows.engine_rows,
    lambda workshop: [*engines.everyone(workshop)],
    pairing.engines,
    targets.ENGINE_TARGETS,
    report.engine_page,
    "results-runtime.json",
)
