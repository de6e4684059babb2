from __future__ import annotations

import pytest

from supervise.model.errors import ConfigError, Problem


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (
            Problem("a.yaml", 12, 18, "services.web.stop_signal", "no signal", "did you mean X?"),
            "a.yaml:12:18: services.web.stop_signal: no signal; did you mean X?",
        ),
        (Problem("a.yaml", 1, 1, "", "is empty"), "a.yaml:1:1: is empty"),
        (Problem("a.yaml", 0, 0, "", "cannot be read"), "a.yaml: cannot be read"),
    ],
)
def test_problem_is_one_line(problem: Problem, text: str) -> None:
    assert str(problem) == text


def test_error_has_every_problem_on_a_line_of_its_own() -> None:
    problems = (Problem("a", 1, 2, "x", "this"), Problem("b", 3, 4, "y", "that"))

    error = ConfigError(problems)

    assert error.problems == problems
    assert str(error) == "a:1:2: x: this\nb:3:4: y: that"
