"""supervisectl as a program: logs, events, and what goes on and on."""

from __future__ import annotations

import json
import os
import signal
import subprocess

from tests.support.control import ControlServer, ctl_command
from tests.support.eventually import eventually


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
    with server.ctl_beside("logs", "-f", "-n", "0", "stubborn") as following:
        eventually(lambda: server.subscriptions() == 1)

        server.ctl("start", "stubborn")

        assert following.stdout is not None
        assert following.stdout.readline() == "stubborn | hello from stubborn\n"
        following.send_signal(signal.SIGINT)
        assert following.communicate(timeout=10) == ("", "stubborn | a complaint\n")
        assert following.returncode == 130


def test_following_everything_includes_services_to_come(server: ControlServer) -> None:
    with server.ctl_beside("logs", "-f", "-n", "0") as following:
        eventually(lambda: server.subscriptions() == 2)
        server.ctl("apply")

        server.ctl("start", "cache")

        assert following.stdout is not None
        assert following.stdout.readline() == "cache    | hello from cache\n"


def test_events_for_people_and_for_programs(shared: ControlServer) -> None:
    people = shared.ctl("events").stdout
    programs = [json.loads(line) for line in shared.ctl("events", "--json").stdout.splitlines()]

    assert "service.ready          service=db after=0.05" in people
    assert {"service.started", "control.listening"} <= {event["name"] for event in programs}


def test_events_can_be_followed(server: ControlServer) -> None:
    with server.ctl_beside("events", "-f", "--json") as following:
        eventually(lambda: server.subscriptions() == 1)

        server.ctl("start", "migrate")

        assert following.stdout is not None
        names = (json.loads(line)["name"] for line in following.stdout)
        assert "service.completed" in names


def test_watch_appends_the_rows_that_changed(server: ControlServer) -> None:
    with server.ctl_beside("status", "--watch", "web", "stubborn") as watching:
        assert watching.stdout is not None
        for _ in range(3):
            watching.stdout.readline()

        server.ctl("start", "stubborn")

        assert watching.stdout.readline().split()[:2] == ["stubborn", "running"]


def test_the_end_of_the_reader_ends_a_follower_quietly(server: ControlServer) -> None:
    with server.ctl_beside("logs", "-f", "-n", "0", "web") as following:
        eventually(lambda: server.subscriptions() == 1)
        assert following.stdout is not None
        assert following.stderr is not None
        following.stdout.close()

        server.ctl("signal", "USR2", "web")

        assert following.wait(10) == 141
        assert following.stderr.read() == ""
