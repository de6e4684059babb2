"""The loader in a child: one JSON answer, whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from supervise.config import loader_child
from supervise.config.load import load
from supervise.model.service import plan_from_plain
from tests.support.eventually import eventually
from tests.support.scripts import ROOT


def ask(directory: Path, *paths: str, environ: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the answer of a child that loads *paths*."""
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        loader_child.main(write_fd, list(paths) or None, environ or {}, str(directory))
    os.close(write_fd)
    with open(read_fd, "rb") as answer:
        data = answer.read()
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    found: dict[str, Any] = json.loads(data)
    return found


def test_a_good_file_is_a_plan_with_its_warnings(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("services: {a: {command: 'x ${GONE}', ready: {notify: true}}}")

    answer = ask(tmp_path, "f.yaml")

    assert plan_from_plain(answer["plan"]) == load(["f.yaml"], {}, str(tmp_path))
    assert [warning["path"] for warning in answer["warnings"]] == ["services.a.command"]


def test_a_bad_file_is_its_problems(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("services: {a: {comand: x}}")

    problems = ask(tmp_path, "f.yaml")["problems"]

    assert [(p["file"], p["line"], p["column"], p["path"]) for p in problems] == [
        ("f.yaml", 1, 15, "services.a"),
        ("f.yaml", 1, 16, "services.a.comand"),
    ]
    assert all(problem["what"] and problem["hint"] for problem in problems)


def test_values_that_are_not_utf8_survive_the_way(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("services: {a: {command: [x, '${RAW}']}}")
    raw = os.fsdecode(b"\xff\xfe")

    answer = ask(tmp_path, "f.yaml", environ={"RAW": raw})

    assert plan_from_plain(answer["plan"]).services["a"].command == ("x", raw)


# In an interpreter of its own: the tests before this one leave free memory that needs no mapping.
_WITHOUT_MEMORY = """\
import sys
from supervise.config import load, loader_child
from supervise.config.yaml import assembly
loader_child.MEMORY_LIMIT_BYTES = 1
loader_child.main(1, ["f.yaml"], {}, sys.argv[1])
"""


def test_running_out_of_memory_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(f"x-large: [{'a, ' * 900_000}]")

    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_MEMORY, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )

    answer = json.loads(done.stdout)
    assert list(answer) == ["failure"]
    assert "memory" in answer["failure"]


def test_the_parents_signal_handling_is_undone() -> None:
    """A child that waits for a file without end dies of SIGTERM like any program."""
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    read_fd, write_fd = os.pipe()
    endless_fd, writer = os.pipe()
    try:
        pid = os.fork()
        if pid == 0:
            loader_child.main(write_fd, [f"/proc/self/fd/{endless_fd}"], {}, "/")
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        os.close(write_fd)

    pipe = os.readlink(f"/proc/self/fd/{endless_fd}")
    # Its own, the one of ours that it inherited, and the writer: it is loading.
    eventually(lambda: _open_files(pid).count(pipe) == 3)
    os.kill(pid, signal.SIGTERM)
    _, status = os.waitpid(pid, 0)
    for fd in (writer, endless_fd, read_fd):
        os.close(fd)

    assert os.waitstatus_to_exitcode(status) == -signal.SIGTERM


def _open_files(pid: int) -> list[str]:
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):  # closed meanwhile
            found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return found
