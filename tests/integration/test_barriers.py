"""Each command line program meets a bug: one sentence, an exit code, the traceback when asked."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration

# (a program with a bug in it, its command line, what it says, its exit code, its variable)
_RUNTIME = (
    "from runtime.cli import main, verbs; verbs.INDEX['version'] = ('nothing', 'of', 'THIS')",
    "sys.argv = ['runtime', 'version']; main.program()",
)
_SUPERVISECTL = (
    "from supervise.cli import supervisectl; sys.modules['supervise.cli.status'] = None",
    "sys.exit(supervisectl.main(['status']))",
)
_SUPERVISE = (
    "from supervise.config import config_verbs; config_verbs.json = None",
    "sys.exit(config_verbs.main(['schema']))",
)


@pytest.mark.parametrize(
    ("program", "said", "code", "variable"),
    [
        (_RUNTIME, "runtime: this is a bug: ModuleNotFoundError: ", 125, "RUNTIME_DEBUG"),
        (_SUPERVISECTL, "supervisectl: this is a bug: ModuleNotFoundErr", 1, "SUPERVISE_DEBUG"),
        (_SUPERVISE, "supervise: this is a bug: AttributeError: ", 70, "SUPERVISE_DEBUG"),
    ],
    ids=["runtime", "supervisectl", "supervise"],
)
def test_a_bug_is_one_sentence_and_a_traceback_for_who_asks(
    program: tuple[str, str], said: str, code: int, variable: str
) -> None:
    command = [sys.executable, "-c", "; ".join(("import sys", *program))]
    plain = {key: value for key, value in os.environ.items() if key != variable}

    quiet = subprocess.run(command, env=plain, capture_output=True, text=True, check=False)
    asked = subprocess.run(
        command, env=plain | {variable: "1"}, capture_output=True, text=True, check=False
    )

    assert quiet.returncode == asked.returncode == code
    assert quiet.stderr.startswith(said)
    assert f"{variable}=1" in quiet.stderr
    assert "Traceback" not in quiet.stderr
    assert "Traceback" in asked.stderr
    assert said in asked.stderr


def test_standard_output_that_is_closed_is_no_bug() -> None:
    command = f'"{sys.executable}" -m runtime.cli.main version >&-'

    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
