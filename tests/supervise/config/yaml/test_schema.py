"""Each key of a service: what it accepts, what it becomes; and what the declarations promise."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from supervise.config.load import LoadOutcome, examine
from supervise.config.yaml.explain_config import explain
from supervise.config.yaml.json_schema import json_schema
from supervise.config.yaml.keys.refused import IN_LOGS, IN_SERVICE, IN_TOP
from supervise.config.yaml.keys.schema import SERVICE, TOP
from supervise.config.yaml.keys.sections import BACKOFF, LOGS, START_LIMIT
from supervise.config.yaml.keys.shapes import Key
from supervise.model.service import (
    Backoff,
    Condition,
    Dependency,
    HealthCheck,
    KillMode,
    LogSettings,
    OnFailure,
    OnStall,
    OnUnhealthy,
    Plan,
    Probe,
    Ready,
    RestartMode,
    RestartPolicy,
    ServiceSpec,
    ServiceType,
    StartLimit,
    Stdin,
)
from tests.support.generators import generator
from tests.support.plans import meaning

ROOT = Path(__file__).resolve().parents[4]


class Core(yaml.SafeLoader):
    """The oracle's loader; see `_core_schema`."""


EXAMPLES = sorted((ROOT / "configs/examples").glob("*.yaml"))
CONFIGS = sorted({*EXAMPLES, *(ROOT / "configs").rglob("supervise.yaml")})


def with_key(line: str) -> str:
    """Return a configuration whose service `a` has *line*, and services for it to depend on."""
    command = "" if line.startswith("command:") else "    command: [x]\n"
    return (
        f"services:\n  a:\n{command}    {line}\n"
        "  db: {command: [db], healthcheck: {test: 'true'}}\n"
        "  once: {command: [once], type: oneshot}\n"
    )


def field(outcome: LoadOutcome, name: str) -> Any:
    assert outcome.plan is not None, outcome.problems
    return getattr(outcome.plan.services["a"], name)


EXEC_READY = Probe(exec=("x", "y"))
ACCEPTED: list[tuple[str, object]] = [
    ("command: [x, 5, true, 1.50, '']", ("x", "5", "true", "1.50", "")),
    ("command: gunicorn 'a b'", ("gunicorn", "a b")),
    ('command: {shell: "a | b"}', ("/bin/sh", "-c", "a | b")),
    ("type: oneshot", ServiceType.ONESHOT),
    ("autostart: false", False),
    ("stdin: null", Stdin.NULL),
    ("stdin: tty", Stdin.TTY),
    ("user: www-data", "www-data"),
    ("user: 1000", "1000"),
    ('user: "1000:0"', "1000:0"),
    ("groups: [adm, 4]", ("adm", "4")),
    ("groups: []", ()),
    ("working_dir: /srv", "/srv"),
    ('umask: "0027"', 0o27),
    ("umask: 022", 0o22),
    ("umask: 0o77", 0o77),
    ("ulimits: {nofile: 1024}", {"nofile": (1024, 1024)}),
    ("ulimits: {core: unlimited, nproc: -1}", {"core": (-1, -1), "nproc": (-1, -1)}),
    ("ulimits: {cpu: {soft: 1, hard: unlimited}}", {"cpu": (1, -1)}),
    ("nice: -20", -20),
    ("ionice: idle", (3, 0)),
    ("ionice: best-effort", (2, 4)),
    ("ionice: realtime:0", (1, 0)),
    ("ionice: {class: best-effort, level: 7}", (2, 7)),
    ("oom_score_adj: -1000", -1000),
    ("cpus_allowed: 0-2,5", (0, 1, 2, 5)),
    ("cpus_allowed: 3", (3,)),
    ("cpus_allowed: [5, 0-1, 1]", (0, 1, 5)),
    ("cap_add: [net_admin, CAP_CHOWN, ALL]", ("NET_ADMIN", "CHOWN", "ALL")),
    ("cap_drop: [ALL]", ("ALL",)),
    ("no_new_privileges: true", True),
    ("ready: {notify: true}", Ready(Probe(notify=True))),
    ("ready: {tcp: '127.0.0.1:80'}", Ready(Probe(tcp="127.0.0.1:80"))),
    ("ready: {tcp: '[::1]:80', interval: 1s}", Ready(Probe(tcp="[::1]:80"), 1.0)),
    ("ready: {tcp: 'localhost:80'}", Ready(Probe(tcp="localhost:80"))),
    ("ready: {http: 'http://[::1]/x?y'}", Ready(Probe(http="http://[::1]/x?y"))),
    ("ready: {exec: [x, y], try_timeout: 3s}", Ready(EXEC_READY, timeout=3.0)),
    ("ready: {exec: x y}", Ready(EXEC_READY)),
    ("healthcheck: {test: [CMD, x]}", HealthCheck(Probe(exec=("x",)))),
    (
        "healthcheck: {test: [CMD-SHELL, a | b]}",
        HealthCheck(Probe(exec=("/bin/sh", "-c", "a | b"))),
    ),
    ("healthcheck: {test: a | b}", HealthCheck(Probe(exec=("/bin/sh", "-c", "a | b")))),
    ("healthcheck: {test: [NONE]}", None),
    ("healthcheck: {disable: true}", None),
    (
        "healthcheck: {test: [CMD, x], interval: 1s, timeout: 2s, retries: 9, start_period: 3s, start_interval: 4s, on_unhealthy: restart}",
        HealthCheck(Probe(exec=("x",)), 1.0, 2.0, 9, 3.0, 4.0, OnUnhealthy.RESTART),
    ),
    ("depends_on: [db, once]", {"db": Dependency(), "once": Dependency()}),
    (
        "depends_on: {db: {condition: service_healthy, required: false, restart: true}, once: }",
        {"db": Dependency(Condition.HEALTHY, required=False, restart=True), "once": Dependency()},
    ),
    (
        "depends_on: {once: {condition: service_completed_successfully}}",
        {"once": Dependency(Condition.COMPLETED)},
    ),
    ("restart: no", RestartPolicy(RestartMode.NO)),
    ("restart: always", RestartPolicy(RestartMode.ALWAYS)),
    ("restart: on-failure:3", RestartPolicy(RestartMode.ON_FAILURE, 3)),
    ("restart: unless-stopped", RestartPolicy(RestartMode.UNLESS_STOPPED)),
    ("backoff: {initial: 0s, factor: 3, jitter: 0}", Backoff(initial=0.0, factor=3.0, jitter=0.0)),
    ("start_limit: {burst: 2}", StartLimit(burst=2)),
    ("start_limit: none", None),
    ("success_exit_codes: [0, 143]", (0, 143)),
    ("success_exit_codes: 3", (3,)),
    ("essential: true", True),
    ("on_failure: shutdown", OnFailure.SHUTDOWN),
    ("stop_signal: int", 2),
    ("stop_signal: SIGRTMIN+3", 37),
    ("stop_signal: 9", 9),
    ("stop_grace_period: 1m30s", 90.0),
    ("stop_command: nginx -s quit", ("nginx", "-s", "quit")),
    ("kill_mode: process", KillMode.PROCESS),
    ("reload_signal: SIGHUP", 1),
    ("reload_command: [x]", ("x",)),
    (
        "logs: {file: /l, max_size: none, max_age: 1d}",
        LogSettings(file="/l", max_size=None, max_age=86400.0),
    ),
    ("logs: {on_stall: drop}", LogSettings(on_stall=OnStall.DROP)),
    ("environment:", {}),
    ("env_file: ", {}),
]


@pytest.mark.parametrize(("line", "value"), ACCEPTED)
def test_accepted_values(examine_text: Any, line: str, value: object) -> None:
    name = line.partition(":")[0]
    name = "environment" if name == "env_file" else name

    assert field(examine_text(with_key(line)), name) == value


@pytest.mark.parametrize("line", [line for line, _ in ACCEPTED])
def test_the_json_schema_accepts_what_the_decoder_accepts(line: str) -> None:
    validate(with_key(line))


def test_ready_timeout_is_the_start_timeout(examine_text: Any) -> None:
    outcome = examine_text(with_key("ready: {notify: true, timeout: 7s}"))

    assert field(outcome, "start_timeout") == 7.0


def test_a_oneshot_is_not_restarted_unless_it_says_so(examine_text: Any) -> None:
    plan = examine_text("services: {a: {command: x, type: oneshot}}").plan

    assert plan.services["a"].restart == RestartPolicy(RestartMode.NO)


@pytest.mark.parametrize("restart", ["always", "unless-stopped"])
def test_a_oneshot_cannot_be_restarted_for_ever(examine_text: Any, restart: str) -> None:
    outcome = examine_text(f"services: {{a: {{command: x, type: oneshot, restart: {restart}}}}}")

    assert [problem.path for problem in outcome.problems] == ["services.a.restart"]


def test_contradicting_time_limits_are_refused(examine_text: Any) -> None:
    outcome = examine_text(with_key("ready: {notify: true, timeout: 7s}\n    start_timeout: 8s"))

    assert [problem.path for problem in outcome.problems] == ["services.a.start_timeout"]


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("start_timeout: 5s", "services.a.start_timeout"),
        ("logs: {compress: true}", "services.a.logs.compress"),
        ("stop_grace_period: 9s", "services.a.stop_grace_period"),
    ],
)
def test_what_has_no_effect_is_a_warning(examine_text: Any, line: str, path: str) -> None:
    outcome = examine_text(with_key(line))

    assert outcome.plan is not None
    assert [warning.path for warning in outcome.warnings] == [path]


def test_every_later_key_of_the_issue_is_refused_by_name(examine_text: Any) -> None:
    later = {
        *("sockets", "schedule", "hooks", "secrets", "replicas", "scale", "pid_file"),
        *("memory_limit", "pids_limit", "watchdog"),
    }

    problems = examine_text(with_key("\n    ".join(f"{key}: 1" for key in later))).problems

    assert {problem.path.removeprefix("services.a.") for problem in problems} == later
    assert all(problem.what.endswith("is not supported yet") for problem in problems)


def test_no_refused_key_is_also_a_known_one() -> None:
    assert not set(IN_SERVICE) & set(SERVICE.keys)
    assert not set(IN_LOGS) & set(LOGS.keys)
    assert not set(IN_TOP) & set(TOP.keys)


def test_extension_keys_are_ignored_everywhere(examine_text: Any) -> None:
    outcome = examine_text(
        "x-a: {deep: [1]}\nservices: {a: {command: x, x-b: 1, logs: {x-c: 1}, backoff: {x-d: 1}}}"
    )

    assert outcome.plan is not None


def test_merged_services_share_keys(examine_text: Any) -> None:
    plan = examine_text(
        "x-base: &base {user: app, environment: {A: 1}}\n"
        "services:\n  a: {<<: *base, command: x}\n  b: {<<: *base, command: y, user: other}"
    ).plan

    assert [(s.user, s.environment) for s in plan.services.values()] == [
        ("app", {"A": "1"}),
        ("other", {"A": "1"}),
    ]


def test_a_mistake_behind_an_anchor_is_reported_once(examine_text: Any) -> None:
    outcome = examine_text(
        "x-base: &base {nice: 99}\n"
        "services: {a: {<<: *base, command: x}, b: {<<: *base, command: y}}"
    )

    assert len(outcome.problems) == 1


def test_escape_sequences_of_a_file_do_not_reach_the_terminal(examine_text: Any) -> None:
    outcome = examine_text('services: {"\\e[31m\\n": {command: x}, a: {command: x, "\\u0085": 1}}')

    assert outcome.problems
    assert all(str(problem).isprintable() for problem in outcome.problems)


# What the declarations promise


def all_keys() -> Iterator[tuple[str, Key]]:
    yield from ((f"service.{name}", key) for name, key in SERVICE.keys.items())
    yield from (
        (name, key) for name, key in TOP.keys.items() if name not in ("services", "include")
    )


@pytest.mark.parametrize(("where", "key"), list(all_keys()), ids=lambda value: str(value)[:40])
def test_each_example_loads(examine_text: Any, tmp_path: Path, where: str, key: Key) -> None:
    (tmp_path / "db.env").write_text("")
    line = f"{key.name}: {key.example}"
    text = with_key(line) if where.startswith("service.") else f"{line}\n{with_key('')}"
    text = text.replace("[adm, 1000]", "[root, 1000]")

    assert examine_text(text).problems == ()
    validate(text)


def defaults() -> Iterator[tuple[str, object, object]]:
    """Yield (key, the words of the reference, what the model's default is written as)."""
    plain = ServiceSpec("a", ("x",))
    exceptions = {"command", "backoff", "logs", "restart", "environment", "depends_on"}
    for name, key in SERVICE.keys.items():
        value = getattr(plain, name, None)
        if name not in exceptions and value is not None and value not in ({}, ()):
            yield name, key.default, key.kind.encode(value)
    for fields, record in (
        (BACKOFF, Backoff()),
        (START_LIMIT, StartLimit()),
        (LOGS, LogSettings()),
    ):
        for name, key in fields.keys.items():
            if key.default:
                yield f"{fields.label} {name}", key.default, key.kind.encode(getattr(record, name))
    plan = Plan()
    yield "exit", TOP.keys["exit"].default, TOP.keys["exit"].kind.encode(plan.exit_policy)


@pytest.mark.parametrize(("name", "words", "written"), list(defaults()), ids=str)
def test_documented_defaults_are_the_models(name: str, words: object, written: object) -> None:
    if isinstance(written, bool):
        written = str(written).lower()
    if isinstance(written, float) and written.is_integer():
        written = int(written)

    assert words == str(written), name


def test_the_reference_page_is_fresh() -> None:
    made = generator("generate_configuration").page()

    assert (ROOT / "docs/configuration.md").read_text() == made, "stale: make docs"


def test_every_key_of_the_reference_file_is_shown() -> None:
    text = (ROOT / "configs/supervise.yaml").read_text()

    missing = [name for name in {**SERVICE.keys, **TOP.keys} if f"{name}:" not in text]

    assert [name for name in missing if name != "reload_command"] == []


# The JSON Schema and the configurations that come with the project


def validate(text: str) -> None:
    jsonschema.Draft202012Validator(json_schema()).validate(yaml.load(text, Core))


@pytest.fixture(scope="module", autouse=True)
def _core_schema() -> None:
    """YAML 1.2 for the oracle: PyYAML reads 1.1, where `no` is false."""
    Core.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in Core.yaml_implicit_resolvers.items()
    }
    Core.add_implicit_resolver(
        "tag:yaml.org,2002:bool", re.compile("^(true|false|True|False)$"), list("tfTF")
    )


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_the_configurations_of_the_project_are_good(path: Path) -> None:
    outcome = examine([str(path)], {}, str(ROOT))

    assert outcome.problems == ()
    assert outcome.plan is not None
    validate(path.read_text())


def test_there_are_examples() -> None:
    assert len(CONFIGS) >= 5


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert json.loads(json.dumps(json_schema())) == json_schema()


@pytest.mark.parametrize(
    "text",
    [
        "services: {a: {comand: [x]}}",
        "services: {a: {command: [x], nice: 99}}",
        "services: {a: {command: [x], stop_grace_period: 10}}",
        "services: {a: {command: [x], restart: never}}",
        "services: {a: {}}",
        "exit: sometimes",
        "services: [a]",
    ],
)
def test_the_json_schema_refuses_what_the_decoder_refuses(examine_text: Any, text: str) -> None:
    assert examine_text(text).problems
    with pytest.raises(jsonschema.ValidationError):
        validate(text)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_explained_configurations_mean_the_same(examine_text: Any, path: Path) -> None:
    outcome = examine([str(path)], {}, str(ROOT))
    assert outcome.plan is not None

    again = examine_text(explain(outcome.plan)).plan

    assert again is not None
    assert meaning(again) == meaning(outcome.plan)
