"""runtime/bin/runtime, as pip installs it: it ends at once, and no output is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from tests.support.scripts import ROOT

_COMMAND = [sys.executable, str(ROOT / "runtime/bin/runtime")]


def run(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    options.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(
        [*_COMMAND, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        **options,
    )


def test_all_of_its_output_arrives() -> None:
    shown = run("--help")

    assert shown.returncode == 0
    assert shown.stdout.endswith("\n")
    assert len(shown.stdout.splitlines()) > 20


def test_a_failure_is_said_with_its_code() -> None:
    done = run("no-such-verb")

    assert done.returncode == 1
    assert done.stderr.startswith("runtime: 'no-such-verb' is not a runtime command\n")


def test_output_that_cannot_be_written_is_said() -> None:
    with open("/dev/full", "w") as full:
        done = run("--help", stdout=full)

    assert done.returncode == 125
    assert done.stderr == "runtime: No space left on device\n"


def test_a_reader_that_has_seen_enough_is_no_failure_of_ours() -> None:
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    try:
        done = run("--help", stdout=write_fd)
    finally:
        os.close(write_fd)

    assert (done.returncode, done.stderr) == (141, "")
