"""The verbs check, schema, compile and explain-config, as programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from supervise.config.compiled import load_compiled
from supervise.config.yaml.json_schema import json_schema

GOOD = "services: {a: {command: x}, b: {command: 'y ${GONE}'}}"


def run(directory: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; from supervise.config.config_verbs import main; sys.exit(main(sys.argv[1:]))"
    )
    root = Path(__file__).resolve().parents[3]
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=directory,
        env={"PYTHONPATH": str(root), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_check_of_a_good_file_says_so_and_warns_apart(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(GOOD)

    done = run(tmp_path, "check", "f.yaml")

    assert (done.returncode, done.stdout) == (0, "f.yaml: ok, 2 services\n")
    assert done.stderr == (
        "f.yaml:1:42: warning: services.b.command: the variable 'GONE' is not set: empty; "
        "write ${GONE:-} if that is meant\n"
    )


def test_without_pyyaml_the_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "yaml.py").write_text("raise ModuleNotFoundError(name='yaml')\n")
    (tmp_path / "f.yaml").write_text(GOOD)

    done = run(tmp_path, "check", "f.yaml")

    hint = "pip install pyyaml (Debian: python3-yaml), or supervise compile where it is"
    assert done.stdout == f"f.yaml: cannot read YAML: this Python has no PyYAML; {hint}\n"
    assert (done.returncode, done.stderr) == (78, "")


@pytest.mark.parametrize("key", ["check", "env_file"])
def test_check_does_not_wait_for_a_named_pipe(tmp_path: Path, key: str) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "f.yaml").write_text("services: {a: {command: x, env_file: [pipe.yaml]}}")

    done = run(tmp_path, "check", "pipe.yaml" if key == "check" else "f.yaml")

    assert done.returncode == 78
    assert "cannot read 'pipe.yaml': it is a named pipe, which may never end" in done.stdout


@pytest.mark.parametrize("kind", ["pipe", "terminal"])
def test_check_reads_no_open_pipe_or_terminal_behind_a_link(tmp_path: Path, kind: str) -> None:
    read_fd, write_fd = os.pipe() if kind == "pipe" else os.openpty()
    (tmp_path / "f.yaml").write_text("services: {a: {command: x, env_file: .env}}")
    (tmp_path / ".env").symlink_to(f"/proc/{os.getpid()}/fd/{read_fd}")
    if kind == "terminal":
        (tmp_path / ".env").unlink()
        (tmp_path / ".env").symlink_to(os.ttyname(write_fd))

    done = run(tmp_path, "check", "f.yaml")

    os.close(read_fd)
    os.close(write_fd)
    what = "a named pipe, which may never end" if kind == "pipe" else "no regular file"
    assert f"cannot read '.env': it is {what}" in done.stdout


def test_check_reads_a_pipe_of_a_shell_to_its_end(tmp_path: Path) -> None:
    read_fd, write_fd = os.pipe()
    os.write(write_fd, b"services: {a: {command: x}}")
    os.close(write_fd)
    code = (
        "import sys; from supervise.config.config_verbs import main; sys.exit(main(sys.argv[1:]))"
    )
    root = Path(__file__).resolve().parents[3]

    done = subprocess.run(
        [sys.executable, "-c", code, "check", f"/dev/fd/{read_fd}"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(root)},
        pass_fds=[read_fd],
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(read_fd)

    assert (done.returncode, done.stdout) == (0, f"/dev/fd/{read_fd}: ok, 1 service\n")


def test_check_without_a_file_says_which_it_found(tmp_path: Path) -> None:
    (tmp_path / "supervise.yaml").write_text("services: {a: {command: x}}")

    done = run(tmp_path, "check")

    assert (done.returncode, done.stdout) == (0, "supervise.yaml: ok, 1 service\n")


def test_check_of_a_bad_file_prints_each_problem_and_exits_with_78(tmp_path: Path) -> None:
    golden = Path(__file__).resolve().parents[2] / "golden/config"

    done = run(golden, "check", "ten-mistakes.yaml")

    assert done.returncode == 78
    assert done.stdout == (golden / "ten-mistakes.problems").read_text()
    assert done.stderr == ""


def test_check_without_a_configuration_says_where_it_looked(tmp_path: Path) -> None:
    done = run(tmp_path, "check")

    assert done.returncode == 78
    assert "looked at $SUPERVISE_CONFIG, /etc/supervise/supervise.yaml" in done.stdout


def test_explain_config_loads_again_and_explains_itself_alike(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(GOOD)

    first = run(tmp_path, "explain-config", "f.yaml")
    (tmp_path / "again.yaml").write_text(first.stdout)
    second = run(tmp_path, "explain-config", "again.yaml")

    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stdout == second.stdout
    assert "stop_grace_period: 5s" in first.stdout


def test_what_the_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(
        "services: {ä: {command: [x, '${RAW}']}, b: {command: [${RAW}]}}"
    )
    raw = os.fsdecode(b"\xff")

    check = run(tmp_path, "check", "f.yaml", PYTHONIOENCODING="ascii", RAW=raw)
    (tmp_path / "f.yaml").write_text("services: {b: {command: [x, '${RAW}']}}")
    explain = run(tmp_path, "explain-config", "f.yaml", PYTHONIOENCODING="ascii", RAW=raw)

    assert (check.returncode, check.stderr) == (78, "")
    assert (explain.returncode, explain.stderr) == (0, "")
    assert 'command: [x, "\\ufffd"]' in explain.stdout


def test_compile_writes_a_plan_that_loads(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(GOOD)

    done = run(tmp_path, "compile", "f.yaml")

    assert (done.returncode, done.stdout) == (0, "f.yaml.plan: 2 services\n")
    assert load_compiled(["f.yaml"], {}, str(tmp_path))[0] is not None


@pytest.mark.parametrize("verb", ["compile", "explain-config"])
def test_bad_files_are_refused_by_every_verb(tmp_path: Path, verb: str) -> None:
    (tmp_path / "f.yaml").write_text("services: 5")

    done = run(tmp_path, verb, "f.yaml")

    assert done.returncode == 78
    assert done.stdout.startswith("f.yaml:1:11: services: ")
    assert os.listdir(tmp_path) == ["f.yaml"]


def test_compile_says_where_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(GOOD)
    (tmp_path / "f.yaml.plan").mkdir()

    done = run(tmp_path, "compile", "f.yaml")

    assert done.returncode == 1
    assert f"supervise: cannot write the compiled plan in '{tmp_path}': " in done.stderr


def test_schema_prints_the_json_schema(tmp_path: Path) -> None:
    done = run(tmp_path, "schema")

    assert done.returncode == 0
    assert json.loads(done.stdout) == json_schema()


def test_a_reader_that_has_seen_enough_is_no_fault(tmp_path: Path) -> None:
    code = "import sys; from supervise.config.config_verbs import main; sys.exit(main(['schema']))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.close()
        stderr = program.stderr.read()

    assert (program.returncode, stderr) == (0, b"")


@pytest.mark.parametrize("words", [[], ["frobnicate"], ["check", "--fast"]])
def test_usage_errors_exit_with_2(tmp_path: Path, words: list[str]) -> None:
    done = run(tmp_path, *words)

    assert done.returncode == 2
    assert "usage: supervise" in done.stderr
