"""What the samples of one run gave, and the statistics over them; kept as JSON."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Summary:
    """The values of one metric of one peer in one case."""

    median: float
    best: float
    worst: float
    count: int


@dataclass(slots=True)
class Machine:
    """Where and when, and how busy the machine was with other things."""

    date: str = ""
    processors: int = 0
    model: str = ""
    kernel: str = ""
    python: str = ""
    command: str = ""
    seconds: float = 0.0
    samples: int = 0
    busy_samples: int = 0  # other processes ran or waited for a processor when the sample began
    loop_ms: list[float] = field(default_factory=list)  # a fixed computation, before each sample


@dataclass(slots=True)
class Results:
    """All values of one run."""

    machine: Machine = field(default_factory=Machine)
    versions: dict[str, str] = field(default_factory=dict)  # peer → version
    notes: dict[str, str] = field(default_factory=dict)  # peer → what a reader must know
    missing: dict[str, str] = field(default_factory=dict)  # peer → what is not installed
    # row → case → peer → metric → values, in the order in which they were taken
    values: dict[str, dict[str, dict[str, dict[str, list[float]]]]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    inside: dict[str, Any] = field(default_factory=dict)  # supervise taken apart; see inside.py

    def add(self, row: str, case: str, peer: str, values: dict[str, list[float]]) -> None:
        """Add what one sample gave."""
        metrics = self.values.setdefault(row, {}).setdefault(case, {}).setdefault(peer, {})
        for metric, numbers in values.items():
            metrics.setdefault(metric, []).extend(numbers)

    def summary(
        self, row: str, case: str, peer: str, metric: str, *, higher_is_better: bool = False
    ) -> Summary | None:
        """Return the statistics of one metric, None where there is no sample."""
        numbers = self.values.get(row, {}).get(case, {}).get(peer, {}).get(metric)
        if not numbers:
            return None
        ends = (min(numbers), max(numbers))
        best, worst = reversed(ends) if higher_is_better else ends
        return Summary(statistics.median(numbers), best, worst, len(numbers))

    def save(self, path: Path) -> None:
        """Write everything as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read what `save` wrote."""
        plain = json.loads(path.read_text())
        plain["machine"] = Machine(**plain["machine"])
        return cls(**plain)
