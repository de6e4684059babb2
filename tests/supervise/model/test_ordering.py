from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.model import ordering
from supervise.model.exitstatus import Exited
from supervise.model.process import Desired, Process, ProcessState
from supervise.model.service import Condition, Dependency, ServiceType
from supervise.model.view import Blocker
from tests.support.processes import make_process, make_spec

NAMES = ("a", "b", "c", "d", "e")
S = ProcessState
Graph = dict[str, tuple[str, ...]]

# Every graph of up to five names, edges to oneself included.
graphs: st.SearchStrategy[Graph] = st.dictionaries(
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(NAMES), unique=True).map(tuple),
    max_size=len(NAMES),
)
acyclic: st.SearchStrategy[Graph] = st.permutations(NAMES).flatmap(
    lambda names: st.fixed_dictionaries(
        {
            name: st.just(())
            if i == 0
            else st.lists(st.sampled_from(names[:i]), unique=True).map(tuple)
            for i, name in enumerate(names)
        }
    )
)


def reachable(graph: Graph, start: str) -> set[str]:
    """Return what *start* leads to, by following every path: the brute force."""
    found: set[str] = set()
    edge = set(graph.get(start, ()))
    while edge:
        found |= edge
        edge = {target for name in edge for target in graph.get(name, ())} - found
    return found


def elementary_cycles(graph: Graph) -> set[frozenset[tuple[str, str]]]:
    """Return every cycle of *graph* as its set of edges: all orders of all subsets are tried."""
    cycles = set()
    for size in range(1, len(NAMES) + 1):
        for names in itertools.permutations(NAMES, size):
            edges = list(zip(names, (*names[1:], names[0]), strict=True))
            if all(target in graph.get(name, ()) for name, target in edges):
                cycles.add(frozenset(edges))
    return cycles


@given(graphs)
def test_what_is_found_are_elementary_cycles(graph: Graph) -> None:
    """Each answer is one of the cycles that trying everything finds, and none comes twice."""
    found = ordering.find_cycles(graph)

    edges = [frozenset(itertools.pairwise(cycle)) for cycle in found]
    assert set(edges) <= elementary_cycles(graph)
    assert len(edges) == len(set(edges))
    assert all(cycle[0] == cycle[-1] for cycle in found)


@given(graphs)
def test_every_knot_of_the_graph_is_found(graph: Graph) -> None:
    """Each strongly connected part with a cycle has at least one answer in it."""
    knots = {
        frozenset({name} | {o for o in reachable(graph, name) if name in reachable(graph, o)})
        for name in graph
        if name in reachable(graph, name)
    }

    found = {name for cycle in ordering.find_cycles(graph) for name in cycle}

    assert all(knot & found for knot in knots)
    assert bool(found) is bool(knots)


def test_cycle_repeats_its_first_name() -> None:
    graph = {"web": ("db",), "db": ("queue",), "queue": ("db",)}

    assert ordering.find_cycles(graph) == [("db", "queue", "db")]


def test_service_that_depends_on_itself_is_a_cycle() -> None:
    assert ordering.find_cycles({"web": ("web",)}) == [("web", "web")]


def test_name_that_is_not_declared_is_no_cycle() -> None:
    assert ordering.find_cycles({"web": ("nowhere",)}) == []


def test_ten_thousand_services_in_a_row_are_no_trouble() -> None:
    row = {str(n): (str(n + 1),) for n in range(10_000)}

    assert ordering.find_cycles(row) == []
    assert ordering.closure(row, ["0"])[0] == "10000"


@given(graphs)
def test_reversed_graph_has_every_edge_backwards(graph: Graph) -> None:
    """(a, b) is an edge of the graph exactly if (b, a) is one of its reverse."""
    forwards = {(name, target) for name, targets in graph.items() for target in targets}
    backwards = {(t, n) for n, targets in ordering.reverse(graph).items() for t in targets}

    assert backwards == forwards
    assert set(graph) <= set(ordering.reverse(graph))


@given(acyclic, st.lists(st.sampled_from(NAMES), min_size=1))
def test_closure_has_dependencies_first(graph: Graph, names: list[str]) -> None:
    """Whatever a name leads to stands before it, once, and nothing else is there."""
    ordered = ordering.closure(graph, names)

    place = {name: i for i, name in enumerate(ordered)}
    assert len(place) == len(ordered)
    assert set(ordered) == set(names).union(*(reachable(graph, name) for name in names))
    assert all(place[target] < place[name] for name in ordered for target in graph[name])


@given(graphs, st.lists(st.sampled_from(NAMES)))
def test_closure_of_a_cyclic_graph_ends(graph: Graph, names: list[str]) -> None:
    """Cycles change the order, not the members."""
    ordered = ordering.closure(graph, names)

    assert set(ordered) == set(names).union(*(reachable(graph, name) for name in names))


@given(acyclic)
def test_stopping_in_waves_stops_everything_dependents_first(graph: Graph) -> None:
    """Repeatedly stopping what is stoppable empties an acyclic graph, in reverse order."""
    dependents, active, gone = ordering.reverse(graph), set(graph), set[str]()

    while active:
        wave = ordering.stoppable(sorted(active), dependents, active)
        assert wave
        assert all(gone.issuperset(dependents[name]) for name in wave)
        active -= set(wave)
        gone |= set(wave)


ONESHOT = make_spec("db", type=ServiceType.ONESHOT)


@pytest.mark.parametrize(
    ("condition", "process", "expected"),
    [
        (Condition.STARTED, make_process(S.STARTING), False),
        (Condition.STARTED, make_process(S.STARTING, pid=7), True),
        (Condition.STARTED, make_process(S.RUNNING), True),
        (Condition.STARTED, make_process(S.EXITED), True),
        (Condition.STARTED, make_process(S.BACKOFF), False),
        (Condition.STARTED, make_process(S.STOPPING), False),
        (Condition.STARTED, make_process(S.FAILED), False),
        (Condition.READY, make_process(S.RUNNING, ready=True), True),
        (Condition.READY, make_process(S.RUNNING, ready=False), False),
        (Condition.READY, make_process(S.EXITED), False),
        (Condition.READY, make_process(S.EXITED, ONESHOT), True),
        (Condition.READY, make_process(S.STARTING, pid=7), False),
        (Condition.HEALTHY, make_process(S.RUNNING, health="healthy"), True),
        (Condition.HEALTHY, make_process(S.RUNNING, health="starting"), False),
        (Condition.HEALTHY, make_process(S.RUNNING, health=""), False),
        (Condition.HEALTHY, make_process(S.STOPPING, health="healthy"), False),
        (Condition.COMPLETED, make_process(S.EXITED), True),
        (Condition.COMPLETED, make_process(S.FAILED), False),
        (Condition.COMPLETED, make_process(S.RUNNING), False),
    ],
)
def test_condition_is_reached(condition: Condition, process: Process, *, expected: bool) -> None:
    assert ordering.satisfied(condition, process) is expected


def blockers_of(dependency: Dependency, other: Process) -> list[Blocker]:
    waiting = make_process(spec=make_spec(depends_on={"db": dependency}), desired=Desired.UP)
    return ordering.blockers(waiting, {"db": other})


def test_blocker_says_what_is_waited_for() -> None:
    blocker = blockers_of(Dependency(Condition.HEALTHY), make_process(S.STARTING))

    assert blocker == [Blocker("db", "service_healthy", "starting", final=False)]


@pytest.mark.parametrize(
    ("state", "desired", "final"),
    [
        (S.FAILED, Desired.UP, True),
        (S.STOPPED, Desired.DOWN, True),
        (S.STOPPED, Desired.UP, False),
        (S.BACKOFF, Desired.UP, False),
        (S.STOPPING, Desired.DOWN, False),
    ],
)
def test_blocker_is_final_when_only_a_person_can_help(
    state: ProcessState, desired: Desired, *, final: bool
) -> None:
    (blocker,) = blockers_of(Dependency(), make_process(state, desired=desired))

    assert blocker.final is final


def test_service_that_has_completed_otherwise_is_a_final_blocker() -> None:
    exited = make_process(S.EXITED, last_exit=Exited(0))

    (blocker,) = blockers_of(Dependency(Condition.HEALTHY), exited)

    assert blocker.final


def test_dependency_that_is_not_required_blocks_while_it_may_still_come() -> None:
    optional = Dependency(required=False)

    assert blockers_of(optional, make_process(S.BACKOFF)) != []
    assert blockers_of(optional, make_process(S.FAILED)) == []


def test_dependency_outside_the_plan_blocks_nobody() -> None:
    waiting = make_process(spec=make_spec(depends_on={"db": Dependency()}))

    assert ordering.blockers(waiting, {}) == []


def lookup(**dependencies: Dependency) -> tuple[Process, dict[str, Process]]:
    """Return web, which waits for db, which waits for *dependencies*."""
    db = make_process(spec=make_spec("db", depends_on=dependencies), desired=Desired.UP)
    optional = {"db": Dependency(required=False)}
    web = make_process(spec=make_spec(depends_on=optional), desired=Desired.UP)
    return web, {"db": db, "web": web}


def test_optional_dependency_that_waits_in_vain_blocks_nobody() -> None:
    web, others = lookup(disk=Dependency(Condition.COMPLETED))

    failed = {**others, "disk": make_process(S.FAILED)}
    running = {**others, "disk": make_process(S.RUNNING)}

    assert ordering.blockers(web, failed) == []
    assert [blocker.service for blocker in ordering.blockers(web, running)] == ["db"]


def test_optional_dependency_of_an_optional_dependency_holds_it_up_for_nobody() -> None:
    web, others = lookup(disk=Dependency(Condition.COMPLETED, required=False))

    waits = ordering.blockers(web, {**others, "disk": make_process(S.FAILED)})

    assert [blocker.service for blocker in waits] == ["db"]


def test_chain_that_waits_in_a_circle_is_not_followed_for_ever() -> None:
    first = make_process(spec=make_spec("a", depends_on={"b": Dependency()}), desired=Desired.UP)
    second = make_process(spec=make_spec("b", depends_on={"a": Dependency()}), desired=Desired.UP)

    assert not ordering.is_lost(first, {"a": first, "b": second})
