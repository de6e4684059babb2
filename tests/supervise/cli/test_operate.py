"""supervisectl as a program: the verbs that change something and wait for the result."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.control import ControlServer
from tests.support.eventually import eventually

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
    readied = re.search(r"^db: ready after ([\d.]+) s", done.stdout, re.MULTILINE)
    assert readied is not None, done.stdout
    assert float(readied[1]) >= 0.05  # what it sleeps; a busy machine takes longer
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
    with server.ctl_beside("wait", "slow", "--for", "ready") as waiting:
        eventually(lambda: server.subscriptions() == 1)

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
