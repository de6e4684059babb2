"""Problems as any dialect reports them: once, in order, fit for one line."""

from __future__ import annotations

from supervise.config.problems import MAX_PROBLEMS, Problems
from supervise.model.errors import Problem


def problem(file: str = "a", line: int = 1, column: int = 1, what: str = "is wrong") -> Problem:
    return Problem(file, line, column, "services.web", what)


def test_problems_come_by_file_in_the_order_of_reading_then_by_place() -> None:
    problems = Problems()
    for file in ("second", "first", "second"):
        problems.read(file)

    for file, line, column in (
        ("first", 1, 1),
        ("other", 1, 1),
        ("second", 2, 1),
        ("second", 1, 9),
    ):
        problems.report(problem(file, line, column))

    assert [(p.file, p.line) for p in problems.problems()] == [
        ("second", 1),
        ("second", 2),
        ("first", 1),
        ("other", 1),
    ]


def test_the_same_mistake_at_one_place_is_said_once_whatever_path_led_to_it() -> None:
    problems = Problems()

    problems.report(problem())
    problems.report(problem().replace(path="services.other"))

    assert len(problems) == 1


def test_warnings_do_not_count_as_problems() -> None:
    problems = Problems()

    problems.warn(problem())

    assert len(problems) == 0
    assert problems.warnings() == (problem(),)


def test_what_a_file_says_cannot_break_the_line() -> None:
    problems = Problems()

    problems.report(problem(what="\x1b[2J\nmore"))

    assert problems.problems()[0].what == "\\x1b[2J\\nmore"


def test_a_hint_is_given_to_what_has_none_from_there_on() -> None:
    problems = Problems()
    problems.report(problem(line=1))
    before = len(problems)
    problems.report(problem(line=2))
    problems.report(problem(line=3).replace(hint="own"))

    problems.add_hints(before, "as in x")

    assert [p.hint for p in problems.problems()] == ["", "as in x", "own"]


def test_ten_thousand_long_names_are_not_compared_for_ever() -> None:
    problems = Problems()
    names = [f"{'a' * 90}{number:05}" for number in range(10_000)]

    suggestions = [problems.suggest(f"{'a' * 85}{number:05}bbbbb", names) for number in range(100)]

    assert suggestions == [""] * 100


def test_there_is_an_end_of_problems_and_of_suggestions() -> None:
    problems = Problems()

    for line in range(MAX_PROBLEMS + 5):
        problems.report(problem(line=line))
    suggestions = [problems.suggest("comand", ["command"]) for _ in range(101)]

    assert len(problems) == MAX_PROBLEMS
    assert suggestions[99:] == ["did you mean 'command'?", ""]
