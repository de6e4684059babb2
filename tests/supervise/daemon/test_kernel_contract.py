"""The fake kernel cannot drift from the real one: the same cases run on both."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import kernel_contract
from tests.support.kernel_contract import CASES, FakeWorld

ROOT = Path(kernel_contract.__file__).parents[2]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("slow", [False, True], ids=["by vfork", "by fork"])
def test_fake_kernel(case: str, slow: bool) -> None:
    world = FakeWorld(slow=slow)
    try:
        CASES[case](world)
    finally:
        world.close()


@pytest.mark.integration
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("speed", ["fast", "slow"], ids=["by vfork", "by fork"])
def test_real_kernel(case: str, speed: str, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.support.kernel_contract", case, speed]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        words,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
