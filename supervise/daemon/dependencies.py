"""Who waits for whom, among the services that exist.

The rules are `supervise.model.ordering`'s; here they meet the services of one supervisor, which
alone calls this, together with `ending`.
"""

from __future__ import annotations

from supervise.daemon.service_entry import Service
from supervise.model import ordering
from supervise.model.process import Desired, Process, ProcessState, is_active

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from supervise.model.service import ServiceSpec
    from supervise.model.view import Blocker


class Dependencies:
    """The edges between *services*, which is the supervisor's own mapping and changes."""

    def __init__(self, services: dict[str, Service]) -> None:
        self.dependents: dict[str, list[str]] = {}  # name → those that depend on it
        self._services = services

    def get(self, name: str) -> Process | None:
        """Return the process of *name*, None if there is no such service."""
        service = self._services.get(name)
        return service.process if service is not None else None

    # -- edges

    def rebuild(self) -> None:
        """Take in services that have come or gone."""
        self.dependents = ordering.reverse(
            {name: tuple(s.process.spec.depends_on) for name, s in self._services.items()}
        )

    def relink(self, old: ServiceSpec, new: ServiceSpec | None) -> None:
        """Replace the edges of *old* by those of *new*, the same service; None: it goes."""
        for target in old.depends_on:
            if old.name in self.dependents.get(target, ()):
                self.dependents[target].remove(old.name)
        for target in new.depends_on if new is not None else ():
            self.dependents.setdefault(target, []).append(old.name)

    # -- starting

    def blockers(self, process: Process) -> list[Blocker]:
        """Return what keeps *process*, which is down, from starting."""
        return ordering.blockers(process, self)

    def may_start(self, process: Process) -> bool:
        """Return whether *process* waits, and need wait no longer."""
        return _is_waiting(process) and not self.blockers(process)

    def in_start_order(self, names: Iterable[str]) -> list[str]:
        """Return *names* and what they cannot do without, dependencies first."""
        asked = list(names)
        graph = self._graph(frozenset(asked))
        return ordering.closure(graph, asked)

    def released_by(self, name: str) -> Iterator[str]:
        """Yield those that wait and need not any longer, now that *name* has changed."""
        queue, seen = [name], {name}
        for each in queue:
            for dependent in self.dependents.get(each, ()):
                process = self.get(dependent)
                if dependent in seen or process is None or not _is_waiting(process):
                    continue
                seen.add(dependent)
                if not self.blockers(process):
                    yield dependent
                elif ordering.is_lost(process, self):
                    queue.append(dependent)  # who can do without it need not wait for it either

    def restarted_with(self, name: str) -> list[str]:
        """Return those to be restarted with *name*: `restart: true`, theirs as well.

        Whom a person has stopped, or is stopping, stays down.
        """
        found = {name: None}
        queue = [name]
        for each in queue:
            for dependent in self.dependents.get(each, ()):
                service = self._services.get(dependent)
                if service is None or dependent in found or not _is_wanted(service):
                    continue
                if service.process.spec.depends_on[each].restart:
                    found[dependent] = None
                    queue.append(dependent)
        return list(found)[1:]

    # -- ending

    def may_anything_run(self) -> bool:
        """Return whether any service runs, or can still start without anybody's help."""
        services = self._services
        if any(is_active(service.process) for service in services.values()):
            return True
        lost = self._lost()
        return any(_is_waiting(s.process) and name not in lost for name, s in services.items())

    # -- inside

    def _graph(self, asked: Container[str]) -> dict[str, list[str]]:
        """Return the edges that order a start of *asked*: what is not required starts for nobody."""
        return {
            name: [
                target
                for target, dependency in service.process.spec.depends_on.items()
                if target in self._services and (dependency.required or target in asked)
            ]
            for name, service in self._services.items()
        }

    def _lost(self) -> set[str]:
        """Return all that will not come up by themselves, each edge looked at once."""
        lost = {n for n, s in self._services.items() if ordering.is_out_of_reach(s.process)}
        queue = list(lost)
        for name in queue:
            for dependent in self.dependents.get(name, ()):
                process, other = self.get(dependent), self.get(name)
                if process is None or other is None or dependent in lost:
                    continue
                dependency = process.spec.depends_on[name]
                met = ordering.satisfied(dependency.condition, other)
                if dependency.required and not met and _is_waiting(process):
                    lost.add(dependent)
                    queue.append(dependent)
        return lost


def _is_waiting(process: Process) -> bool:
    return process.state is ProcessState.STOPPED and process.desired is Desired.UP


def _is_wanted(service: Service) -> bool:
    wanted = service.process.desired is Desired.UP or service.start_again
    return wanted and is_active(service.process)
