"""supervisectl as a program: what it prints and how it exits."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.control import ControlServer, run_ctl, serving
from tests.support.eventually import eventually

NOBODY = 65534


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlServer]:
    """A server for tests that leave it as it was."""
    with serving(str(tmp_path_factory.mktemp("shared") / "s")) as server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ControlServer]:
    with serving(str(tmp_path / "s")) as server:
        yield server


@pytest.fixture
def public_directory() -> Iterator[str]:
    """A directory others can enter; pytest keeps its own to itself."""
    with tempfile.TemporaryDirectory(prefix="control-") as directory:
        os.chmod(directory, 0o755)
        yield directory


# -- looking


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


# -- doing


def test_a_start_says_what_happened(server: ControlServer) -> None:
    done = server.ctl("start", "stubborn")

    assert done.returncode == 0
    assert done.stdout.startswith("stubborn: started, pid ")


def test_a_start_of_what_dies_at_once_fails_and_shows_its_last_words(server: ControlServer) -> None:
    done = server.ctl("start", "broken")

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "broken: ended with exit code 3 after 0.01 s (supervisectl logs broken)",
        "  broken | hello from broken",
        "  broken | a complaint",
    ]


def test_a_start_that_cannot_be_executed_fails(server: ControlServer) -> None:
    done = server.ctl("start", "missing")

    assert done.returncode == 1
    assert done.stderr.startswith("missing: cannot be executed: not found")


def test_a_start_whose_dependency_has_failed_for_good_fails(server: ControlServer) -> None:
    done = server.ctl("start", "never")

    assert done.returncode == 1
    assert done.stderr.startswith("never: cannot start: it needs the start of 'broken'")


def test_a_start_waits_for_readiness_and_for_dependencies(server: ControlServer) -> None:
    server.ctl("stop", "web", "db")

    done = server.ctl("start", "web", "db")

    assert done.returncode == 0
    assert "db: ready after 0.05" in done.stdout
    assert "web: started, pid" in done.stdout


def test_a_oneshot_has_started_when_it_has_completed(server: ControlServer) -> None:
    done = server.ctl("start", "migrate")

    assert (done.returncode, done.stdout) == (0, "migrate: completed\n")
    assert server.ctl("status", "migrate").returncode == 0


def test_a_start_that_takes_too_long_fails(server: ControlServer) -> None:
    done = server.ctl("start", "slow", "--timeout", "300ms")

    assert done.returncode == 1
    assert done.stderr.startswith("slow: not in 0.3 s; it is running")


def test_one_failure_among_successes_is_a_failure(server: ControlServer) -> None:
    done = server.ctl("start", "broken", "stubborn")

    assert done.returncode == 1
    assert "stubborn: started" in done.stdout


def test_a_start_of_what_runs_says_so(server: ControlServer) -> None:
    done = server.ctl("start", "--all")

    assert done.returncode == 0
    assert "db: is running already" in done.stdout
    assert "stubborn" not in done.stdout


def test_no_wait_returns_at_once(server: ControlServer) -> None:
    done = server.ctl("start", "broken", "--no-wait")

    assert (done.returncode, done.stdout) == (0, "broken: has been asked\n")


def test_a_stop_waits_until_it_is_down(server: ControlServer) -> None:
    server.ctl("start", "stubborn")

    done = server.ctl("stop", "stubborn")

    assert (done.returncode, done.stdout) == (0, "stubborn: stopped\n")
    assert server.ctl("status", "stubborn").returncode == 3


def test_the_timeout_of_a_stop_is_its_grace(server: ControlServer) -> None:
    server.ctl("start", "stubborn")

    done = server.ctl("stop", "stubborn", "--timeout", "0.1")

    assert (done.returncode, done.stdout) == (0, "stubborn: stopped; SIGKILL after 0.1 s\n")


def test_a_restart_has_another_pid(server: ControlServer) -> None:
    before = json.loads(server.ctl("status", "--json", "web").stdout)[0]["pid"]

    done = server.ctl("restart", "web")

    after = json.loads(server.ctl("status", "--json", "web").stdout)[0]["pid"]
    assert done.returncode == 0
    assert done.stdout == f"web: started, pid {after}\n"
    assert after != before


def test_a_reload_says_how_or_why_not(shared: ControlServer) -> None:
    done = shared.ctl("reload", "db")
    refused = shared.ctl("reload", "web")

    assert (done.returncode, done.stdout) == (0, "db: is reloading: sent SIGHUP\n")
    assert refused.returncode == 1
    assert "web: has neither reload_signal nor reload_command" in refused.stderr


def test_a_signal_to_what_does_not_run_exits_with_3(shared: ControlServer) -> None:
    done = shared.ctl("signal", "hup", "web", "stubborn")

    assert done.returncode == 3
    assert done.stdout == "web: got SIGHUP\n"
    assert done.stderr == "stubborn: is not running (stopped) (supervisectl start stubborn)\n"


def test_what_is_no_signal_is_a_usage_error(shared: ControlServer) -> None:
    assert shared.ctl("signal", "HPU", "web").returncode == 2


def test_apply_shows_the_difference_and_every_problem(server: ControlServer) -> None:
    dry, done, refused = server.ctl("apply", "--dry-run"), server.ctl("apply"), server.ctl("apply")

    assert dry.stdout == "+ cache\n~ web\nwould be: 1 added, 0 removed, 1 changed, 1 unchanged\n"
    assert done.returncode == 0
    assert refused.returncode == 1
    assert "s.yaml:3:5: services.web: is no mapping; x\n" in refused.stderr


def test_shutdown_hands_over_the_exit_code(tmp_path: Path) -> None:
    server = ControlServer(str(tmp_path / "s"))

    done = server.ctl("shutdown", "--exit-code", "7")

    assert (done.returncode, done.stdout) == (0, "shutting down\n")
    assert server.process.wait(10) == 7
    server.close()


# -- waiting


def test_wait_succeeds_when_the_milestone_is_reached(server: ControlServer) -> None:
    server.ctl("start", "slow", "--no-wait")
    with spawn(server, "wait", "slow", "--for", "ready") as waiting:
        eventually(lambda: subscriptions(server) == 1)

        server.ctl("signal", "USR1", "slow")

        assert waiting.communicate(timeout=10)[0].startswith("slow: is ready, pid ")
        assert waiting.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["web", "--for", "healthy"], "web: has no healthcheck (give it one, or wait for ready)"),
        (["slow", "--timeout", "0.1"], "slow: not in 0.1 s; it is stopped"),
    ],
)
def test_wait_fails_when_it_cannot_or_does_not(
    shared: ControlServer, arguments: list[str], message: str
) -> None:
    done = shared.ctl("wait", *arguments)

    assert done.returncode == 1
    assert done.stderr.startswith(message)


def test_wait_for_what_failed_for_good_fails_at_once(server: ControlServer) -> None:
    server.ctl("start", "broken")

    assert server.ctl("wait", "broken").returncode == 1
    assert server.ctl("wait", "broken", "--for", "stopped").returncode == 0


# -- logs and events


def test_logs_look_as_on_the_console(shared: ControlServer) -> None:
    done = shared.ctl("logs", "web", "stubborn")

    assert done.stdout == "web      | hello from web\n"
    assert done.stderr == "web      | a complaint\n"


def test_logs_keep_bytes_that_are_not_utf_8(server: ControlServer) -> None:
    server.ctl("signal", "USR2", "web")

    done = subprocess.run(
        ctl_command("logs", "web", "-n", "1", "--format", "raw"),
        env={**os.environ, "SUPERVISE_SOCKET": server.place},
        capture_output=True,
        check=True,
    )

    assert done.stdout == b"gr\xfc\xdfe\n"


def test_logs_of_a_number_of_lines_are_the_last(shared: ControlServer) -> None:
    done = shared.ctl("logs", "-n2", "web")

    assert (done.stdout, done.stderr) == ("web | hello from web\n", "web | a complaint\n")
    assert shared.ctl("logs", "-n", "0", "web").stdout == ""


def test_logs_in_other_formats(shared: ControlServer) -> None:
    entry = json.loads(shared.ctl("logs", "web", "--format", "json").stdout)
    logfmt = shared.ctl("logs", "web", "--format", "logfmt").stdout

    assert entry["message"] == "hello from web"
    assert "service=web stream=stdout" in logfmt


def test_logs_since_leaves_out_what_is_older(shared: ControlServer) -> None:
    assert shared.ctl("logs", "web", "--since", "@99999999999").stdout == ""
    assert shared.ctl("logs", "web", "--since", "1h").stdout == "web | hello from web\n"


def test_logs_can_be_followed(server: ControlServer) -> None:
    with spawn(server, "logs", "-f", "-n", "0", "stubborn") as following:
        eventually(lambda: subscriptions(server) == 1)

        server.ctl("start", "stubborn")

        assert following.stdout is not None
        assert following.stdout.readline() == "stubborn | hello from stubborn\n"
        following.send_signal(signal.SIGINT)
        assert following.communicate(timeout=10) == ("", "stubborn | a complaint\n")
        assert following.returncode == 130


def test_events_for_people_and_for_programs(shared: ControlServer) -> None:
    people = shared.ctl("events").stdout
    programs = [json.loads(line) for line in shared.ctl("events", "--json").stdout.splitlines()]

    assert "service.ready          service=db after=0.05" in people
    assert {"service.started", "control.listening"} <= {event["name"] for event in programs}


def test_events_can_be_followed(server: ControlServer) -> None:
    with spawn(server, "events", "-f", "--json") as following:
        eventually(lambda: subscriptions(server) == 1)

        server.ctl("start", "migrate")

        assert following.stdout is not None
        names = (json.loads(line)["name"] for line in following.stdout)
        assert "service.completed" in names


def test_watch_appends_the_rows_that_changed(server: ControlServer) -> None:
    with spawn(server, "status", "--watch", "web", "stubborn") as watching:
        assert watching.stdout is not None
        for _ in range(3):
            watching.stdout.readline()

        server.ctl("start", "stubborn")

        assert watching.stdout.readline().split()[:2] == ["stubborn", "running"]


def test_the_end_of_the_reader_ends_a_follower_quietly(server: ControlServer) -> None:
    with spawn(server, "logs", "-f", "-n", "0", "web") as following:
        eventually(lambda: subscriptions(server) == 1)
        assert following.stdout is not None
        assert following.stderr is not None
        following.stdout.close()

        server.ctl("signal", "USR2", "web")

        assert following.wait(10) == 141
        assert following.stderr.read() == ""


# -- what goes wrong before anything happens


def test_no_daemon_says_where_it_looked(tmp_path: Path) -> None:
    done = run_ctl("status", environment={"XDG_RUNTIME_DIR": str(tmp_path)})

    assert done.returncode == 5
    assert "no control socket here; looked for" in done.stderr
    assert f"{tmp_path}/supervise/control.sock" in done.stderr
    assert "--socket PATH" in done.stderr


def test_a_socket_that_is_not_there_is_named_with_its_source(tmp_path: Path) -> None:
    option = run_ctl("status", "--socket", f"{tmp_path}/none")
    variable = run_ctl("status", environment={"SUPERVISE_SOCKET": f"{tmp_path}/none"})

    assert option.returncode == variable.returncode == 5
    assert f"'{tmp_path}/none' (from --socket): there is no such socket" in option.stderr
    assert "(from $SUPERVISE_SOCKET)" in variable.stderr


def test_a_stale_socket_is_recognised(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(f"{tmp_path}/stale")

    done = run_ctl("status", "--socket", f"{tmp_path}/stale")

    assert done.returncode == 5
    assert f"nobody listens on '{tmp_path}/stale' any more" in done.stderr


def test_an_endless_path_is_an_error_not_a_traceback() -> None:
    done = run_ctl("status", "--socket", "/tmp/" + "x" * 200)

    assert done.returncode == 5
    assert "File name too long" in done.stderr


@pytest.mark.needs("root")
def test_without_permission_it_says_what_to_do(public_directory: str) -> None:
    with serving(f"{public_directory}/s") as server:
        done = server.ctl("status", user=NOBODY)

    assert done.returncode == 5
    assert f"not permitted to use '{public_directory}/s' as user {NOBODY}" in done.stderr
    assert "control.operators" in done.stderr


@pytest.mark.needs("root")
def test_readers_look_operators_do_and_strangers_get_a_refusal(public_directory: str) -> None:
    with serving(f"{public_directory}/s", "--reader", "1001", "--operator", "1002") as server:
        codes = {
            (user, verb): server.ctl(*verb.split(), user=user).returncode
            for user in (1001, 1002, 1003)
            for verb in ("status", "restart web")
        }
        refused = server.ctl("restart", "web", user=1001)
        stranger = server.ctl("status", user=1003)

    assert codes == {
        (1001, "status"): 0,
        (1001, "restart web"): 5,
        (1002, "status"): 0,
        (1002, "restart web"): 0,
        (1003, "status"): 5,
        (1003, "restart web"): 5,
    }
    assert "user 1001 may not do this; it takes root" in refused.stderr
    assert "control.readers" in stranger.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "what shall it do?  Name a verb"),
        (["stauts"], "there is no verb 'stauts'; did you mean 'status'?"),
        (["scale", "web=3"], "cannot scale: replicas are not supported by this version"),
        (["reexec"], "cannot reexec: an upgrade in place is not supported by this version"),
        (["start"], "start needs services, or --all"),
        (["start", "web", "--all"], "start takes services or --all, not both"),
        (["wait"], "wait needs more: SERVICE…"),
        (["health", "web"], "health does not know what to do with 'web'"),
        (["stop", "web", "--tiemout", "3"], "stop has no option '--tiemout'; did you mean"),
        (["stop", "web", "--timeout", "soon"], "--timeout soon: is no duration"),
        (["stop", "web", "--timeout"], "--timeout needs a value: T"),
        (["logs", "-n", "x"], "--lines x: is no number"),
        (["wait", "web", "--for", "redy"], "--for redy: there is no 'redy'; did you mean 'ready'?"),
        (["shutdown", "--exit-code", "256"], "--exit-code 256: is not between 0 and 255"),
        (["status", "--json=yes"], "--json takes no value"),
        (["completion", "tcsh"], "there is no completion for 'tcsh'"),
    ],
)
def test_usage_errors_exit_with_2_and_say_what_is_wrong(arguments: list[str], message: str) -> None:
    done = run_ctl(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "--help" in done.stderr


def test_a_supervise_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    server = ControlServer(str(tmp_path / "s"))
    with spawn(server, "events", "-f") as following:
        eventually(lambda: subscriptions(server) == 1)

        server.close()

        assert "closed the connection" in following.communicate(timeout=10)[1]
        assert following.returncode == 5


# -- helpers


def ctl_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "supervise.cli.supervisectl", *arguments]


@contextmanager
def spawn(server: ControlServer, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the program beside the test, and end it in the end."""
    with subprocess.Popen(
        ctl_command(*arguments),
        env={**os.environ, "SUPERVISE_SOCKET": server.place},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def subscriptions(server: ControlServer) -> int:
    server.process.send_signal(signal.SIGUSR1)
    return int(server.read_line().split()[1])


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
