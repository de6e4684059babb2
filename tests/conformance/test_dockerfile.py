"""What BuildKit's parser makes of its own cases and of real Dockerfiles, and what ours makes."""

from __future__ import annotations

import gzip
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from runtime.dockerfile import commands, expand, heredocs, lexer, parser
from runtime.dockerfile.dockerfile_error import DockerfileError
from tests.support import sexpr

LEAST_REAL = 335  # of 340
ENVIRONMENT = {"PWD": "/home", "SHELL": "bash", "KOREAN": "한국어", "NULL": ""}


@pytest.fixture(scope="session")
def cases(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parser-cases")
    with tarfile.open(data / "dockerfile/parser-cases.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_the_parsers_cases_give_the_same_trees(cases: Path) -> None:
    folders = sorted((cases / "parser-testfiles").iterdir())

    different = [
        folder.name
        for folder in folders
        if sexpr.render(lexer.read((folder / "Dockerfile").read_text()))
        != (folder / "result").read_text().strip()
    ]

    assert len(folders) == 33
    assert different == []


def test_the_parsers_mistakes_are_refused(cases: Path) -> None:
    folders = sorted((cases / "testfiles-negative").iterdir())

    assert len(folders) == 4
    for folder in folders:
        with pytest.raises(DockerfileError):
            lexer.read((folder / "Dockerfile").read_text())


def test_words_are_expanded_as_the_cases_say(cases: Path) -> None:
    different = []
    for line in (cases / "envVarTest").read_text().splitlines():
        if not line.strip() or line.startswith(("#", "W|")):
            continue
        _platform, text, expected = (part.strip() for part in line.split("|"))
        found = _or_error(text, ENVIRONMENT)
        if found != expected:
            different.append((text, found, expected))

    assert different == []


def test_words_are_split_as_the_cases_say(cases: Path) -> None:
    environment: dict[str, str] = {}
    different = []
    for line in (cases / "wordsTest").read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("ENV "):
            name, _, value = line.removeprefix("ENV ").partition("=")
            environment[name.strip()] = value
            continue
        text, _, expected = line.partition(" | ")
        found = _or_error(text, environment, words=True)
        if found != expected.split(","):
            different.append((text, found, expected))

    assert different == []


def _or_error(text: str, env: dict[str, str], *, words: bool = False) -> str | list[str]:
    try:
        return expand.words(text, env) if words else expand.word(text, env)
    except DockerfileError:
        return ["error"] if words else "error"


def test_real_dockerfiles_are_read_as_buildkit_reads_them(data: Path) -> None:
    with gzip.open(data / "dockerfile/parsed-by-buildkit.jsonl.gz", "rt") as lines:
        real = [json.loads(line) for line in lines]

    different = [case["file"] for case in real if not _agrees(case)]

    assert len(real) - len(different) >= LEAST_REAL, different


def _agrees(case: dict[str, Any]) -> bool:
    try:
        tree = sexpr.render(lexer.read(case["text"]))
        dockerfile = parser.parse(case["text"])
    except DockerfileError:
        return not case["ok"]
    if not case["ok"] or tree != case["sexpr"].strip():
        return False
    return [_stage(stage) for stage in dockerfile.stages] == [
        (
            given["base"],
            given["name"],
            given["platform"],
            [_given(command) for command in given["commands"] or []],
        )
        for given in case["stages"]
    ]


def _stage(stage: commands.Stage) -> tuple[object, ...]:
    start = stage.start
    return start.image, start.name, start.platform, [_ours(command) for command in stage.commands]


def _ours(command: commands.Command) -> object:
    """Return what both sides can be compared by: the kind and its fields."""
    kind = type(command).__name__.removesuffix("Instruction").upper()
    match command:
        case commands.Run(line=line) | commands.Cmd(line=line) | commands.Entrypoint(line=line):
            bodies = [(doc.name, doc.content) for doc in line.heredocs]
            return kind, list(line.words), line.shell, bodies
        case commands.Copy():
            bodies = [(doc.name, doc.content) for doc in command.heredocs]
            kind = "ADD" if command.is_add else kind
            flags = (command.from_, command.chown, command.chmod, command.link, command.parents)
            return kind, list(command.sources), command.destination, bodies, *flags
        case commands.Env(pairs=pairs) | commands.Label(pairs=pairs) | commands.Arg(pairs=pairs):
            return kind, [(pair.key, pair.value) for pair in pairs]
        case commands.HealthcheckInstruction():
            times = (command.interval, command.timeout, command.start_period, command.retries)
            return kind, list(command.test), times
        case commands.Onbuild(expression=text) | commands.Maintainer(name=text):
            return kind, text
        case commands.User(user=text) | commands.Workdir(path=text):
            return kind, text
        case commands.StopSignal(signal=text):
            return kind, text
        case commands.Expose(ports=words) | commands.VolumeInstruction(paths=words):
            return kind, list(words)
        case commands.Shell(words=words):
            return kind, list(words)
    raise AssertionError(command)


def _given(command: dict[str, Any]) -> object:
    kind, fields = command["name"].upper(), command["fields"]
    if kind in ("RUN", "CMD", "ENTRYPOINT"):
        bodies = [
            (doc["Name"], heredocs.without_tabs(doc["Data"]) if doc["Chomp"] else doc["Data"])
            for doc in fields["Files"] or []
        ]
        return kind, fields["CmdLine"] or [], fields["PrependShell"], bodies
    if kind in ("ADD", "COPY"):
        bodies = [(doc["Path"], doc["Data"]) for doc in fields["SourceContents"] or []]
        flags = (fields.get("From", ""), fields["Chown"], fields["Chmod"], fields["Link"])
        sources = fields["SourcePaths"] or []
        return kind, sources, fields["DestPath"], bodies, *flags, fields.get("Parents", False)
    if kind in ("ENV", "LABEL", "ARG"):
        pairs = fields[{"ENV": "Env", "LABEL": "Labels", "ARG": "Args"}[kind]]
        return kind, [(pair["Key"], pair["Value"]) for pair in pairs]
    if kind == "HEALTHCHECK":
        health = fields["Health"]
        names = ("Interval", "Timeout", "StartPeriod", "Retries")
        return kind, health["Test"], tuple(health.get(name, 0) for name in names)
    (value,) = fields.values()
    return kind, value
