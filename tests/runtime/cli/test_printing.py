"""What leaves the command for a terminal: `runtime.cli.printing`."""

from __future__ import annotations

import ast
import io
import os
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, TextIO, cast

import pytest

from runtime.cli import failure_output, output
from runtime.cli.printing import ScreenedStream
from runtime.language import columns, templates
from runtime.model.errors import RuntimeFailure
from tests.support.scripts import ROOT

HOSTILE = "\x1b]0;pwned\x07\x9b2J\u202e\n\tend"
SHOWN = "\\x1b]0;pwned\\a\\u009b2J\\u202e\n\tend"

# What goes past the screen, and why.
PAST_IT = {
    (
        "runtime/cli/containers/logs.py",
        "buffer",
    ): "a container's output, as docker logs and cat pass it",
    ("runtime/cli/images/archives.py", "os.write"): "the archive of save",
    ("runtime/cli/containers/changes.py", "os.write"): "the archive of export",
    ("runtime/cli/printing.py", "write_own"): "it is the screen",
    ("runtime/cli/output.py", "write_own"): "templates, whose values were screened",
    ("runtime/cli/images/transfer_progress.py", "write_own"): "the bars move the cursor",
    ("runtime/cli/containers/stats.py", "write_own"): "each table is shown over the last",
    ("runtime/container/attach.py", "os.write 2"): "a notice, made printable there",
}


class Tty(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def rendered(template: str, value: Any) -> str:
    """Return what a terminal gets of a template."""
    tty = Tty()
    with redirect_stdout(cast("TextIO", ScreenedStream(tty, always=False))):
        output.render(templates.parse(template), value)
    return tty.getvalue()


def test_a_terminal_is_shown_what_a_pipe_is_given() -> None:
    for stream, always, expected in (
        (Tty(), False, SHOWN),
        (io.StringIO(), False, HOSTILE),
        (io.StringIO(), True, SHOWN),
    ):
        print(HOSTILE, end="", file=ScreenedStream(stream, always=always))

        assert stream.getvalue() == expected


@pytest.mark.parametrize("always", [True, False])
def test_a_name_that_is_not_utf8_can_be_written(always: bool) -> None:
    data = io.BytesIO()
    stream = ScreenedStream(
        io.TextIOWrapper(data, encoding="utf-8", errors="surrogateescape"), always=always
    )

    stream.write("a\udcff\ud800")
    stream.flush()

    assert data.getvalue() == (b"a\\xff\\ud800" if always else b"a\\udcff\\ud800")


def test_a_templates_own_colours_stay_and_its_values_are_shown() -> None:
    assert rendered("\x1b[1m{{.A}}\x1b[0m", {"A": "\x1b[2Jx"}) == "\x1b[1m\\x1b[2Jx\x1b[0m\n"


def test_json_says_the_same_without_a_control_character() -> None:
    value = {"A": "\x7f\x9b\u202e\U000e0041\udcff"}

    assert rendered("{{json .}}", value) == '{"A":"\\u007f\\u009b\\u202e\\udb40\\udc41\\udcff"}\n'


def test_a_row_of_a_table_is_one_line() -> None:
    text = columns.listing("", [{"A": HOSTILE, "B": "b"}], {"A": "A", "B": "B"}, ("A", "B"))

    assert len(text.splitlines()) == 2
    assert text.replace("\n", "").isprintable()


def test_every_failure_is_printable(capsys: pytest.CaptureFixture[str]) -> None:
    failure_output.print_failure(RuntimeFailure(f"no tag '{HOSTILE}'", HOSTILE))

    assert capsys.readouterr().err == f"runtime: no tag '{SHOWN}'\n{SHOWN}\n"


def _ways_past(path: Path) -> Iterator[str]:
    in_cli = "runtime/cli/" in str(path)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr in ("__stdout__", "__stderr__"):
            yield node.attr
        if in_cli and isinstance(node, ast.Attribute) and node.attr == "buffer":
            yield "buffer"
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        name = node.func.attr
        if in_cli and name == "write_own":
            yield name
        is_os = isinstance(node.func.value, ast.Name) and node.func.value.id == "os"
        if is_os and name == "write":
            first = node.args[0]
            if isinstance(first, ast.Constant) and first.value in (1, 2):
                yield f"os.write {first.value}"
            elif in_cli:
                yield "os.write"


def test_verbs_print_through_the_screened_streams_alone() -> None:
    """A new verb is screened without doing anything; what goes past the screen is listed here."""
    found = {
        (os.path.relpath(path, ROOT), way)
        for path in sorted((ROOT / "runtime").rglob("*.py"))
        for way in _ways_past(path)
    }

    assert found == set(PAST_IT)
