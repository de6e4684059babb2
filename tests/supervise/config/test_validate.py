"""Checks between services that come from any loader; the messages are in tests/golden/config."""

from __future__ import annotations

from supervise.config import validate
from supervise.config.declared import Declared, SourcePlace
from supervise.config.problems import Problems
from supervise.config.yaml.wording import WORDING
from supervise.model.errors import Problem
from supervise.model.service import Condition, Dependency, HealthCheck, Probe, ServiceSpec


def declare(name: str, *edges: str, active: bool = True, required: bool = True) -> Declared:
    depends_on = {edge: Dependency(required=required) for edge in edges}
    spec = ServiceSpec(name, ("x",), depends_on=depends_on)
    profiles = () if active else ("p",)
    return Declared(
        spec, {"": SourcePlace("units", 1, 1)}, WORDING, active=active, profiles=profiles
    )


def check(*declared: Declared) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    problems = Problems()
    services = {one.spec.name: one for one in declared}
    validate.check(services, problems)
    return problems.problems(), problems.warnings()


def test_what_has_no_place_of_its_own_stands_where_the_service_does() -> None:
    (problem,), _ = check(declare("a", "gone"))

    assert (problem.file, problem.line, problem.path) == ("units", 1, "services.a.depends_on.gone")


def test_a_circle_is_reported_once_however_many_lead_into_it() -> None:
    problems, _ = check(declare("x", "b"), declare("a", "b"), declare("b", "a"), declare("y", "a"))

    assert [problem.what for problem in problems] == [
        "the dependencies go in a circle: a -> b -> a"
    ]


def test_a_chain_of_ten_thousand_is_no_recursion() -> None:
    chain = [declare(f"s{i}", f"s{i + 1}") for i in range(10_000)]

    problems, _ = check(*chain, declare("s10000", "s0"))

    assert len(problems) == 1


def test_an_optional_dependency_that_is_not_declared_is_a_warning() -> None:
    problems, warnings = check(declare("a", "gone", required=False))

    assert problems == ()
    assert len(warnings) == 1


def test_edges_to_what_is_not_there_are_dropped() -> None:
    services = {
        one.spec.name: one
        for one in (declare("a", "b", "off", "gone"), declare("b"), declare("off", active=False))
    }

    settled = validate.settle(services)

    assert list(settled) == ["a", "b"]
    assert list(settled["a"].depends_on) == ["b"]


def test_a_health_check_makes_a_service_worth_waiting_for() -> None:
    healthy = declare("db")
    healthy = healthy.replace(spec=healthy.spec.replace(healthcheck=HealthCheck(Probe())))
    web = declare("web")
    edge = {"db": Dependency(Condition.HEALTHY)}
    web = web.replace(spec=web.spec.replace(depends_on=edge))

    assert check(web, healthy) == ((), ())
    assert len(check(web, declare("db"))[0]) == 1


def test_a_problem_speaks_the_dialect_of_the_file_that_it_is_in() -> None:
    units = WORDING.replace(
        path="{name}.service: {key}",
        keys={"depends_on": "After="},
        oneshot="write Type=oneshot in {other}.service",
    )
    edge = {"db": Dependency(Condition.COMPLETED)}
    web = declare("web").replace(wording=units)
    web = web.replace(spec=web.spec.replace(depends_on=edge))

    (problem,), _ = check(web, declare("db"))

    assert (problem.path, problem.hint) == (
        "web.service: After=db",
        "write Type=oneshot in db.service",
    )
