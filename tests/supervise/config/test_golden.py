"""Files with mistakes in tests/golden/config, and what `supervise check` prints for each.

``NAME.problems`` holds the lines, as printed from within that directory with an empty
environment.  What is expected is read there; what a line must have is checked here.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from supervise.config.load import examine

GOLDEN = Path(__file__).resolve().parents[2] / "golden/config"
CASES = sorted(path.stem for path in GOLDEN.glob("*.yaml"))
# file:line:column: path: what; hint
WHOLE_LINE = re.compile(r"[a-z/-]+\.yaml:[1-9][0-9]*:[1-9][0-9]*: [^ :]+: .+; .+")


def printed(case: str) -> list[str]:
    return [str(problem) for problem in examine([f"{case}.yaml"], {}, str(GOLDEN)).problems]


@pytest.mark.parametrize("case", CASES)
def test_problems_are_those_expected(case: str) -> None:
    assert printed(case) == (GOLDEN / f"{case}.problems").read_text().splitlines()


@pytest.mark.parametrize("case", CASES)
def test_each_problem_is_one_line_with_place_path_and_hint(case: str) -> None:
    lines = printed(case)

    assert lines
    assert [line for line in lines if not WHOLE_LINE.fullmatch(line)] == []


def test_ten_mistakes_are_ten_lines() -> None:
    assert len(printed("ten-mistakes")) == 10
