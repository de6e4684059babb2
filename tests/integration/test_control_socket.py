"""Where a real supervise puts its control socket, and that supervisectl finds it there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bench import Bench
from tests.support.eventually import eventually
from tests.support.pid1 import Pid1

pytestmark = [pytest.mark.integration, pytest.mark.needs("root")]

CONFIG = """
services:
  web:
    command: [sleep, "1000"]
"""
USER = 54321


@pytest.fixture
def fallback() -> Iterator[Path]:
    """Where supervise of USER listens in /tmp; nothing of it is there before and after."""
    directory = Path(f"/tmp/supervise-{USER}")
    shutil.rmtree(directory, ignore_errors=True)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def place_of(pid1: Pid1) -> str:
    """Return the place supervise announces, as its own client sees it."""
    eventually(lambda: pid1.ctl("status", "web").returncode == 0)
    lines = pid1.ctl("events", "--json").stdout.splitlines()
    listening = next(line for line in lines if "control.listening" in line)
    return listening.partition('"socket": "')[2].partition('"')[0]


def test_root_listens_below_run_for_root_alone(bench: Bench) -> None:
    pid1 = bench.supervise(CONFIG)

    assert place_of(pid1) == "/run/supervise/control.sock"
    modes = pid1.run("stat", "-c", "%a %U", "/run/supervise", "/run/supervise/control.sock")
    assert modes.stdout == "755 root\n600 root\n"


def test_the_configuration_may_name_the_socket(bench: Bench) -> None:
    socket = f"{bench.directory}/here.sock"
    pid1 = bench.supervise(f"control: {{socket: {socket}}}\n{CONFIG}")

    # The file is there a moment before anybody listens.
    eventually(lambda: pid1.ctl("--socket", socket, "status", "web").returncode == 0)
    assert pid1.run("test", "-e", "/run/supervise/control.sock").returncode == 1


def test_a_place_that_cannot_be_had_is_said_and_replaced(bench: Bench) -> None:
    pid1 = bench.supervise(f"control: {{socket: /proc/none/s}}\n{CONFIG}")

    assert place_of(pid1) == "/run/supervise/control.sock"
    pid1.wait_for("listening on '/run/supervise/control.sock' instead")


def test_a_user_without_run_listens_in_the_runtime_directory(bench: Bench) -> None:
    runtime = {"XDG_RUNTIME_DIR": str(bench.directory)}
    pid1 = bench.supervise(CONFIG, prefix=bench.as_user(USER, 0), environment=runtime)

    assert place_of(pid1) == f"{bench.directory}/supervise/control.sock"


def test_without_that_it_is_tmp(bench: Bench, fallback: Path) -> None:
    pid1 = bench.supervise(CONFIG, prefix=bench.as_user(USER, 0))

    assert place_of(pid1) == f"{fallback}/control.sock"


def test_a_directory_planted_in_tmp_is_not_used_but_the_abstract_socket(
    bench: Bench, fallback: Path
) -> None:
    fallback.mkdir()
    os.chown(fallback, 4711, 4711)

    pid1 = bench.supervise(CONFIG, prefix=bench.as_user(USER, 0))

    assert place_of(pid1).startswith(f"@supervise-{USER}-")


def test_members_of_the_operators_group_may_do_everything(bench: Bench) -> None:
    bench.as_user(0, 0)
    pid1 = bench.supervise(f"control: {{operators: [{USER}]}}\n{CONFIG}", prefix=bench.opened_up())
    eventually(lambda: pid1.ctl("status", "web").returncode == 0)

    def as_user(group: int) -> int:
        identity = ("--reuid=4711", "--regid=4711", f"--groups={group}")
        return pid1.run("setpriv", *identity, "supervisectl", "restart", "web").returncode

    assert as_user(USER) == 0
    assert as_user(4712) == 5
    pid1.wait_for("Refused a client (uid 4711")


def test_a_client_that_comes_before_the_socket_waits_for_it(bench: Bench) -> None:
    many = "".join(f"  s{n}: {{command: [x], autostart: false}}\n" for n in range(800))
    path = bench.write("supervise.yaml", f"services:\n  web: {{command: [sleep, '9']}}\n{many}")

    pid1 = bench.start(["supervise", "-c", str(path)])

    assert pid1.ctl("wait", "web", "--for", "started").returncode == 0
