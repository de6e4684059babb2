"""Health checks: of the image and of the command line, and what becomes of them."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.runtime import Runtime, busybox

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox")]

OFTEN = ("--net", "none", "--health-interval", "20ms")
WELL = "test -e /tmp/well && echo well"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    made = Runtime(tmp_path_factory.mktemp("health"))
    made.import_tar("busybox", busybox())
    yield made
    made.close()


@pytest.fixture
def runtime(store: Runtime) -> Iterator[Runtime]:
    yield store
    for container_id in store.containers():
        store("rm", "--force", container_id)


def health(runtime: Runtime, container: str) -> dict[str, Any]:
    found = runtime("inspect", "--format", "{{json .State.Health}}", container).stdout
    return dict(json.loads(found) or {})


def await_health(runtime: Runtime, container: str, status: str) -> None:
    eventually(lambda: health(runtime, container)["Status"] == status)


def shown(runtime: Runtime) -> str:
    return runtime("ps", "--format", "{{.Status}}").stdout.strip()


def test_a_container_gets_well_ill_and_well_again(runtime: Runtime) -> None:
    often = (*OFTEN, "--health-cmd", WELL, "--health-retries", "2")
    container = runtime.start(*often, "busybox", "sleep", "1000")
    await_health(runtime, container, "unhealthy")
    ill = health(runtime, container)
    assert shown(runtime).endswith("(unhealthy)")

    runtime("exec", container, "touch", "/tmp/well")
    await_health(runtime, container, "healthy")
    well = health(runtime, container)

    assert ill["FailingStreak"] >= 2
    assert {entry["ExitCode"] for entry in ill["Log"]} == {1}
    assert shown(runtime).endswith("(healthy)")
    assert well["FailingStreak"] == 0
    assert (well["Log"][-1]["ExitCode"], well["Log"][-1]["Output"]) == (0, "well\n")
    assert len(well["Log"]) <= 5
    assert runtime("ps", "-q", "--filter", "health=healthy").stdout.strip() == container[:12]


def test_a_container_is_starting_before_its_first_check(runtime: Runtime) -> None:
    runtime.start("--net", "none", "--health-cmd", "true", "busybox", "sleep", "1000")

    assert shown(runtime).endswith("(health: starting)")


def test_the_images_check_is_run_as_it_says(runtime: Runtime, tmp_path: Path) -> None:
    archive = tmp_path / "rootfs.tar"
    archive.write_bytes(busybox())
    check = 'HEALTHCHECK --interval=20ms CMD ["test", "-e", "/tmp"]'
    runtime("import", "-c", check, str(archive), "checked")
    container = runtime.start("--net", "none", "checked", "sleep", "1000")

    await_health(runtime, container, "healthy")

    config = json.loads(runtime("inspect", container).stdout)[0]["Config"]["Healthcheck"]
    assert config == {"Test": ["CMD", "test", "-e", "/tmp"], "Interval": 20_000_000}
    without = runtime.start("--net", "none", "--no-healthcheck", "checked", "sleep", "1000")
    assert "Health" not in json.loads(runtime("inspect", without).stdout)[0]["State"]


def test_a_check_that_takes_too_long_is_ended(runtime: Runtime) -> None:
    slow = (*OFTEN, "--health-timeout", "50ms", "--health-cmd", "echo began; sleep 777")
    container = runtime.start(*slow, "--health-retries", "1", "busybox", "sleep", "1000")

    await_health(runtime, container, "unhealthy")

    entry = health(runtime, container)["Log"][0]
    assert (entry["ExitCode"], entry["Output"]) == (-1, "Health check exceeded timeout (0.05s)")
    # The next check may run already, but never more than one.
    assert runtime("top", container).stdout.count("sleep 777") <= 2


def test_a_check_that_says_much_is_cut_and_goes_on(runtime: Runtime) -> None:
    loud = "head -c 3000000 /dev/zero | tr '\\0' x; touch /tmp/through"
    container = runtime.start(*OFTEN, "--health-cmd", loud, "busybox", "sleep", "1000")

    await_health(runtime, container, "healthy")

    assert health(runtime, container)["Log"][0]["Output"] == "x" * 4096
    runtime("exec", container, "test", "-e", "/tmp/through")


def test_a_check_that_cannot_be_run_says_why(runtime: Runtime) -> None:
    container = runtime.start(
        *OFTEN, "--health-cmd", "x", "--health-retries", "1", "busybox", "sleep", "1000"
    )
    runtime("exec", container, "rm", "/bin/sh")

    eventually(lambda: health(runtime, container)["Log"][-1]["ExitCode"] == -1)

    assert "cannot start '/bin/sh'" in health(runtime, container)["Log"][-1]["Output"]


def test_a_slow_check_keeps_nothing_waiting(runtime: Runtime) -> None:
    slow = (*OFTEN, "--health-cmd", "touch /tmp/began; sleep 1000")
    container = runtime.start(*slow, "busybox", "sleep", "1000")
    eventually(
        lambda: not runtime("exec", container, "test", "-e", "/tmp/began", check=False).returncode
    )

    assert runtime("exec", container, "echo", "here").stdout == "here\n"
    runtime("pause", container)
    runtime("unpause", container)
    runtime("stop", container)

    assert health(runtime, container)["Status"] == "unhealthy"
    runtime("rm", container)
    assert runtime.remains(container) == []


def test_a_paused_container_is_not_checked(runtime: Runtime) -> None:
    container = runtime.start(
        *OFTEN, "--health-cmd", "echo x >> /tmp/checks", "busybox", "sleep", "1000"
    )
    await_health(runtime, container, "healthy")

    runtime("pause", container)
    before = health(runtime, container)
    assert shown(runtime).endswith("(Paused)")
    runtime("unpause", container)
    eventually(lambda: health(runtime, container)["Log"] != before["Log"])

    assert health(runtime, container)["Status"] == "healthy"


def test_a_killed_monitor_leaves_no_prober(runtime: Runtime) -> None:
    container = runtime.start(*OFTEN, "--health-cmd", "sleep 1000", "busybox", "sleep", "1000")
    eventually(lambda: "sleep 1000" in runtime("top", container).stdout.replace("\n", " ", 2))

    os.kill(runtime.state(container).monitor_pid, signal.SIGKILL)

    eventually(lambda: runtime.processes() == [])
    assert "Exited (137)" in runtime("ps", "-a", "--format", "{{.Status}}").stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--no-healthcheck", "--health-cmd", "x"), "--no-healthcheck and --health-cmd exclude"),
        (("--health-interval", "-1s"), "--health-interval: '-1s' is less than 1ms"),
        (("--health-timeout", "soon"), "--health-timeout: 'soon' is no duration"),
        (("--health-retries", "-1"), "--health-retries"),
    ],
)
def test_what_makes_no_sense_is_refused(
    runtime: Runtime, options: tuple[str, ...], said: str
) -> None:
    done = runtime("run", *options, "busybox", "true", check=False)

    assert done.returncode == 125
    assert said in done.stderr
