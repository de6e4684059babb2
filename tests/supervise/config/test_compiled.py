"""A compiled plan is used while everything it was made from is what it was."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from supervise.config.compiled import load_compiled, path_beside, write_compiled
from supervise.config.load import examine
from supervise.model.service import PLAN_VERSION, Plan

ENVIRON = {"PORT": "80"}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a directory with a configuration of every kind of source, compiled."""
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "supervise.yaml").write_text(
        "include: [conf.d/*.yaml]\n"
        "services: {a: {command: 'serve ${PORT} ${HOST:-localhost}', env_file: [a.env, "
        "{path: b.env, required: false}]}}"
    )
    (tmp_path / "a.env").write_text("A=1")
    (tmp_path / "conf.d/b.yaml").write_text("services: {b: {command: x}}")
    compile_site(tmp_path)
    return tmp_path


def compile_site(site: Path, *paths: str) -> Plan:
    outcome = examine(list(paths) or ["supervise.yaml"], ENVIRON, str(site))
    assert outcome.plan is not None, outcome.problems
    write_compiled(outcome.plan, outcome.roots)
    return outcome.plan


def read(site: Path, *paths: str, environ: dict[str, str] | None = None) -> tuple[Plan | None, str]:
    environment = ENVIRON if environ is None else environ
    return load_compiled(list(paths) or ["supervise.yaml"], environment, str(site))


def test_an_unchanged_configuration_is_read_from_the_compiled_plan(site: Path) -> None:
    plan, reason = read(site)

    assert reason == ""
    assert plan == examine(["supervise.yaml"], ENVIRON, str(site)).plan


def test_the_search_path_leads_to_it_too(site: Path) -> None:
    plan, _ = load_compiled(None, ENVIRON, str(site))

    assert plan is not None


def test_without_a_compiled_plan_there_is_nothing_to_say(tmp_path: Path) -> None:
    (tmp_path / "supervise.yaml").write_text("services: {}")

    assert read(tmp_path) == (None, "")
    assert load_compiled(None, {}, str(tmp_path / "conf.d")) == (None, "")


def replace_text(path: Path) -> None:
    path.write_text(path.read_text() + "\n# changed\n")


CHANGES: dict[str, Callable[[Path], object]] = {
    "supervise.yaml": lambda site: replace_text(site / "supervise.yaml"),
    "conf.d/b.yaml": lambda site: replace_text(site / "conf.d/b.yaml"),
    "a.env": lambda site: (site / "a.env").unlink(),
    "b.env": lambda site: (site / "b.env").write_text("B=2"),
    "conf.d/*.yaml": lambda site: (site / "conf.d/c.yaml").write_text("services: {}"),
}


@pytest.mark.parametrize("changed", CHANGES)
def test_any_change_of_a_source_says_which(site: Path, changed: str) -> None:
    CHANGES[changed](site)

    plan, reason = read(site)

    assert plan is None
    assert reason == (
        f"the compiled plan '{site}/supervise.yaml.plan' is not used: '{site}/{changed}' has changed"
    )


@pytest.mark.parametrize(
    ("environ", "name"),
    [({"PORT": "81"}, "PORT"), ({}, "PORT"), ({**ENVIRON, "HOST": "h"}, "HOST")],
)
def test_another_value_of_a_variable_counts(site: Path, environ: dict[str, str], name: str) -> None:
    plan, reason = read(site, environ=environ)

    assert plan is None
    assert reason.endswith(f"the variable '{name}' has another value")


def test_variables_that_were_not_consulted_do_not_count(site: Path) -> None:
    plan, _ = read(site, environ={**ENVIRON, "OTHER": "x"})

    assert plan is not None


def test_other_files_asked_for_are_another_configuration(site: Path) -> None:
    (site / "more.yaml").write_text("services: {c: {command: x}}")

    plan, reason = read(site, "supervise.yaml", "more.yaml")

    assert plan is None
    assert reason.endswith(f"it was made from {site}/supervise.yaml")


def test_a_directory_has_its_plan_beside_it_and_notices_new_files(site: Path) -> None:
    compile_site(site, "conf.d/")

    assert read(site, "conf.d")[0] is not None
    (site / "conf.d/new.yaml").write_text("services: {n: {command: x}}")
    assert read(site, "conf.d") == (
        None,
        f"the compiled plan '{site}/conf.d.plan' is not used: '{site}/conf.d' has changed",
    )


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda _data: b"", "it is no compiled plan"),
        (lambda data: data[:10], "it is no compiled plan"),
        (lambda data: data[: len(data) // 2], "it is damaged"),
        (lambda data: data.replace(b'"a"', b'"b"', 1), "it is damaged"),
        (
            lambda data: data.replace(b"plan %d " % PLAN_VERSION, b"plan 99 ", 1),
            "another version of supervise",
        ),
        (lambda _data: os.urandom(500), "it is no compiled plan"),
    ],
)
def test_a_damaged_plan_is_not_used(
    site: Path, damage: Callable[[bytes], bytes], reason: str
) -> None:
    path = Path(path_beside(str(site / "supervise.yaml")))
    path.write_bytes(damage(path.read_bytes()))

    plan, why_not = read(site)

    assert plan is None
    assert reason in why_not


def test_an_unreadable_plan_is_not_used(site: Path) -> None:
    path = Path(path_beside(str(site / "supervise.yaml")))
    path.unlink()
    path.mkdir()

    assert read(site) == (None, f"cannot read the compiled plan '{path}': Is a directory")


def test_the_plan_is_no_more_readable_than_its_sources(site: Path) -> None:
    (site / "a.env").chmod(0o600)

    compile_site(site)

    assert (site / "supervise.yaml.plan").stat().st_mode & 0o777 == 0o600


def test_writing_leaves_nothing_behind_when_it_cannot(site: Path) -> None:
    path = site / "supervise.yaml.plan"
    path.unlink()
    path.mkdir()
    before = sorted(os.listdir(site))

    with pytest.raises(OSError):
        compile_site(site)

    assert sorted(os.listdir(site)) == before


def test_reading_it_needs_no_yaml_and_little_else(site: Path) -> None:
    code = (
        "import sys\nfrom supervise.config.compiled import load_compiled\n"
        f"plan, _ = load_compiled(['supervise.yaml'], {ENVIRON!r}, {str(site)!r})\n"
        "print(list(plan.services), *sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.startswith("['a', 'b']")
    heavy = {
        "yaml",
        "typing",
        "dataclasses",
        "hashlib",
        "argparse",
        "supervise.config.yaml.keys.schema",
    }
    assert heavy & set(done.stdout.split()) == set()
