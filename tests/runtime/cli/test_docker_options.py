"""Every option of `docker run` is one of ours, or refused with a reason that the docs give too."""

from __future__ import annotations

import re
import subprocess

import pytest

from runtime.cli import verbs
from runtime.cli.containers import run, run_options
from runtime.language.commandline import UsageError, parse
from tests.support.helpdocs import PAGES

KNOWN = {option.name for option in run.RUN.options()}
_ROW = re.compile(r"^\| `--([a-z0-9-]+)` \| (.+) \|$", re.MULTILINE)


@pytest.mark.needs("docker")
@pytest.mark.parametrize("verb", ["run", "create"])
def test_no_option_of_docker_is_unheard_of(verb: str) -> None:
    table, _ = verbs.find(verb)
    known = {option.name for option in table.options()} | set(table.refused)

    shown = subprocess.run(["docker", verb, "--help"], capture_output=True, text=True, check=True)
    theirs = set(re.findall(r"^ +(?:-\w, )?--([a-z0-9-]+)", shown.stdout, re.MULTILINE))

    assert len(theirs) > 80
    assert theirs - known - {"help"} == set()


def test_no_option_is_both_taken_and_refused() -> None:
    assert KNOWN & set(run.RUN.refused) == set()


def test_the_docs_give_the_same_reasons() -> None:
    text = (PAGES / "run.md").read_text()

    assert dict(_ROW.findall(text)) == run_options.REFUSED


@pytest.mark.parametrize("words", [("--gpus", "all"), ("--gpus=all",)])
def test_a_refused_option_says_why(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="--gpus is not supported: there are no drivers"):
        parse(run.RUN, [*words, "image"])
