"""What supervise means to reach: a budget that must hold and a goal, a line a figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.results import Results


@dataclass(frozen=True, slots=True)
class Below:
    """A bound that is a peer's figure of the same run, times *factor*."""

    peer: str
    case: str = ""  # the target's own when empty
    factor: float = 1.0

    def __str__(self) -> str:
        """Name the peer, and the factor when there is one."""
        return self.peer if self.factor == 1 else f"{self.factor:g} times {self.peer}"


@dataclass(frozen=True, slots=True)
class FigureTarget:
    """One figure with its bounds."""

    title: str
    row: str
    case: str
    metric: str
    unit: str
    budget: float | Below | None
    goal: float | Below | None
    peer: str = "supervise"
    higher_is_better: bool = False


@dataclass(frozen=True, slots=True)
class FigureVerdict:
    """A target beside what was measured; a bound that nobody measured is None."""

    target: FigureTarget
    measured: float
    budget: float | None
    goal: float | None

    @property
    def budget_holds(self) -> bool | None:
        """Return whether the budget holds, None when there is none."""
        return self._reached(self.budget)

    @property
    def goal_reached(self) -> bool | None:
        """Return whether the goal is reached, None when there is none."""
        return self._reached(self.goal)

    def _reached(self, bound: float | None) -> bool | None:
        if bound is None:
            return None
        return self.measured >= bound if self.target.higher_is_better else self.measured <= bound


TARGETS = (
    FigureTarget("Boot from YAML, first of 1", "boot", "N=1", "first", "ms", 85, 60),
    FigureTarget(
        "Boot from a compiled plan, first of 1",
        *("boot", "N=1", "first", "ms", 85, 30, "supervise-compiled"),
    ),
    FigureTarget("Boot, last of 100", "boot", "N=100", "last", "ms", 180, Below("runit")),
    FigureTarget("Boot, last of 500", "boot", "N=500", "last", "ms", Below("s6"), Below("runit")),
    FigureTarget("Restart after kill -9", "restart", "N=1", "settled", "ms", 1.6, 1.0),
    FigureTarget("RSS with 10 services", "memory", "N=10", "RSS", "MB", 14, 11),
    FigureTarget(
        "Unique memory with 100 services",
        *("memory", "N=100", "unique", "MB", 13, Below("runit")),
    ),
    FigureTarget("Wake-ups while idle, 100 services", "idle", "N=100", "wake-ups", "/s", 0, 0),
    FigureTarget("CPU while idle, 100 services", "idle", "N=100", "CPU", "ms/s", 0, 0),
    FigureTarget("20,000 orphans, all reaped", "orphans", "M=20000", "all gone", "ms", 220, 165),
    FigureTarget(
        "Log relay, prefixed, to stdout",
        *("relay", "stdout, prefixed", "rate", "MB/s", 220, 300),
        higher_is_better=True,
    ),
    FigureTarget(
        "Log relay, prefixed, to a rotated file",
        *("relay", "file, prefixed", "rate", "MB/s", 220, None),
        higher_is_better=True,
    ),
    FigureTarget(
        "Log relay, raw, to a rotated file",
        *("relay", "file, raw", "rate", "MB/s", 650, Below("supervisord", factor=1.2)),
        higher_is_better=True,
    ),
    FigureTarget("Stop, 100 services", "stop", "N=100", "gone", "ms", 60, Below("s6")),
    FigureTarget("supervisectl status, 100 services", "status", "N=100", "wall", "ms", 60, 40),
)


_PROXY, _DNAT = "from 127.0.0.1", "from the host's address"
ENGINE_TARGETS = (
    FigureTarget(
        "`run --rm`, bridge, supervise as PID 1",
        *("start-bridge", "run --rm", "wall", "ms", 130, 90, "runtime"),
    ),
    FigureTarget(
        "`run --rm --no-init --net none`",
        *("start-plain", "run --rm", "wall", "ms", 70, Below("runc"), "runtime"),
    ),
    FigureTarget(
        "Monitor of a container", "footprint", "sleep", "monitor, RSS", "MB", 12, None, "runtime"
    ),
    FigureTarget(
        "PID 1 of a container", "footprint", "sleep", "PID 1, RSS", "MB", 14, None, "runtime"
    ),
    FigureTarget(
        "Import of a root file system", "import", "Debian", "wall", "s", 1.3, 1.0, "runtime"
    ),
    FigureTarget(
        "Load of a saved image, gzip",
        *("load", "Debian", "wall", "s", Below("podman"), Below("podman", factor=0.5), "runtime"),
    ),
    FigureTarget(
        "Pull from a registry, gzip",
        *("pull", "Debian", "wall", "s", Below("docker"), Below("docker", factor=0.5), "runtime"),
    ),
    FigureTarget(
        "Published port, from 127.0.0.1",
        *("ports", _PROXY, "requests", "/s", Below("docker"), Below("docker", _DNAT), "runtime"),
        higher_is_better=True,
    ),
    FigureTarget(
        "Published port, from the host's address",
        *("ports", _DNAT, "requests", "/s", Below("docker", factor=0.9), Below("docker")),
        peer="runtime",
        higher_is_better=True,
    ),
)


def judge(results: Results, targets: tuple[FigureTarget, ...] = TARGETS) -> list[FigureVerdict]:
    """Return a verdict for every target that was measured."""
    verdicts = []
    for target in targets:
        measured = _median(results, target, target.peer, target.case)
        if measured is not None:
            budget = _bound(results, target, target.budget)
            goal = _bound(results, target, target.goal)
            verdicts.append(FigureVerdict(target, measured, budget, goal))
    return verdicts


def _bound(results: Results, target: FigureTarget, bound: float | Below | None) -> float | None:
    if not isinstance(bound, Below):
        return bound
    median = _median(results, target, bound.peer, bound.case or target.case)
    return None if median is None else median * bound.factor


def _median(results: Results, target: FigureTarget, peer: str, case: str) -> float | None:
    summary = results.summary(target.row, case, peer, target.metric)
    return None if summary is None else summary.median
