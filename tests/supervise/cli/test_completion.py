"""Completion: the bash script is run, the others are checked for completeness."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervise.cli import completion, verbs
from tests.support.control import ControlServer, serving
from tests.support.scripts import search_path, write_scripts

SHELLS = {"bash": completion.bash, "zsh": completion.zsh, "fish": completion.fish}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlServer]:
    with serving(str(tmp_path_factory.mktemp("server") / "s")) as server:
        yield server


@pytest.fixture(scope="module")
def complete(
    server: ControlServer, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], list[str]]:
    """Return what bash offers at the end of a line."""
    path = search_path(write_scripts(tmp_path_factory.mktemp("bin")))
    script = tmp_path_factory.mktemp("script") / "completion.bash"
    script.write_text("\n".join(completion.bash()))

    def offered(line: str) -> list[str]:
        words = line.split(" ")
        program = (
            f"source {shlex.quote(str(script))}; COMP_WORDS=({' '.join(map(shlex.quote, words))});"
            f"COMP_CWORD={len(words) - 1}; _supervisectl; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        )
        environment = {"PATH": path, "SUPERVISE_SOCKET": server.place}
        shell = ["bash", "--norc", "-c", program]
        done = subprocess.run(shell, env=environment, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout.split()

    return offered


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("supervisectl st", ["status", "start", "stop"]),
        ("supervisectl status we", ["web"]),
        ("supervisectl --socket /none status we", []),
        ("supervisectl stop -t 5 stu", ["stubborn"]),
        ("supervisectl signal H", ["HUP"]),
        ("supervisectl signal HUP d", ["db"]),
        ("supervisectl wait web --for ", list(next(
            o.choices for o in verbs.BY_NAME["wait"].options if o.name == "for"))),
        ("supervisectl wait web --t", ["--timeout"]),
        ("supervisectl logs --format j", ["json"]),
        ("supervisectl completion f", ["fish"]),
    ],
)  # fmt: skip
def test_bash_completes(
    complete: Callable[[str], list[str]], line: str, offered: list[str]
) -> None:
    assert complete(line) == offered


@pytest.mark.parametrize("shell", SHELLS)
def test_every_verb_option_and_choice_is_in_every_script(shell: str) -> None:
    script = "\n".join(SHELLS[shell]())

    words = [verb.name for verb in verbs.VERBS]
    words += [option.name for verb in verbs.VERBS for option in verb.options]
    words += [word for verb in verbs.VERBS for word in verb.completes]
    words += [c for verb in verbs.VERBS for option in verb.options for c in option.choices]
    assert [word for word in words if word not in script] == []


def test_names_are_offered_silently_or_not_at_all(server: ControlServer, tmp_path: Path) -> None:
    names = server.ctl("completion", "services").stdout.split()
    nobody = server.ctl("--socket", f"{tmp_path}/none", "completion", "services")

    assert names[:2] == ["db", "web"]
    assert (nobody.returncode, nobody.stdout, nobody.stderr) == (5, "", "")


def test_the_script_is_printed() -> None:
    command = [sys.executable, "-m", "supervise.cli.supervisectl", "completion", "zsh"]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.startswith("#compdef supervisectl\n")
