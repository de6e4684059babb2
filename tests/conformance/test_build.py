"""Other projects' Dockerfiles, built: each result beside the one that other builders agree on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.runtime import Runtime
from tests.support.scripts import write_scripts

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "zstd")]

LEAST = 158  # of 165


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    made = Runtime(tmp_path / "store")
    yield made
    made.close()


def test_builds_give_what_other_builders_give(data: Path, runtime: Runtime, tmp_path: Path) -> None:
    script = write_scripts(tmp_path / "bin") / "runtime"
    line = " ".join(runtime.command(program=[str(script)]))
    report = tmp_path / "report.json"

    done = subprocess.run(
        [sys.executable, data / "build/score.py", line, "-v", "--json", report],
        env=runtime.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert report.exists(), done.stdout + done.stderr
    problems: dict[str, str] = json.loads(report.read_text())
    failed = {name: problem for name, problem in problems.items() if problem}
    assert len(problems) == 165
    assert len(problems) - len(failed) >= LEAST, failed
