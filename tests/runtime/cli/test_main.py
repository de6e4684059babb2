"""The command line as a whole: verbs, help, usage errors, what a start imports."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from runtime.cli import main, verbs
from runtime.language.commandline import Verb
from supervise import __version__

ROOT = Path(__file__).resolve().parents[3]
# What docker has under these names too, with the same meaning.
_DOCKERS = (
    *("attach", "commit", "cp", "create", "diff", "exec", "export", "history", "images", "import"),
    *("info", "inspect", "kill", "load", "logs", "pause", "port", "ps", "rename", "restart", "rm"),
    *("rmi", "run", "save", "start", "stats", "stop", "tag", "top", "unpause", "update"),
    *("version", "wait", "container ls", "container prune", "image prune", "image inspect"),
    *("network connect", "network create", "network disconnect", "network ls", "network rm"),
    *("system df", "system prune", "volume create", "volume ls", "volume prune", "volume rm"),
)


@pytest.fixture
def runtime(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Runner:
    monkeypatch.setenv("RUNTIME_ROOT", str(tmp_path))
    return Runner(monkeypatch, capsys)


class Runner:
    """Runs the command in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *words: str, program: str = "runtime") -> tuple[int, str, str]:
        """Return (exit code, stdout, stderr)."""
        self._monkeypatch.setattr(sys, "argv", [program, *words])
        code = main.main()
        said = self._capsys.readouterr()
        return code, said.out, said.err


@pytest.mark.parametrize("name", _DOCKERS)
def test_docker_s_verbs_are_there(name: str) -> None:
    assert name in verbs.INDEX


@pytest.mark.parametrize("name", sorted(verbs.INDEX))
def test_every_verb_has_help_of_its_options(name: str, runtime: Runner) -> None:
    table, _ = verbs.find(name)

    code, out, err = runtime(*name.split(), "--help")

    assert (code, err) == (0, "")
    assert out.startswith(f"Usage:  {table.synopsis}\n\n{table.summary}\n")
    for option in table.options():
        assert f"--{option.name}" in out
        assert option.text, f"--{option.name} says nothing of itself"
    assert max(map(len, out.splitlines())) <= 110


def verb_modules() -> dict[str, ModuleType]:
    return {module: importlib.import_module(module) for module, _, _ in verbs.INDEX.values()}


@pytest.mark.parametrize("entry", sorted(set(verbs.INDEX.values())), ids=" ".join)
def test_every_entry_of_the_index_is_there(entry: verbs.Entry) -> None:
    module, function, table = entry
    places = vars(importlib.import_module(module))

    assert places[function].__module__ == module
    assert isinstance(places[table], Verb)


def test_every_table_of_a_verb_module_is_in_the_index() -> None:
    indexed = {(module, table) for module, _, table in verbs.INDEX.values()}

    tables = {
        (path, name)
        for path, module in verb_modules().items()
        for name, value in vars(module).items()
        if isinstance(value, Verb)
    }

    assert tables == indexed


@pytest.mark.parametrize("name", sorted(verbs.INDEX))
def test_no_two_options_of_a_verb_have_one_name(name: str) -> None:
    options = verbs.find(name)[0].options()
    names = [word for o in options for word in (o.name, o.also, o.short) if word]

    assert len(names) == len(set(names))


def test_the_overview_names_every_verb_and_group(runtime: Runner) -> None:
    code, out, _ = runtime("--help")

    words = {line.split()[0] for line in out.splitlines() if line.startswith("  ")}
    assert code == 0
    assert {name for name in verbs.INDEX if " " not in name} <= words
    assert set(verbs.GROUPS) <= words


@pytest.mark.parametrize("group", sorted(verbs.GROUPS))
def test_a_group_alone_shows_its_verbs(group: str, runtime: Runner) -> None:
    code, out, _ = runtime(group)

    assert code == 0
    assert out.startswith(f"Usage:  runtime {group} COMMAND\n")
    assert " list " not in out  # one name a verb: ls


def test_the_version_is_shown(runtime: Runner) -> None:
    assert runtime("-v") == (0, f"runtime version {__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (
            ("run", "--rmm", "x"),
            125,
            "runtime: unknown flag: --rmm\ndid you mean --rm?\nSee 'runtime run --help'.\n",
        ),
        (
            ("ps", "-n", "abc"),
            125,
            (
                'runtime: invalid argument "abc" for "-n, --last" flag: it is no whole number\n'
                "See 'runtime ps --help'.\n"
            ),
        ),
        (
            ("rm",),
            1,
            (
                "runtime: 'runtime rm' requires at least 1 argument\n"
                "Usage:  runtime rm [OPTIONS] CONTAINER [CONTAINER...]\nSee 'runtime rm --help'.\n"
            ),
        ),
        (
            ("imagse",),
            1,
            "runtime: 'imagse' is not a runtime command\ndid you mean 'runtime image'?\n",
        ),
        (
            ("image", "lss"),
            1,
            "runtime: 'image lss' is not a runtime command\ndid you mean 'runtime image ls'?\n",
        ),
        (("--colour",), 125, "runtime: unknown flag: --colour\nSee 'runtime --help'.\n"),
        (("--root",), 125, "runtime: flag needs an argument: --root\nSee 'runtime --help'.\n"),
    ],
)
def test_usage_errors_are_docker_s(
    words: tuple[str, ...], code: int, message: str, runtime: Runner
) -> None:
    assert runtime(*words) == (code, "", message)


def test_under_the_name_docker_it_still_calls_itself_runtime(runtime: Runner) -> None:
    _, _, err = runtime("rm", program="/usr/bin/docker")

    assert err.startswith("runtime: 'runtime rm'")


@pytest.mark.needs("root")
def test_the_root_directory_may_be_given(runtime: Runner, tmp_path: Path) -> None:
    code, out, _ = runtime("--root", str(tmp_path / "other"), "info", "-f", "{{.DockerRootDir}}")

    assert (code, out) == (0, f"{tmp_path}/other\n")


@pytest.mark.needs("root")
def test_debug_shows_where_a_failure_comes_from(runtime: Runner) -> None:
    quiet_code, _, quiet = runtime("tag", "nothing", "x")
    code, _, err = runtime("--debug", "tag", "nothing", "x")

    assert (quiet_code, code) == (1, 1)
    assert quiet.startswith("runtime: no such image: nothing\n")
    assert err.startswith("Traceback")
    assert err.endswith(quiet)


_TOO_HEAVY = (
    *("argparse", "asyncio", "dataclasses", "logging", "msgspec", "pathlib", "shutil"),
    *("ssl", "subprocess", "tempfile", "typing", "urllib", "datetime", "hashlib"),
)


@pytest.mark.parametrize("verb", ["run", "exec", "ps", "stop"])
def test_what_people_wait_for_imports_little(verb: str) -> None:
    program = (
        "import sys; from runtime.cli import verbs; verbs.find(sys.argv[1]);"
        "print(*sorted(set(sys.argv[2:]) & set(sys.modules)))"
    )

    said = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = [{str(ROOT)!r}]; {program}",
         verb, *_TOO_HEAVY],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert said.stdout.split() == []
