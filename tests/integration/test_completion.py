"""The completion scripts as each of the three shells finds them below docs/share/."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.scripts import ROOT
from tests.support.terminal import CTRL_D, Terminal

pytestmark = pytest.mark.integration

SHARE = ROOT / "docs/share"
_BASH = """\
source {script}
COMP_LINE={line}
COMP_POINT=${{#COMP_LINE}}
read -ra COMP_WORDS <<<"$COMP_LINE"
[[ $COMP_LINE == *' ' ]] && COMP_WORDS+=("")
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_{program}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
# What is typed → what is offered, in every shell.
CASES = [
    ("supervise exp", ["explain-config"]),
    ("supervise --re", ["--remap-exit", "--rewrite"]),
    ("supervise check sup", ["supervise.yaml"]),
    ("supervise -c sup", ["supervise.yaml"]),
    ("supervisectl expl", ["explain"]),
    ("supervisectl logs --format j", ["json"]),
    ("runtime sta", ["start", "stats"]),
    ("runtime network con", ["connect"]),
    ("runtime --root STORE volume rm d", ["data"]),
    ("runtime --root STORE run --rm -v d", ["data"]),
    ("runtime --root STORE rm w", ["web"]),
    ("runtime --root STORE run --pull n", ["never"]),
    ("runtime --root STORE run ho", ["host"]),
    ("runtime run --restart on", ["on-failure"]),
    ("runtime run --no-i", ["--no-init"]),
    ("runtime --root STORE network connect non", ["none"]),
    ("runtime load -i sup", ["supervise.yaml"]),
    ("runtime completion f", ["fish"]),
    ("runtime --root STORE push ho", ["host"]),
    ("runtime build --progress pl", ["plain"]),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, commands: str) -> str:
    """Return a store with a container and a volume."""
    place = str(tmp_path_factory.mktemp("store"))
    for words in (["volume", "create", "data"], ["create", "--name", "web", "host", "true"]):
        subprocess.run(
            ["runtime", "--root", place, *words],
            env={"PATH": commands, "HOME": "/root"},
            check=True,
            capture_output=True,
        )
    return place


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory with a file to be completed."""
    (tmp_path / "supervise.yaml").write_text("")
    return tmp_path


@pytest.mark.needs("root")
@pytest.mark.parametrize(("line", "offered"), CASES)
def test_bash(commands: str, store: str, place: Path, line: str, offered: list[str]) -> None:
    program = line.partition(" ")[0]
    script = SHARE / "bash-completion/completions" / program
    typed = shlex.quote(line.replace("STORE", store))

    done = subprocess.run(
        ["bash", "--norc", "-c", _BASH.format(script=script, line=typed, program=program)],
        env={"PATH": commands, "HOME": str(place)},
        cwd=place,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr == ""
    assert sorted(done.stdout.split()) == offered


@pytest.mark.needs("root", "fish")
@pytest.mark.parametrize(("line", "offered"), CASES)
def test_fish(commands: str, store: str, place: Path, line: str, offered: list[str]) -> None:
    typed = shlex.quote(line.replace("STORE", store))
    found = f"set -p fish_complete_path {SHARE}/fish/vendor_completions.d; complete -C {typed}"

    done = subprocess.run(
        ["fish", "--no-config", "-c", found],
        env={"PATH": commands, "HOME": str(place), "LANG": "C.UTF-8"},
        cwd=place,
        capture_output=True,
        text=True,
        check=True,
    )

    assert sorted(row.partition("\t")[0] for row in done.stdout.splitlines()) == offered


@pytest.fixture
def zsh(commands: str, place: Path) -> Iterator[Terminal]:
    """Return a person at an interactive zsh that looks below docs/share/."""
    terminal = Terminal(columns=160)
    environment = {"PATH": commands, "HOME": str(place), "TERM": "dumb", "LANG": "C.UTF-8"}
    terminal.client = subprocess.Popen(
        ["zsh", "-f", "-i"],
        stdin=terminal.device,
        stdout=terminal.device,
        stderr=terminal.device,
        env=environment,
        cwd=place,
        start_new_session=True,
    )
    terminal.release_device()
    folder = shlex.quote(str(SHARE / "zsh/site-functions"))
    terminal.type(f"fpath=({folder} $fpath); autoload -Uz compinit && compinit -u -D\r")
    # Ctrl-X writes the line as it stands into a file and empties it.
    terminal.type(
        "tell() { print -r -- $BUFFER >>said; BUFFER= }; zle -N tell; bindkey '^X' tell\r"
    )
    terminal.type("PS1='prom''pt> '\r")
    terminal.wait_for("prompt> ")
    yield terminal
    terminal.type(CTRL_D)
    terminal.client.wait(10)
    terminal.close()


@pytest.mark.needs("root", "zsh")
def test_zsh(zsh: Terminal, store: str, place: Path) -> None:
    lines = [line.replace("STORE", store) for line, offered in CASES if len(offered) == 1]
    wanted = [
        f"{line.replace('STORE', store).rpartition(' ')[0]} {offered[0]}"
        for line, offered in CASES
        if len(offered) == 1
    ]

    for count, line in enumerate(lines, start=1):
        zsh.type(f"{line}\t\x18")
        eventually(lambda n=count: len(said(place)) == n)  # type: ignore[misc]

    assert said(place) == wanted


def said(place: Path) -> list[str]:
    """Return the lines as they stood, each completed."""
    path = place / "said"
    return [line.strip() for line in path.read_text().splitlines()] if path.exists() else []
