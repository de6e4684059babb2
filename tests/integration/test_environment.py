"""What a container's environment takes away: corner cases 38 to 46 and 48 to 49."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.support import procfs
from tests.support.bench import Bench
from tests.support.eventually import eventually
from tests.support.scripts import ROOT, write_scripts

pytestmark = pytest.mark.integration

ONE_SLEEPER = """
    services:
      sleeper: {command: [sleep, "3600"]}
"""


@pytest.mark.needs("tini")
def test_under_another_init_it_is_a_subreaper_and_carries_on(bench: Bench) -> None:
    pid1 = bench.supervise(
        """
        exit: never
        services: {parent: {command: [setsid_grandchild.sh, told, once], restart: "no"}}
        """,
        prefix=("tini", "--"),
    )
    pid1.wait_state("parent", "exited")

    supervise = pid1.init()
    assert supervise != pid1.pid
    assert [process.parent for process in pid1.find("grandchild")] == [supervise]
    assert pid1.terminate() == 0
    assert bench.file("told") == "SIGTERM\n"


@pytest.mark.needs("root")
def test_it_runs_as_any_user_without_a_passwd_row(bench: Bench) -> None:
    pid1 = bench.supervise(ONE_SLEEPER, prefix=bench.as_user(12345, 0))

    assert pid1.status()["sleeper"]["state"] == "running"
    sleeper = pid1.find("sleep")[0].pid
    assert procfs.status(sleeper)["Uid"].split()[0] == "12345"
    assert pid1.terminate() == 0


@pytest.mark.needs("root")
def test_a_service_runs_as_a_number_without_a_passwd_row(bench: Bench) -> None:
    pid1 = bench.supervise(
        "services: {sleeper: {command: [sleep, '3600'], user: '4321:4322', working_dir: /}}"
    )

    sleeper = eventually(lambda: pid1.find("sleep"))[0].pid
    status = procfs.status(sleeper)
    assert status["Uid"].split() == ["4321"] * 4
    assert status["Gid"].split() == ["4322"] * 4
    assert status["Groups"].split() in ([], ["4322"])


READ_ONLY = (
    "sh",
    "-c",
    'mount -o remount,bind,ro / && mount -o remount,ro /run && exec "$@"',
    "sh",
)


@pytest.mark.needs("root")
def test_it_runs_on_a_read_only_root_without_any_writable_directory(bench: Bench) -> None:
    pid1 = bench.supervise(ONE_SLEEPER, prefix=READ_ONLY)

    assert pid1.status()["sleeper"]["state"] == "running"
    assert pid1.terminate() == 0


@pytest.mark.needs("root")
def test_it_runs_read_only_as_any_user_without_capabilities(bench: Bench) -> None:
    without = ("--bounding-set=-all", "--no-new-privs", "--inh-caps=-all")
    open_up, user = _parted(bench.as_user(12345, 0, *without))

    pid1 = bench.supervise(ONE_SLEEPER, prefix=(*open_up, *READ_ONLY, *user))

    assert pid1.status()["sleeper"]["state"] == "running"
    assert pid1.console.count("\n") <= 3
    assert pid1.terminate() == 0


def _parted(prefix: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split a prefix after its ``--``."""
    end = prefix.index("--") + 1
    return prefix[:end], prefix[end:]


def test_it_runs_without_proc(bench: Bench) -> None:
    hidden = ("sh", "-c", 'umount -l /proc && exec "$@"', "sh")
    bench.write("supervise.yaml", "services: {p: {command: [setsid_grandchild.sh, told]}}")

    pid1 = bench.start(["supervise", "-c", "supervise.yaml"], prefix=hidden)

    pid1.wait_for("ready")
    assert pid1.terminate() == 0
    assert bench.file("told") == "SIGTERM\n"


PIDFD_SEND_SIGNAL, PIDFD_OPEN, CLOSE_RANGE = "424", "434", "436"


def test_it_runs_where_newer_system_calls_are_missing(bench: Bench) -> None:
    filtered = ("without_syscalls.py", PIDFD_SEND_SIGNAL, PIDFD_OPEN, CLOSE_RANGE, "--")

    pid1 = bench.supervise(
        "services: {p: {command: [setsid_grandchild.sh, told]}}", prefix=filtered
    )
    pid1.wait_for("ready")
    stopped = pid1.ctl("stop", "p")

    assert stopped.returncode == 0, stopped
    assert bench.file("told") == "SIGTERM\n"
    assert pid1.terminate() == 0


def test_what_docker_exec_left_behind_is_told_and_reaped(bench: Bench) -> None:
    pid1 = bench.supervise(ONE_SLEEPER)
    pid1.status()
    pid1.run("sh", "-c", "setsid_grandchild.sh told once >/dev/null 2>&1")
    grandchild = int(bench.file("told.pid"))
    assert grandchild in [process.inner for process in pid1.processes()]

    assert pid1.terminate() == 0

    assert bench.file("told") == "SIGTERM\n"


def test_what_pid_1_has_is_what_children_have(bench: Bench) -> None:
    inherited = ("sh", "-c", 'umask 027; exec "$@"', "sh", "nice", "-n", "3")

    bench.supervise(
        "services: {shows: {command: [show_start.py], restart: 'no', environment: {SHOW_START_FILE: facts}}, s: {command: [sleep, '3600']}}",
        prefix=inherited,
    )

    facts = json.loads(eventually(lambda: bench.file("facts")))
    mine = os.nice(0)  # `nice -n` adds to what the tests have themselves
    assert (facts["umask"], facts["nice"], facts["blocked"]) == (0o027, mine + 3, 0)


@pytest.mark.needs("root")
def test_a_service_has_what_its_keys_ask_for(bench: Bench) -> None:
    bench.directory.chmod(0o777)

    bench.supervise(
        prefix=bench.opened_up(),
        config="""
        services:
          shows:
            command: [show_start.py]
            restart: "no"
            user: nobody
            working_dir: /tmp
            umask: "077"
            environment: {SHOW_START_FILE: HERE/facts}
            ulimits: {nofile: {soft: 100, hard: 200}}
            nice: 5
            oom_score_adj: 500
            cpus_allowed: [0]
            no_new_privileges: true
          sleeper: {command: [sleep, "3600"]}
    """.replace("HERE", str(bench.directory)),
    )

    facts = json.loads(eventually(lambda: bench.file("facts")))
    assert (facts["umask"], facts["nice"], facts["oom_score_adj"]) == (0o077, 5, 500)
    assert (facts["cwd"], facts["nofile"], facts["cpus"]) == ("/tmp", [100, 200], [0])
    assert (facts["no_new_privileges"], facts["capabilities"]) == ("1", "0" * 16)
    assert facts["uid"] == [65534] * 3
    assert facts["environment"]["USER"] == "nobody"
    assert facts["environment"]["HOME"] == "/nonexistent"


def test_a_clock_that_is_set_back_an_hour_delays_nothing(bench: Bench) -> None:
    bench.write(
        "supervise.yaml",
        """
        services:
          sleeper: {command: [sleep, "3600"], backoff: {initial: 100ms}}
          talker: {command: {shell: "while :; do echo word; sleep 0.02; done"}}
          checked:
            command: [sleep, "3601"]
            healthcheck: {test: [CMD, test, "!", -e, turned], interval: 50ms, retries: 1}
        """,
    )
    pid1 = bench.start(["turned_clock.py", "turned", "--", "-c", "supervise.yaml"])
    eventually(lambda: pid1.status()["checked"]["health"] == "healthy")

    bench.write("turned", "")
    os.kill(pid1.find("sleep", "3600")[0].pid, signal.SIGKILL)

    eventually(lambda: pid1.status()["sleeper"]["restarts"] == 1)
    eventually(lambda: pid1.status()["checked"]["health"] == "unhealthy")
    assert "word" in pid1.ctl("logs", "-n", "1", "talker").stdout
    assert pid1.ctl("stop", "sleeper").returncode == 0
    assert pid1.terminate() == 0


def test_it_outlives_its_own_files(bench: Bench, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(ROOT / "supervise", copy / "supervise")
    scripts = write_scripts(tmp_path / "bin", root=copy)
    pid1 = bench.supervise(
        """
        services:
          sleeper: {command: [sleep, "3600"], backoff: {initial: 0s}}
          broken: {command: [no-such-program], restart: "no"}
        """,
        environment={"PATH": f"{scripts}:{bench.search_path}"},
    )
    before = eventually(lambda: pid1.find("sleep"))[0].pid
    pid1.status()  # the control socket is the last to be imported

    shutil.rmtree(copy)
    scripts.joinpath("supervisectl").unlink()  # the client found next on the PATH is whole
    os.kill(before, signal.SIGKILL)

    eventually(lambda: pid1.status()["sleeper"]["restarts"] == 1)
    assert pid1.ctl("explain", "broken").returncode == 0
    assert pid1.ctl("stop", "sleeper").returncode == 0
    assert "fault" not in pid1.console
    pid1.signal(signal.SIGTERM)
    assert pid1.wait() in {0, 127}
