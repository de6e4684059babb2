"""Checks between services: names, cycles, conditions, the one terminal.

Pure, and the same for every dialect: services with their places in, problems out.  How a key is
written, and what to write instead, the service's own dialect says (`declared.Wording`).
"""

from __future__ import annotations

from supervise.model.errors import Problem
from supervise.model.ordering import find_cycles
from supervise.model.service import Condition, Dependency, ServiceType, Stdin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervise.config.declared import Declared
    from supervise.config.problems import Problems
    from supervise.model.service import ServiceSpec

    Services = Mapping[str, Declared]


def check(services: Services, problems: Problems) -> None:
    """Report every problem between *services*, keyed by name."""
    for declared in services.values():
        for name, edge in declared.spec.depends_on.items():
            problem = _edge_problem(services, declared, name, edge, problems)
            if problem is None:
                continue
            (problems.report if edge.required or name in services else problems.warn)(problem)
    graph = {name: tuple(declared.spec.depends_on) for name, declared in services.items()}
    for cycle in find_cycles(graph):
        if len(cycle) > 2:  # one that depends on itself has been reported above
            problems.report(_cycle_problem(services, cycle))
    _check_terminal(services, problems)


def check_grace(services: Services, grace: float, problems: Problems) -> None:
    """Warn of services that ask for more time to stop than the whole shutdown, *grace*, has."""
    for declared in services.values():
        asked = declared.spec.stop_grace_period
        if "stop_grace_period" in declared.places and asked > grace:
            what = f"a shutdown of the container ends after {grace:g} s, and this service with it"
            problems.warn(_problem(declared, "stop_grace_period", what, declared.wording.grace))


def settle(services: Services) -> dict[str, ServiceSpec]:
    """Return the specs of the active services, without edges to services that are not there."""
    active = {name: declared.spec for name, declared in services.items() if declared.active}
    return {
        name: spec
        if all(other in active for other in spec.depends_on)
        else spec.replace(
            depends_on={other: e for other, e in spec.depends_on.items() if other in active}
        )
        for name, spec in active.items()
    }


def _problem(declared: Declared, key: str, what: str, hint: str) -> Problem:
    place = declared.place(key)
    path = declared.wording.path_of(declared.spec.name, key)
    return Problem(place.file, place.line, place.column, path, what, hint)


def _edge_problem(
    services: Services, declared: Declared, name: str, edge: Dependency, problems: Problems
) -> Problem | None:
    key = f"depends_on.{name}"
    wording = declared.wording
    other = services.get(name)
    if other is None:
        hint = problems.suggest(name, services) or wording.declare
        return _problem(declared, key, f"there is no service '{name[:60]}'", hint)
    if name == declared.spec.name:
        return _problem(declared, key, "a service cannot depend on itself", wording.delete_edge)
    if not other.active and not (declared.active and edge.required):
        return None  # compose drops the edge, and says nothing
    if not other.active:
        profiles = ", ".join(other.profiles)
        what = f"'{name}' is off: none of its profiles is selected ({profiles})"
        hint = wording.select.format(other=name, profile=other.profiles[0])
        return _problem(declared, key, what, hint)
    if edge.condition is Condition.HEALTHY and other.spec.healthcheck is None:
        what = f"'{name}' can never be healthy: it has no healthcheck"
        hint = wording.healthcheck.format(other=name)
        return _problem(declared, key, what, hint)
    if edge.condition is Condition.COMPLETED and other.spec.type is not ServiceType.ONESHOT:
        what = f"'{name}' can never complete: it is no oneshot"
        hint = wording.oneshot.format(other=name)
        return _problem(declared, key, what, hint)
    return None


def _cycle_problem(services: Services, cycle: tuple[str, ...]) -> Problem:
    """Return the problem of *cycle*, whose last name is its first, at the first in the files."""
    order = {name: index for index, name in enumerate(services)}
    first = min(range(len(cycle) - 1), key=lambda index: order[cycle[index]])
    around = (*cycle[first:-1], *cycle[: first + 1])
    what = f"the dependencies go in a circle: {' -> '.join(around)}"
    declared = services[around[0]]
    return _problem(declared, f"depends_on.{around[1]}", what, declared.wording.break_cycle)


def _check_terminal(services: Services, problems: Problems) -> None:
    owners = [d for d in services.values() if d.active and d.spec.stdin is Stdin.TTY]
    for declared in owners[1:]:
        what = f"'{owners[0].spec.name}' has the terminal already"
        problems.report(_problem(declared, "stdin", what, declared.wording.one_terminal))
