"""supervisectl as a program: what the verbs that look print, and how they exit."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.control import ControlServer, ctl_command
from tests.support.scripts import ROOT


def test_status_is_an_aligned_table(shared: ControlServer) -> None:
    done = shared.ctl("status", "web", "stubborn")

    head, web, stubborn = done.stdout.splitlines()
    assert head.split() == ["NAME", "STATE", "HEALTH", "PID", "UPTIME", "RESTARTS", "DETAIL"]
    assert web.split()[:3] == ["web", "running", "-"]
    assert stubborn.split() == ["stubborn", "stopped", "-", "-", "-", "0"]
    assert web.index("running") == stubborn.index("stopped") == head.index("STATE")
    assert done.returncode == 3


def test_status_without_names_shows_all_and_succeeds(shared: ControlServer) -> None:
    done = shared.ctl("status")

    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()[1:4]] == ["db", "web", "broken"]


def test_status_of_what_runs_succeeds(shared: ControlServer) -> None:
    assert shared.ctl("status", "web", "db").returncode == 0


def test_status_as_json_is_an_array(shared: ControlServer) -> None:
    services = json.loads(shared.ctl("status", "--json", "db").stdout)

    assert [service["name"] for service in services] == ["db"]
    assert services[0]["ready"] is True


def test_a_full_disk_is_said_in_a_sentence(shared: ControlServer) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            ctl_command("--socket", shared.place, "status"),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr == "supervisectl: cannot write the output: No space left on device\n"


@pytest.mark.parametrize(("verb", "package"), [("top", "psutil"), ("events", "structlog")])
def test_a_package_that_an_image_left_out_is_named(
    shared: ControlServer, tmp_path: Path, verb: str, package: str
) -> None:
    missing = f"raise ModuleNotFoundError(name={package!r})\n"
    (tmp_path / f"{package}.py").write_text(missing)
    path = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}

    done = shared.ctl(verb, environment=path)

    assert done.returncode == 1
    found = f"pip install {package} (Debian: python3-{package})"
    assert done.stderr == (f"supervisectl: cannot do this: this Python has no {package}; {found}\n")


def test_closed_streams_leave_the_exit_code(shared: ControlServer) -> None:
    for verb, expected in (["status", "web"], 0), (["status", "nobody"], 4), (["--bad"], 2):
        words = ctl_command("--socket", shared.place, *verb)
        done = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words], check=False)
        assert done.returncode == expected


def test_colours_are_for_terminals_alone(shared: ControlServer) -> None:
    assert "\x1b" not in shared.ctl("status", environment={"TERM": "xterm-256color"}).stdout


def test_a_terminal_gets_colours_and_lines_that_fit(shared: ControlServer) -> None:
    shown = run_on_terminal(shared, "status", columns=60)

    assert "\x1b[32mrunning" in shown
    assert all(len(strip_colours(line)) <= 60 for line in shown.splitlines())


def test_no_color_is_respected(shared: ControlServer) -> None:
    assert "\x1b[3" not in run_on_terminal(shared, "status", columns=80, NO_COLOR="1")


def test_a_wrong_name_gets_a_suggestion(shared: ControlServer) -> None:
    done = shared.ctl("status", "wbe")

    assert done.returncode == 4
    assert done.stderr == "supervisectl: there is no service 'wbe'; did you mean 'web'?\n"


def test_a_name_like_no_other_gets_the_list(shared: ControlServer) -> None:
    done = shared.ctl("stop", "postgresql")

    assert done.returncode == 4
    assert "there is no service 'postgresql'; there are db, web, broken" in done.stderr


def test_explain_names_what_it_waits_for(server: ControlServer) -> None:
    server.ctl("start", "--no-wait", "never")

    done = server.ctl("explain", "never")

    assert done.returncode == 0
    assert "never is waiting" in done.stdout
    assert "broken: " in done.stdout


def test_explain_says_in_json_where_a_service_is_declared(shared: ControlServer) -> None:
    answers = {
        name: json.loads(shared.ctl("explain", name, "--json").stdout) for name in ("web", "db")
    }

    assert answers["web"]["origin"] == {"file": "/etc/supervise.yaml", "line": 7}
    assert answers["db"]["origin"] is None


def test_graph_is_a_tree(shared: ControlServer) -> None:
    done = shared.ctl("graph")

    assert done.stdout.startswith("web [running]\n└─ db [running], ready\n")


def test_graph_for_graphviz_and_mermaid(shared: ControlServer) -> None:
    assert '  "web" -> "db" [label="ready"];' in shared.ctl("graph", "--dot").stdout
    assert "  s1 -->|ready| s0" in shared.ctl("graph", "--mermaid").stdout
    assert shared.ctl("graph", "--dot", "--mermaid").returncode == 2


def test_health_says_what_is_wrong(server: ControlServer) -> None:
    healthy = server.ctl("health")
    server.ctl("start", "broken")
    ill = server.ctl("health")

    assert (healthy.returncode, healthy.stdout) == (0, "healthy\n")
    assert (ill.returncode, ill.stdout) == (1, "broken is failed: exit code 3\n")


def test_top_sums_up_processes(shared: ControlServer) -> None:
    done = shared.ctl("top", "web", "stubborn")
    usage = json.loads(shared.ctl("top", "--json", "web").stdout)

    head, web, stubborn = done.stdout.splitlines()
    assert head.split() == ["NAME", "PROCESSES", "CPU%", "RSS", "FDS", "THREADS", "COMMAND"]
    assert web.split()[:2] == ["web", "1"]
    assert "control_server" in web
    assert stubborn.split() == ["stubborn", "0", "-", "-", "-", "-"]
    assert usage[0]["rss"] > 1_000_000


def test_version_of_both_ends(shared: ControlServer) -> None:
    done = shared.ctl("version")

    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["supervisectl", "supervise"]
    assert shared.ctl("--version").stdout == done.stdout


def run_on_terminal(server: ControlServer, *arguments: str, columns: int, **extra: str) -> str:
    """Return what the program writes to a terminal."""
    controller, terminal = os.openpty()
    process = subprocess.Popen(
        ctl_command(*arguments),
        env={
            **os.environ,
            "SUPERVISE_SOCKET": server.place,
            "TERM": "xterm",
            "COLUMNS": str(columns),
            **extra,
        },
        stdin=subprocess.DEVNULL,
        stdout=terminal,
    )
    os.close(terminal)
    shown = b""
    try:
        while data := os.read(controller, 65536):
            shown += data
    except OSError:  # EIO: the other end is closed
        pass
    finally:
        os.close(controller)
    process.wait(10)
    return shown.decode()


def strip_colours(line: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip("\r")
