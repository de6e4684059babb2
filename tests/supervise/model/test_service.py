from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.model import service
from supervise.model.plain import from_plain, to_plain
from supervise.model.record import Record
from supervise.model.service import (
    Backoff,
    Condition,
    ConfigurationSource,
    ControlSettings,
    Dependency,
    ExitPolicy,
    HealthCheck,
    KillMode,
    LogFormat,
    LogSettings,
    OnFailure,
    OnStall,
    OnUnhealthy,
    Origin,
    Plan,
    Probe,
    Ready,
    RestartMode,
    RestartPolicy,
    ServiceSpec,
    ServiceType,
    StartLimit,
    Stdin,
    plan_from_plain,
    plan_to_plain,
)
from tests.support.processes import make_spec

texts = st.text(max_size=8)
names = st.text("abcxyz-_.", min_size=1, max_size=8)
seconds = st.floats(0, 1e6)
argvs = st.lists(texts, min_size=1, max_size=3).map(tuple)
numbers = st.integers(0, 2**31)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


def tuples(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(strategy, max_size=3).map(tuple)


probes = st.one_of(
    st.just(Probe(notify=True)),
    st.builds(Probe, tcp=texts),
    st.builds(Probe, http=texts),
    st.builds(Probe, exec=argvs),
)
readies = st.builds(Ready, probes, seconds, seconds)
checks = st.builds(
    HealthCheck, probes, seconds, seconds, numbers, seconds, seconds, st.sampled_from(OnUnhealthy)
)
logs = st.builds(
    LogSettings,
    format=st.sampled_from(LogFormat),
    file=maybe(texts),
    tee=st.booleans(),
    max_size=maybe(numbers),
    max_age=maybe(seconds),
    keep=numbers,
    compress=st.booleans(),
    on_stall=st.sampled_from(OnStall),
)
dependencies = st.builds(
    Dependency, st.sampled_from(Condition), required=st.booleans(), restart=st.booleans()
)
limits = st.tuples(st.integers(-1, 2**40), st.integers(-1, 2**40))
SERVICE_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "name": names,
    "command": argvs,
    "type": st.sampled_from(ServiceType),
    "autostart": st.booleans(),
    "stdin": st.sampled_from(Stdin),
    "user": maybe(texts),
    "groups": maybe(tuples(texts)),
    "working_dir": maybe(texts),
    "umask": maybe(st.integers(0, 0o777)),
    "environment": st.dictionaries(names, texts, max_size=3),
    "ulimits": st.dictionaries(st.sampled_from(["nofile", "core"]), limits),
    "nice": maybe(st.integers(-20, 19)),
    "ionice": maybe(st.tuples(st.integers(1, 3), st.integers(0, 7))),
    "oom_score_adj": maybe(st.integers(-1000, 1000)),
    "cpus_allowed": maybe(tuples(numbers)),
    "cap_add": tuples(texts),
    "cap_drop": tuples(texts),
    "no_new_privileges": st.booleans(),
    "ready": maybe(readies),
    "start_timeout": seconds,
    "healthcheck": maybe(checks),
    "depends_on": st.dictionaries(names, dependencies, max_size=2),
    "restart": st.builds(RestartPolicy, st.sampled_from(RestartMode), maybe(numbers)),
    "backoff": st.builds(Backoff, seconds, seconds, seconds, seconds, seconds),
    "start_limit": maybe(st.builds(StartLimit, numbers, seconds)),
    "success_exit_codes": tuples(st.integers(0, 255)),
    "essential": st.booleans(),
    "on_failure": st.sampled_from(OnFailure),
    "stop_signal": st.integers(1, 64),
    "stop_grace_period": seconds,
    "stop_command": maybe(argvs),
    "kill_mode": st.sampled_from(KillMode),
    "reload_signal": maybe(st.integers(1, 64)),
    "reload_command": maybe(argvs),
    "logs": logs,
    "origin": maybe(st.builds(Origin, texts, numbers)),
}
services = st.builds(ServiceSpec, **SERVICE_FIELDS)
plans = st.builds(
    Plan,
    services=st.dictionaries(names, services, max_size=2),
    grace=seconds,
    exit_policy=st.sampled_from(ExitPolicy),
    log_format=st.sampled_from(LogFormat),
    control=st.builds(ControlSettings, maybe(texts), tuples(numbers), tuples(numbers)),
    sources=tuples(st.builds(ConfigurationSource, texts, texts, texts)),
    variables=st.dictionaries(names, texts, max_size=2),
)


def fields_with_types(value: object, path: str = "") -> list[tuple[str, type]]:
    """Return every value inside *value* with its exact type: == forgives 1 for True."""
    found = [(path, type(value))]
    if isinstance(value, Record):
        for field, inner in value.items():
            found += fields_with_types(inner, f"{path}.{field}")
    elif isinstance(value, dict):
        for key, inner in value.items():
            found += fields_with_types(inner, f"{path}.{key}")
    elif isinstance(value, tuple):
        for number, inner in enumerate(value):
            found += fields_with_types(inner, f"{path}.{number}")
    return found


def test_random_services_set_every_field() -> None:
    assert set(SERVICE_FIELDS) == set(ServiceSpec._fields)


@given(plans)
def test_plan_survives_the_way_through_json(plan: Plan) -> None:
    """plan_from_plain(json(plan_to_plain(plan))) is the plan, type for type."""
    sent = json.dumps(plan_to_plain(plan))

    received = plan_from_plain(json.loads(sent))

    assert received == plan
    assert fields_with_types(received) == fields_with_types(plan)


def test_defaults_are_not_written() -> None:
    assert to_plain(ServiceSpec("web", ("/bin/true",))) == {
        "name": "web",
        "command": ["/bin/true"],
    }


def test_value_that_is_not_the_default_is_written_as_json() -> None:
    spec = make_spec(
        backoff=Backoff(),
        logs=LogSettings(max_size=None),
        depends_on={"db": Dependency(Condition.HEALTHY)},
        start_limit=StartLimit(),
    )

    assert to_plain(spec) == {
        "name": "web",
        "command": ["/bin/true"],
        "logs": {"max_size": None},
        "depends_on": {"db": {"condition": "service_healthy"}},
        "start_limit": {},
    }


def test_field_that_another_version_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="no field 'colour'"):
        from_plain(ServiceSpec, {"name": "web", "command": ["x"], "colour": "red"})


@pytest.mark.parametrize("version", [None, 0, service.PLAN_VERSION + 1, "1"])
def test_plan_of_another_version_is_refused(version: object) -> None:
    with pytest.raises(ValueError, match="plan version"):
        plan_from_plain({**plan_to_plain(Plan()), "version": version})


def test_order_of_the_services_is_that_of_the_file() -> None:
    plan = Plan({name: make_spec(name) for name in ("web", "db", "cache")})

    received = plan_from_plain(json.loads(json.dumps(plan_to_plain(plan))))

    assert list(received.services) == ["web", "db", "cache"]
