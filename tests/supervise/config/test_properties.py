"""Laws: what is written reads back as the same, and no input at all makes a traceback."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from supervise.config.load import LoadOutcome, examine
from supervise.config.yaml.explain_config import explain
from supervise.config.yaml.json_schema import json_schema
from supervise.config.yaml.keys.limits import CAPABILITIES, ULIMITS
from supervise.config.yaml.nodes import Mapping, Scalar, Sequence, YamlNode, compose
from supervise.config.yaml.scalars import resolve
from supervise.model import service as model
from supervise.model.errors import Problem
from supervise.model.service import plan_from_plain, plan_to_plain
from tests.support.plans import meaning

VALIDATOR = jsonschema.Draft202012Validator(json_schema())
ROOT = Path(__file__).resolve().parents[3]
SEEDS = [
    path.read_bytes()
    for path in sorted(
        [*(ROOT / "configs").rglob("*.yaml"), *(ROOT / "tests/golden").rglob("*.yaml")]
    )
]

printable = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cn"]), max_size=12)
words = printable.filter(lambda text: text.strip() != "")
argv = st.builds(lambda first, rest: (first, *rest), words, st.lists(printable, max_size=3))
optional_argv = st.none() | argv.map(tuple)
names = st.text("abcdefgXYZ019", min_size=1, max_size=4).map(lambda text: f"s{text}.-_")
micros = st.integers(0, 10**10).map(lambda count: round(count / 1e6, 6))
positive = st.integers(1, 10**10).map(lambda count: round(count / 1e6, 6))
paths = printable.map(lambda text: f"/{text}")
tokens = st.text("abc019-_", min_size=1, max_size=6)
signals = st.integers(1, 64)
probes = st.one_of(
    st.just(model.Probe(notify=True)),
    st.integers(1, 65535).map(lambda port: model.Probe(tcp=f"[::1]:{port}")),
    st.integers(1, 65535).map(lambda port: model.Probe(http=f"http://127.0.0.1:{port}/x?y=$z")),
    argv.map(lambda found: model.Probe(exec=found)),
)
limits = st.tuples(st.integers(0, 99), st.integers(99, 2**40)) | st.sampled_from(
    [(-1, -1), (5, 5), (7, -1)]
)
logs = st.builds(
    model.LogSettings,
    format=st.sampled_from(model.LogFormat),
    file=paths,
    tee=st.booleans(),
    max_size=st.none() | st.integers(1, 2**40),
    max_age=st.none() | positive,
    keep=st.integers(0, 100),
    compress=st.booleans(),
    on_stall=st.sampled_from(model.OnStall),
) | st.builds(
    model.LogSettings,
    format=st.sampled_from(model.LogFormat),
    on_stall=st.sampled_from(model.OnStall),
)
restarts = st.sampled_from(
    [model.RestartPolicy(mode) for mode in model.RestartMode]
    + [model.RestartPolicy(model.RestartMode.ON_FAILURE, 7)]
)
specs = st.builds(
    model.ServiceSpec,
    name=st.just(""),
    command=argv,
    autostart=st.booleans(),
    user=st.none() | tokens | st.builds("{}:{}".format, tokens, tokens),
    groups=st.none() | st.lists(words, max_size=2).map(tuple),
    working_dir=st.none() | paths,
    umask=st.none() | st.integers(0, 0o777),
    environment=st.dictionaries(words.filter(lambda text: "=" not in text), printable, max_size=3),
    ulimits=st.dictionaries(st.sampled_from(ULIMITS), limits, max_size=3),
    nice=st.none() | st.integers(-20, 19),
    ionice=st.none() | st.just((3, 0)) | st.tuples(st.integers(1, 2), st.integers(0, 7)),
    oom_score_adj=st.none() | st.integers(-1000, 1000),
    cpus_allowed=st.none()
    | st.sets(st.integers(0, 8191), min_size=1, max_size=4).map(lambda cpus: tuple(sorted(cpus))),
    cap_add=st.lists(st.sampled_from(CAPABILITIES), max_size=2).map(tuple),
    cap_drop=st.lists(st.sampled_from(CAPABILITIES), max_size=2).map(tuple),
    no_new_privileges=st.booleans(),
    healthcheck=st.none()
    | st.builds(
        model.HealthCheck,
        probe=argv.map(lambda found: model.Probe(exec=found)),
        interval=positive,
        timeout=positive,
        retries=st.integers(1, 99),
        start_period=micros,
        start_interval=positive,
        on_unhealthy=st.sampled_from(model.OnUnhealthy),
    ),
    restart=restarts,
    backoff=st.builds(
        model.Backoff,
        initial=st.integers(0, 10**6).map(lambda count: round(count / 1e6, 6)),
        factor=st.floats(1, 1000),
        max=st.integers(10**6, 10**10).map(lambda count: round(count / 1e6, 6)),
        jitter=st.floats(0, 1),
        reset_after=micros,
    ),
    start_limit=st.none()
    | st.builds(model.StartLimit, burst=st.integers(1, 99), interval=positive),
    success_exit_codes=st.lists(st.integers(0, 255), max_size=3).map(tuple),
    essential=st.booleans(),
    on_failure=st.sampled_from(model.OnFailure),
    stop_signal=signals,
    stop_grace_period=micros,
    stop_command=optional_argv,
    kill_mode=st.sampled_from(model.KillMode),
    reload_signal=st.none() | signals,
    reload_command=optional_argv,
    logs=logs,
)


@st.composite
def plans(draw: st.DrawFn) -> model.Plan:
    """A plan that validation would let pass: edges go to earlier services only."""
    services: dict[str, model.ServiceSpec] = {}
    for name in draw(st.lists(names, unique=True, max_size=4)):
        spec = draw(specs).replace(name=name, depends_on=draw(edges(list(services.values()))))
        if draw(st.booleans()):
            ready = model.Ready(draw(probes), draw(positive), draw(positive))
            spec = spec.replace(ready=ready, start_timeout=draw(positive))
        elif spec.restart.mode in (model.RestartMode.NO, model.RestartMode.ON_FAILURE):
            spec = spec.replace(type=model.ServiceType.ONESHOT)
        services[name] = spec
    return model.Plan(
        services=services,
        grace=draw(micros),
        exit_policy=draw(st.sampled_from(model.ExitPolicy)),
        log_format=draw(st.sampled_from(model.LogFormat)),
        control=draw(
            st.builds(
                model.ControlSettings,
                socket=st.none() | words,
                operators=st.lists(st.integers(0, 2**32), max_size=2).map(tuple),
                readers=st.lists(st.integers(0, 2**32), max_size=2).map(tuple),
            )
        ),
    )


@st.composite
def edges(draw: st.DrawFn, earlier: list[model.ServiceSpec]) -> dict[str, model.Dependency]:
    found: dict[str, model.Dependency] = {}
    for other in earlier:
        conditions = [model.Condition.STARTED, model.Condition.READY]
        if other.healthcheck is not None:
            conditions.append(model.Condition.HEALTHY)
        if other.type is model.ServiceType.ONESHOT:
            conditions.append(model.Condition.COMPLETED)
        if draw(st.booleans()):
            found[other.name] = draw(
                st.builds(
                    model.Dependency,
                    condition=st.sampled_from(conditions),
                    required=st.booleans(),
                    restart=st.booleans(),
                )
            )
    return found


def examine_bytes(data: bytes, environ: dict[str, str] | None = None) -> LoadOutcome:
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "f.yaml").write_bytes(data)
        return examine(["f.yaml"], environ or {}, directory)


@given(plans())
def test_what_explain_prints_loads_as_the_same_plan(plan: model.Plan) -> None:
    """decode ∘ encode = identity, by way of YAML."""
    outcome = examine_bytes(explain(plan).encode())

    assert outcome.problems == ()
    assert outcome.plan is not None
    assert meaning(outcome.plan) == plan


def values(node: YamlNode) -> Any:
    """Return what an editor's YAML 1.2 parser makes of *node*."""
    if isinstance(node, Mapping):
        return {key: values(value) for key, (_, value) in node.pairs.items()}
    if isinstance(node, Sequence):
        return [values(item) for item in node.items]
    assert isinstance(node, Scalar)
    return resolve(node.text) if node.plain else node.text


@settings(max_examples=30)
@given(plans())
def test_the_json_schema_accepts_whatever_explain_prints(plan: model.Plan) -> None:
    """The schema that editors use refuses nothing that the decoder accepts."""
    problems: list[Problem] = []
    root = compose(explain(plan), "f.yaml", problems.append)
    assert root is not None

    VALIDATOR.validate(values(root))


@given(plans())
def test_a_plan_travels_as_json(plan: model.Plan) -> None:
    """from_plain ∘ to_plain = identity, by way of JSON text."""
    assert plan_from_plain(json.loads(json.dumps(plan_to_plain(plan)))) == plan


PIECES = st.sampled_from(
    [
        *(
            b"\t",
            b"\n",
            b"\x00",
            b"\xff",
            b"\xef\xbb\xbf",
            b"---\n",
            b"...\n",
            b"- ",
            b": ",
            b"&a ",
        ),
        *(
            b"*a",
            b"<<: *a",
            b"!!set ",
            b"!x ",
            b"${",
            b"}",
            b"$$",
            b"${A:?b}",
            b"[",
            b"]",
            b"{",
            b"}",
        ),
        *(b"'", b'"', b"|", b">", b"%YAML 1.1", b"#", b"null", b"~", b"0x", b"1e999", b"9" * 400),
        *(b"services:", b"x-", b"include: .", b"env_file: .", b"\xe2\x80\xa8", b"\xc2\x85", b"? "),
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A real file with pieces put in, taken out, or moved."""
    data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 20)))
        piece = draw(st.one_of(PIECES, st.binary(max_size=4), st.just(data[start:end] * 2)))
        data = data[:start] + piece + data[end:]
    return data


@given(mutated(), st.dictionaries(st.sampled_from(["A", "HOME"]), printable))
def test_no_bytes_make_a_traceback(data: bytes, environ: dict[str, str]) -> None:
    """Whatever the bytes, there is a plan or there are problems, each fit for one line."""
    outcome = examine_bytes(data, environ)

    assert (outcome.plan is None) == bool(outcome.problems)
    for problem in (*outcome.problems, *outcome.warnings):
        assert str(problem).isprintable()
        assert problem.what


@given(mutated())
def test_whatever_is_accepted_can_be_explained(data: bytes) -> None:
    """What `explain-config` prints for an accepted file is accepted, and means the same."""
    plan = examine_bytes(data).plan
    if plan is None:
        return

    again = examine_bytes(explain(plan).encode()).plan

    assert again is not None
    assert meaning(again) == meaning(plan)
