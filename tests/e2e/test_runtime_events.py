"""`runtime events`: what happened, told in order, as it happens and afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from runtime.store import events
from tests.support.eventually import eventually
from tests.support.runtime import Runtime, busybox

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox")]

_SINCE = ("events", "--since", "0", "--until", "0s")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    made = Runtime(tmp_path_factory.mktemp("events"))
    made.import_tar("busybox", busybox())
    yield made
    made.close()


@pytest.fixture
def runtime(store: Runtime) -> Iterator[Runtime]:
    yield store
    for container_id in store.containers():
        store("rm", "--force", container_id)


def told(runtime: Runtime, *options: str) -> list[dict[str, Any]]:
    lines = runtime(*_SINCE, "--format", "json", *options).stdout.splitlines()
    return [json.loads(line) for line in lines]


def actions(runtime: Runtime, container: str) -> list[str]:
    return [event["Action"] for event in told(runtime, "--filter", f"container={container}")]


def test_the_life_of_a_container_is_told_in_order(runtime: Runtime) -> None:
    container = runtime.start("--name", "web", "--label", "tier=front", "busybox", "sleep", "1000")
    runtime("exec", container, "true")
    runtime("pause", container)
    runtime("unpause", container)
    runtime("rename", "web", "shop")
    runtime("stop", container)
    runtime("rm", container)

    found = told(runtime, "--filter", f"container={container}")

    assert [event["Action"] for event in found] == [
        *("create", "start", "exec_start: true", "exec_die", "pause", "unpause", "rename"),
        *("kill", "die", "stop", "destroy"),
    ]
    attributes = [event["Actor"]["Attributes"] for event in found]
    assert attributes[0] == {"image": "busybox", "name": "web", "tier": "front"}
    assert attributes[6]["oldName"] == "web"
    assert attributes[7]["signal"] == "15"
    assert (attributes[8]["exitCode"], attributes[8]["name"]) == ("143", "shop")
    networks = told(runtime, "--filter", "network=bridge")
    joined = [e["Action"] for e in networks if e["Actor"]["Attributes"]["container"] == container]
    assert joined == ["connect", "disconnect"]


def test_events_come_as_they_happen(runtime: Runtime) -> None:
    form = "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}"
    wanted = ("--filter", "type=container", "--format", form)
    follower = runtime.popen("events", *wanted, stdout=subprocess.PIPE)
    eventually(lambda: "inotify" in _descriptors(follower.pid))
    assert follower.stdout is not None

    runtime("run", "--rm", "--net", "none", "--name", "soon", "busybox", "true")
    lines = [follower.stdout.readline().decode().strip() for _ in range(4)]
    follower.terminate()
    follower.communicate()

    assert lines == [f"container {action} soon" for action in ("create", "start", "die", "destroy")]


def _descriptors(pid: int) -> str:
    """Return what the process has open."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(entry))
        except FileNotFoundError:
            continue
    return " ".join(found)


def test_it_ends_at_the_time_given(runtime: Runtime) -> None:
    runtime.run("busybox", "true")

    assert runtime("events", "--since", "1h", "--until", "0s").stdout.count(" container die ") >= 1
    assert runtime("events", "--until", "0s").stdout == ""


def test_a_killed_monitor_is_told_by_the_next_command(runtime: Runtime) -> None:
    container = runtime.start("--net", "none", "busybox", "sleep", "1000")

    os.kill(runtime.state(container).monitor_pid, signal.SIGKILL)
    eventually(lambda: actions(runtime, container) == ["create", "start", "die"])

    died = told(runtime, "--filter", f"container={container}", "--filter", "event=die")
    assert died[0]["Actor"]["Attributes"]["exitCode"] == "137"


def test_health_is_told_when_it_changes(runtime: Runtime) -> None:
    often = ("--health-interval", "20ms", "--health-cmd", "true")
    container = runtime.start("--net", "none", *often, "busybox", "sleep", "1000")

    eventually(lambda: len(actions(runtime, container)) > 2)

    assert actions(runtime, container) == ["create", "start", "health_status: healthy"]


def test_volumes_networks_and_images_are_told(runtime: Runtime, tmp_path: Path) -> None:
    runtime("volume", "create", "things")
    runtime("volume", "rm", "things")
    runtime("network", "create", "yard")
    runtime("network", "rm", "yard")
    runtime("tag", "busybox", "other:1")
    runtime("rmi", "other:1")

    names = ("things", "yard", "other:1")
    shown = [
        (event["Type"], event["Action"])
        for event in told(runtime)
        if event["Actor"]["Attributes"].get("name", event["Actor"]["ID"]) in names
    ]

    assert shown == [
        *(("volume", "create"), ("volume", "destroy")),
        *(("network", "create"), ("network", "destroy")),
        *(("image", "tag"), ("image", "untag")),
    ]


def test_many_writers_at_once_lose_nothing_and_the_log_stays_small(runtime: Runtime) -> None:
    text = "x" * 2000

    def write(number: int) -> None:
        for step in range(100):
            events.emit(runtime.layout, "volume", "mark", f"{number}-{step}", {"text": text})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))

    directory = Path(events.directory(runtime.layout))
    marks = [event["Actor"]["ID"] for event in told(runtime, "--filter", "event=mark")]
    assert sorted(marks) == sorted(f"{number}-{step}" for number in range(4) for step in range(100))
    for _ in range(10):
        write(9)
    assert sum(path.stat().st_size for path in directory.iterdir()) < 2.1 * events.LARGEST


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--filter", "typ=image"), "did you mean 'type'?"),
        (("--filter", "type=pod"), "there are container, image, network, volume"),
        (("--since", "soon"), "--since: 'soon' is neither a time"),
        (("--since", "0", "--until", "0s", "--format", "{{.Nope}}"), "the fields are"),
    ],
)
def test_what_makes_no_sense_is_refused(
    runtime: Runtime, options: tuple[str, ...], said: str
) -> None:
    done = runtime("events", *options, check=False)

    assert done.returncode == 1
    assert said in done.stderr
