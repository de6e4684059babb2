"""Events in, what a person or a program reads out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.builder.build_progress import (
    BuildProgress,
    JsonBuildProgress,
    OutputLines,
    PlainBuildProgress,
    QuietBuildProgress,
    one_line,
)
from runtime.builder.live_view import Running, View, frame

FROM: dict[str, Any] = {"step": 1, "total": 2, "text": "FROM x"}
RUN: dict[str, Any] = {"step": 2, "total": 2, "text": "RUN make"}


class Shown:
    """A file as the descriptor that progress is written to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT)

    @property
    def text(self) -> str:
        return self._path.read_text()


@pytest.fixture
def shown(tmp_path: Path) -> Shown:
    return Shown(tmp_path / "shown")


def story(progress: BuildProgress, *, fails: bool = False) -> None:
    """Tell of a stage with a step that writes."""
    progress.started((0, 1), "build", FROM)
    progress.finished((0, 1), 0.0, cached=False)
    progress.started((0, 2), "build", RUN)
    progress.output((0, 2), 1, b"half a ")
    progress.output((0, 2), 1, b"line\nand the rest")
    if fails:
        progress.failed((0, 2), "exit code 1")
    else:
        progress.finished((0, 2), 1.25, cached=False)
        progress.exported("sha256:1", ["x:latest"], 0.0)


def test_plain_numbers_the_steps(shown: Shown) -> None:
    story(PlainBuildProgress(shown.fd))

    lines = shown.text.splitlines()
    assert lines[0] == "#1 [build 1/2] FROM x"
    assert lines[3] == "#2 [build 2/2] RUN make"
    assert lines[4].endswith(" half a line")
    assert lines[5].endswith(" and the rest")
    assert lines[6] == "#2 DONE 1.2s"
    assert lines[-2] == "#3 named x:latest"


def test_plain_names_a_step_again_after_another_s_line(shown: Shown) -> None:
    progress = PlainBuildProgress(shown.fd)
    progress.started((0, 1), "a", {"step": 1, "total": 1, "text": "RUN a"})
    progress.started((1, 1), "b", {"step": 1, "total": 1, "text": "RUN b"})

    progress.output((0, 1), 1, b"from a\n")

    assert shown.text.splitlines()[2] == "#1 [a 1/1] RUN a"


def test_json_has_every_event(shown: Shown) -> None:
    story(JsonBuildProgress(shown.fd), fails=True)

    events = [json.loads(line) for line in shown.text.splitlines()]

    assert [event["event"] for event in events] == [
        *("step.started", "step.finished", "step.started", "step.output", "step.output"),
        "step.failed",
    ]
    assert events[2]["instruction"] == "RUN make"
    assert events[-1]["reason"] == "exit code 1"


def test_quiet_speaks_when_something_fails(shown: Shown) -> None:
    story(QuietBuildProgress(shown.fd))
    assert shown.text == ""

    story(QuietBuildProgress(shown.fd), fails=True)

    assert shown.text == "half a line\nand the rest"


def test_a_failure_before_any_step_is_no_fault_of_plain(shown: Shown) -> None:
    PlainBuildProgress(shown.fd).failed((0, 0), "no such image")

    assert shown.text == ""


def test_the_view_leaves_lines_that_stay(shown: Shown) -> None:
    view = View(shown.fd)
    story(view)
    view.close()

    assert "✔\x1b[0m [build 1/2] FROM x" in shown.text
    assert "✔\x1b[0m [build 2/2] RUN make" in shown.text
    assert "│ half a line" not in shown.text.rpartition("\x1b[J")[2]


def test_the_view_shows_all_of_a_failing_step(shown: Shown) -> None:
    view = View(shown.fd)
    story(view, fails=True)
    view.close()

    assert "✘" in shown.text
    assert "   │ half a line\n   │ and the rest\n" in shown.text


def test_what_a_command_writes_does_not_move_the_cursor(shown: Shown) -> None:
    view = View(shown.fd)
    view.started((0, 1), "", RUN)
    view.output((0, 1), 1, b"\x1b[2J\x1b[31mred\x1b[0m\tend\x07\n")
    view.tick()

    assert "\x1b[2J" not in shown.text
    assert "│ red    end" in shown.text


@given(
    st.lists(st.tuples(st.text(max_size=200), st.lists(st.text(max_size=90), max_size=9))),
    st.integers(20, 200),
    st.integers(4, 50),
)
def test_a_frame_fits_the_terminal(
    steps: list[tuple[str, list[str]]], columns: int, rows: int
) -> None:
    """However many steps and whatever they are called: fewer lines than rows, none too wide."""
    running = [Running(title, 1.0, tuple(lines)) for title, lines in steps]

    lines = frame(running, columns, rows)

    assert len(lines) < rows
    for line in lines:
        bare = line
        for code in ("\x1b[1m", "\x1b[2m", "\x1b[0m"):
            bare = bare.replace(code, "", 1)
        assert len(bare) <= columns


@given(st.lists(st.binary(max_size=20)))
def test_lines_do_not_depend_on_how_they_were_cut(pieces: list[bytes]) -> None:
    """Splitting the output elsewhere yields the same lines."""
    whole, parts = OutputLines(), OutputLines()

    at_once = whole.feed(b"".join(pieces)) + whole.flush()
    in_parts = [line for piece in pieces for line in parts.feed(piece)] + parts.flush()

    assert at_once == in_parts


def test_what_is_written_over_is_not_shown() -> None:
    assert OutputLines().feed(b"10%\r50%\r100%\r\n") == ["100%"]


def test_an_instruction_of_many_lines_is_cut() -> None:
    assert one_line("RUN <<EOF\necho\nEOF") == "RUN <<EOF …"
