"""Configurations: no value in any place makes a traceback, and none that passes makes one later."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from supervise.config.compiled import load_compiled, write_compiled
from supervise.config.load import LoadOutcome, examine
from supervise.config.yaml import scalars
from supervise.config.yaml.explain_config import explain
from supervise.model import quantities
from supervise.model import service as model
from supervise.model.difference import compare
from supervise.model.exitstatus import BAD_CONFIGURATION
from supervise.model.signals import signal_number
from supervise.model.target import parse_http, parse_target
from tests.support import attack
from tests.support.bench import Bench
from tests.support.scripts import ROOT

CORPUS = sorted((ROOT / "tests/golden/attack/configurations").iterdir())
SEEDS = [
    path.read_text()
    for path in sorted(
        [*(ROOT / "configs").rglob("*.yaml"), *(ROOT / "tests/golden/config").rglob("*.yaml")]
    )
]
LONG = "9" * 5001
HOSTILE = [
    *("", "-", "0", "-1", "1e999", "-1e999", ".inf", ".nan", "1e", "0x", "0o", "0b1", "1_000"),
    *(LONG, f"-{LONG}", f"{LONG}s", f"{LONG}k", f"1.{LONG}", f"0.{LONG}d", f"1e{LONG}", f"0x{LONG}"),
    *(f"127.0.0.1:{LONG}", f"1.1.1.{LONG}:80", f"http://127.0.0.1:{LONG}/", f"[::{LONG}]:1"),
    *(f"on-failure:{LONG}", f"SIGRTMIN+{LONG}", f"0-{LONG}", f"{LONG}:{LONG}", f"${{{LONG}}}"),
    *("\u0661", "\uff11\uff12s", "\u0663m", "127.0.0.1:\u0668\u0660", "SIGRTMIN+\u0661", "\u00b2"),
    *("a\0b", "\0", "/a\0b", "127.0.0.1\0:80", "\ud800", "/\udfff", "x\ufeffy", "\x1b]0;x\x07"),
    *("${", "${}", "${A", "${A:?}", "${A:-${A:-${A", "$", "$$", "${A\0}", "${A:-\ud800}"),
    *("x" * 70_000, "/" * 5000, "'", '"', "`", "*", "&a", "!x y", "%", "@", "|", ">", "\\"),
    *("9223372036854775808", "18446744073709551616", "1000000000000000000000d", "0.0000001us"),
]  # fmt: skip
texts = st.sampled_from(HOSTILE) | st.text(max_size=12) | st.text("0123456789.:-+eEsmhdkxo/${}", max_size=20)  # fmt: skip


def places(text: str) -> list[tuple[int, int]]:
    """Return where the scalars of the YAML *text* begin and end."""
    try:
        events = list(yaml.parse(text))
    except yaml.YAMLError:
        return []
    return [
        (event.start_mark.index, event.end_mark.index)
        for event in events
        if isinstance(event, yaml.ScalarEvent) and event.start_mark and event.end_mark
    ]


PLACES = [(text, place) for text in SEEDS for place in places(text)]


def examined(text: str | bytes, environ: dict[str, str] | None = None) -> LoadOutcome:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "supervise.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        return examine([str(path)], environ or {}, directory)


def check(outcome: LoadOutcome) -> None:
    """Problems have a place and can be printed; a plan without problems can be carried out."""
    for problem in (*outcome.problems, *outcome.warnings):
        assert problem.line > 0, problem
        assert problem.column > 0, problem
        assert "\n" not in str(problem)
        str(problem).encode()
        assert len(str(problem)) < 2000
    if outcome.plan is None:
        assert outcome.problems
        return
    plain = json.loads(json.dumps(model.plan_to_plain(outcome.plan)))
    assert model.plan_from_plain(plain) == outcome.plan
    compare(outcome.plan, model.Plan())
    explain(outcome.plan).encode()
    for found in values(plain):
        if isinstance(found, str):
            assert "\0" not in found
            os.fsencode(found)  # what execve(2), open(2) and bind(2) are given
        elif isinstance(found, (int, float)):
            assert -(2**63) <= found < 2**63, "a timer, a limit or an id beyond what C can hold"
    for service in outcome.plan.services.values():
        for probe in (service.ready, service.healthcheck):
            if probe is not None and probe.probe.tcp:
                assert 0 < parse_target(probe.probe.tcp).port < 65536
            if probe is not None and probe.probe.http:
                assert 0 < parse_http(probe.probe.http).address.port < 65536


def values(plain: Any) -> list[Any]:
    """Return every scalar in *plain*, keys too."""
    if isinstance(plain, dict):
        return [found for pair in plain.items() for each in pair for found in values(each)]
    if isinstance(plain, list):
        return [found for each in plain for found in values(each)]
    return [plain]


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_what_has_fallen_once_is_a_problem_with_a_place(path: Path) -> None:
    outcome = examined(path.read_bytes())

    assert outcome.problems
    check(outcome)


@pytest.mark.parametrize("verb", ["check", "compile", "explain-config"])
def test_commands_refuse_the_corpus_in_sentences(verb: str) -> None:
    for path in CORPUS:
        done = subprocess.run(
            [sys.executable, "-m", "supervise", verb, str(path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == BAD_CONFIGURATION, said
        assert said.startswith(f"{path}:"), said
        assert "Traceback" not in said


def test_pid_1_does_not_boot_on_the_corpus_and_says_why(bench: Bench) -> None:
    for path in CORPUS[:3]:
        pid1 = bench.start_config(path.read_text())
        assert pid1.wait() == BAD_CONFIGURATION
        assert "supervise.yaml:1:" in pid1.console
        assert "Traceback" not in pid1.console


def test_pid_1_keeps_what_it_has_when_the_corpus_is_applied(bench: Bench) -> None:
    pid1 = bench.supervise("services: {sleeper: {command: [sleep, '3600']}}")
    before = pid1.wait_state("sleeper", "running")["pid"]

    for path in CORPUS:
        bench.write("supervise.yaml", path.read_text())
        applied = pid1.ctl("apply")
        assert applied.returncode != 0
        assert "supervise.yaml:1:" in applied.stdout + applied.stderr
        assert "Traceback" not in applied.stdout + applied.stderr
    bench.write("supervise.yaml", CORPUS[0].read_text())
    pid1.signal(signal.SIGHUP)
    pid1.wait_for("supervise.yaml:1:")

    assert pid1.status()["sleeper"]["pid"] == before
    assert "Traceback" not in pid1.console
    assert pid1.terminate() == 0


@attack.fuzz(250)
@given(data=st.data(), hostile=texts, quoted=st.booleans())
def test_no_text_in_the_place_of_a_value_is_a_traceback(
    data: st.DataObject, hostile: str, quoted: bool
) -> None:
    text, (start, end) = PLACES[data.draw(st.integers(0, len(PLACES) - 1))]
    shown = json.dumps(hostile, ensure_ascii=data.draw(st.booleans())) if quoted else hostile

    check(examined(f"{text[:start]}{shown}{text[end:]}"))


@attack.fuzz(100)
@given(data=st.data(), hostile=texts.filter(lambda text: "\0" not in text))
def test_no_text_in_the_place_of_a_variable_is_a_traceback(
    data: st.DataObject, hostile: str
) -> None:
    text, (start, end) = PLACES[data.draw(st.integers(0, len(PLACES) - 1))]
    value = hostile.encode("utf-8", "surrogateescape" if hostile.isascii() else "replace")

    check(examined(f'{text[:start]}"${{A}}"{text[end:]}', {"A": os.fsdecode(value)}))


@attack.fuzz(100)
@given(seed=st.integers(0, len(SEEDS) - 1), data=st.data())
def test_no_bytes_in_between_are_a_traceback(seed: int, data: st.DataObject) -> None:
    raw = SEEDS[seed].encode()
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 20)))

    check(examined(raw[:start] + data.draw(st.binary(max_size=8)) + raw[end:]))


ENV_FILE = "A=#'$ {}x\n\0\u0661\\" + '"'


@attack.fuzz(100)
@given(data=st.binary(max_size=60) | st.text(ENV_FILE, max_size=40).map(str.encode))
def test_no_env_file_is_a_traceback(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "e.env").write_bytes(data)
        path = Path(directory) / "supervise.yaml"
        path.write_text("services: {a: {command: x, env_file: e.env}}")

        check(examine([str(path)], {}, directory))


BOMBS = {
    "nested sequences": "services: " + "[" * 100_000,
    "nested mappings": "services: " + "{a: " * 50_000,
    "nested blocks": "\n".join(" " * n + "a:" for n in range(3000)),
    "aliases": "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 10}]\n" for n in range(1, 30)),
    "merge keys": "a0: &a0 {x: 1}\n" + "".join(
        f"a{n}: &a{n} {{<<: [{f'*a{n - 1}, ' * 9}*a{n - 1}]}}\n" for n in range(1, 30)
    ),
    "an alias of itself": "services: &a {<<: *a, b: *a}",
    "keys": "services: {" + "".join(f"s{n}: {{}}, " for n in range(3000)) + "}",
    "a service of aliases": "x: &x {command: [a]}\nservices:\n" + "".join(f"  s{n}: *x\n" for n in range(50)),
    "tags": "services: " + "!!set " * 1000 + "{}",
    "a variable in a variable": "services: {a: {command: '" + "${A:-" * 20_000 + "'}}",
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_are_problems(bomb: str) -> None:
    check(examined(BOMBS[bomb]))


def outcome_of(parse: Callable[[str], Any], text: str) -> tuple[Any, str]:
    """Return what *parse* makes of *text*, or None and why it is refused."""
    try:
        return parse(text), ""
    except ValueError as error:
        return None, str(error)


@attack.fuzz(300)
@given(text=texts)
def test_parsers_of_words_refuse_with_a_sentence(text: str) -> None:
    for parse in (quantities.parse_duration, quantities.parse_size, parse_target, parse_http):
        found, said = outcome_of(parse, text)
        assert found != float("inf"), parse
        assert "literal" not in said, parse  # int's and float's own words
        assert "digits" not in said, parse
    number = signal_number(text)
    assert number is None or 1 <= number <= 64
    scalars.resolve(text)


@attack.fuzz(80)
@given(data=st.data())
def test_no_damage_to_a_compiled_plan_is_a_traceback(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "supervise.yaml"
        source.write_text("services: {a: {command: x, logs: {max_size: 1m, file: /x}}}")
        outcome = examine([str(source)], {}, directory)
        assert outcome.plan is not None
        path = Path(write_compiled(outcome.plan, outcome.roots))
        raw = path.read_bytes()
        start = data.draw(st.integers(0, len(raw)))
        end = data.draw(st.integers(start, min(len(raw), start + 30)))
        path.write_bytes(raw[:start] + data.draw(st.binary(max_size=8)) + raw[end:])

        plan, why_not = load_compiled([str(source)], {}, directory)

    assert plan is None or not why_not
    assert "Error" not in (why_not or "")
