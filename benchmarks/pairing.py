"""A change beside what was before it: the same rows of both, in one interleaved run.

`python -m benchmarks --before REVISION` takes no peers but ourselves, twice, and prints the ratio
of the medians of every metric.  Samples of both are taken in random order, so a machine that grows
slower meanwhile is slow for both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import tables
from benchmarks.engines import ours
from benchmarks.peers import supervise

if TYPE_CHECKING:
    from benchmarks.peers.base import MeasuredPeer
    from benchmarks.results import Results
    from benchmarks.rows.base import Row
    from benchmarks.workshop import Workshop


def supervisors(workshop: Workshop, revision: str) -> list[MeasuredPeer]:
    """Return supervise of the working tree and of *revision*, from YAML and compiled."""
    return [
        peer(workshop, which)
        for peer in (supervise.Supervise, supervise.SuperviseCompiled)
        for which in ("", revision)
    ]


def engines(workshop: Workshop, revision: str) -> list[MeasuredPeer]:
    """Return `runtime` of the working tree and of *revision*."""
    return [ours.Ours(workshop), ours.Ours(workshop, revision=revision)]


def table(results: Results, rows: list[Row], revision: str) -> str:
    """Return a line a metric: the median now, the median before, and now / before."""
    lines = []
    for row in rows:
        for case, peers in results.values.get(row.name, {}).items():
            for name in (name for name in peers if "@" not in name):
                for metric in row.metrics:
                    now = results.summary(row.name, case, name, metric.name)
                    before = results.summary(row.name, case, f"{name}@{revision}", metric.name)
                    if now and before:
                        lines.append([
                            f"{row.name} {case} {name} {metric.name}",
                            tables.number(now.median),
                            tables.number(before.median),
                            f"{now.median / before.median:.3f}" if before.median else "-",
                            str(min(now.count, before.count)),
                        ])  # fmt: skip
    return tables.table(["", "now", revision, "ratio", "samples"], lines)
