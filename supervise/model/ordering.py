"""The dependency graph: who may start, who must stop first, and cycles by name.

Pure: the loader asks for cycles, the daemon for blockers and for the order of a stop.
"""

from __future__ import annotations

from supervise.model.process import Desired, Process, ProcessState, has_ended_for_good
from supervise.model.service import Condition, Dependency, ServiceType
from supervise.model.view import Blocker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Protocol

    class Lookup(Protocol):
        """Finds processes by the names of their services; a mapping will do."""

        def get(self, name: str, /) -> Process | None:
            """Return the process, None if there is no such service."""

    Graph = Mapping[str, Sequence[str]]  # name → the names it depends on


def find_cycles(graph: Graph) -> list[tuple[str, ...]]:
    """Return every elementary cycle met in a walk of *graph*, its first name repeated at the end.

    Each strongly connected part of the graph yields at least one.  Iterative: ten thousand
    services in a row must not meet Python's recursion limit.
    """
    done: set[str] = set()
    cycles: list[tuple[str, ...]] = []
    for root in graph:
        if root in done:
            continue
        path: list[str] = []
        on_path: dict[str, int] = {}
        stack: list[tuple[str, int]] = [(root, 0)]
        while stack:
            name, index = stack.pop()
            if index == 0:
                on_path[name] = len(path)
                path.append(name)
            targets = graph.get(name, ())
            if index < len(targets):
                stack.append((name, index + 1))
                target = targets[index]
                if target in on_path:
                    cycles.append((*path[on_path[target] :], target))
                elif target not in done and target in graph:
                    stack.append((target, 0))
                continue
            done.add(name)
            path.pop()
            del on_path[name]
    return cycles


def reverse(graph: Graph) -> dict[str, list[str]]:
    """Return name → the names that depend on it; every name of *graph* is a key."""
    dependents: dict[str, list[str]] = {name: [] for name in graph}
    for name, targets in graph.items():
        for target in targets:
            dependents.setdefault(target, []).append(name)
    return dependents


def closure(graph: Graph, names: Iterable[str]) -> list[str]:
    """Return *names* and everything they lead to in *graph*, those that are led to first."""
    ordered: dict[str, None] = {}
    for root in names:
        stack: list[tuple[str, bool]] = [(root, False)]
        seen: set[str] = set()
        while stack:
            name, finished = stack.pop()
            if finished:
                ordered.setdefault(name)
            elif name not in ordered and name not in seen:
                seen.add(name)
                stack.append((name, True))
                stack.extend((target, False) for target in reversed(graph.get(name, ())))
    return list(ordered)


def satisfied(condition: Condition, process: Process) -> bool:
    """Return whether *process* has reached *condition*."""
    completed = process.state is ProcessState.EXITED
    match condition:
        case Condition.STARTED:
            up = process.state in (ProcessState.STARTING, ProcessState.RUNNING)
            return completed or (up and process.pid is not None)
        case Condition.READY:
            done = completed and process.spec.type is ServiceType.ONESHOT
            return done or (process.state is ProcessState.RUNNING and process.ready)
        case Condition.HEALTHY:
            return process.state is ProcessState.RUNNING and process.health == "healthy"
        case Condition.COMPLETED:
            return completed


def blockers(process: Process, others: Lookup) -> list[Blocker]:
    """Return the dependencies that keep *process* from starting, in declaration order.

    *others* finds what they in turn depend on, too.
    """
    return [
        Blocker(name, dependency.condition.value, other.state.value, is_out_of_reach(other))
        for name, dependency in process.spec.depends_on.items()
        if (other := others.get(name)) is not None
        and not satisfied(dependency.condition, other)
        and not _may_go_without(dependency, other, others)
    ]


def is_out_of_reach(process: Process) -> bool:
    """Return whether *process* will not get any further without an operator."""
    if has_ended_for_good(process):
        return True
    return process.state is ProcessState.STOPPED and process.desired is Desired.DOWN


def is_lost(process: Process, others: Lookup) -> bool:
    """Return whether *process* is out of reach, or waits for what is, or for what waits so."""
    stack, seen = [process], {process.spec.name}
    while stack:
        each = stack.pop()
        if is_out_of_reach(each):
            return True
        if each.state is not ProcessState.STOPPED:
            continue
        for name, dependency in each.spec.depends_on.items():
            other = others.get(name)
            if other is None or name in seen or not dependency.required:
                continue
            if not satisfied(dependency.condition, other):
                seen.add(name)
                stack.append(other)
    return False


def _may_go_without(dependency: Dependency, other: Process, others: Lookup) -> bool:
    return not dependency.required and is_lost(other, others)


def stoppable(names: Iterable[str], dependents: Graph, active: set[str]) -> list[str]:
    """Return those of *names* that no active service depends on: they may stop now."""
    return [name for name in names if active.isdisjoint(dependents.get(name, ()))]
