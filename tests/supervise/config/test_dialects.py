"""Which dialect a text is written in, and what is said of one that is not read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.config import dialects
from supervise.config.dialects import Dialect
from supervise.config.load import examine

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = "; a comment\n\n[program:web]\ncommand = /bin/web\n"
UNIT = "# a comment\n[Unit]\nDescription=x\n\n[Service]\nExecStart=/bin/web\n"
SERVICES = "services:\n  web: {command: [web]}\n"


@pytest.mark.parametrize(
    ("name", "text", "dialect"),
    [
        ("supervise.yaml", SERVICES, Dialect.YAML),
        ("supervise.yaml", "", Dialect.YAML),
        ("supervise.yaml", "# only a comment", Dialect.YAML),
        ("any", PROGRAM, Dialect.SUPERVISORD),
        ("any.yaml", "[supervisord]\nnodaemon=true\n", Dialect.SUPERVISORD),
        ("any", "\r\n[inet_http_server:two]\r\nport=9001\r\n", Dialect.SUPERVISORD),
        ("any", UNIT, Dialect.UNIT),
        ("web.timer", "[X-Ours]\nA=1\n[Timer]\nOnBootSec=1\n", Dialect.UNIT),
        # Lists, of which supervise.yaml says that it must be a mapping.
        ("supervise.yaml", "[a, b]\n", Dialect.YAML),
        ("supervise.yaml", "[program]\n", Dialect.YAML),
        ("supervise.yaml", "[]\n", Dialect.YAML),
        # The content says more than the name.
        ("web.service", SERVICES, Dialect.YAML),
        ("supervisord.conf", SERVICES, Dialect.YAML),
    ],
)
def test_the_first_line_says_which_dialect_it_is(name: str, text: str, dialect: Dialect) -> None:
    assert dialects.of_text(name, text) is dialect


@given(st.text(), st.text())
def test_any_text_has_a_dialect(name: str, text: str) -> None:
    """No text makes the look at its first line fail."""
    dialects.of_text(name, text)
    dialects.foreign(Dialect.YAML, name, text)


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("configs/**/*supervise*.yaml")), ids=lambda path: path.parent.name
)
def test_configurations_of_ours_are_recognised(path: Path) -> None:
    assert dialects.of_file(str(path)) is Dialect.YAML


def test_what_is_no_regular_file_is_not_read_to_look(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    read_fd, write_fd = os.pipe()
    try:
        os.write(write_fd, PROGRAM.encode())

        found = [
            dialects.of_file(str(path))
            for path in (tmp_path, tmp_path / "fifo", tmp_path / "gone", f"/dev/fd/{read_fd}")
        ]

        assert found == [Dialect.YAML] * 4
        assert os.read(read_fd, 100) == PROGRAM.encode()
    finally:
        os.close(read_fd)
        os.close(write_fd)


SAID_OF_PROGRAM = (
    "other:3:1: this is a supervisord.conf ('[program:web]'), not a supervise.yaml; "
    "declare each program as a service: services: {NAME: {command: [...]}}"
)
SAID_OF_UNIT = (
    "other:2:1: this is a systemd unit ('[Unit]'), not a supervise.yaml; "
    "declare it as a service: services: {NAME: {command: [...]}}"
)


@pytest.mark.parametrize(("text", "said"), [(PROGRAM, SAID_OF_PROGRAM), (UNIT, SAID_OF_UNIT)])
@pytest.mark.parametrize("roots", [["other"], ["own.yaml", "other"], ["includes.yaml"]])
def test_a_file_of_another_dialect_is_named(
    tmp_path: Path, roots: list[str], text: str, said: str
) -> None:
    (tmp_path / "other").write_text(text)
    (tmp_path / "own.yaml").write_text(SERVICES)
    (tmp_path / "includes.yaml").write_text(f"include: other\n{SERVICES}")

    outcome = examine(roots, {}, str(tmp_path))

    assert [str(problem) for problem in outcome.problems] == [said]
