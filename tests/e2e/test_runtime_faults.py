"""kill -9 at every step of a container's life: the next command clears up what was left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.runtime import Runtime, busybox
from tests.support.scripts import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox")]

# Where each is called; `test_every_step_is_walked` holds this list against the sources.
START = (
    *("before-monitor", "monitor-start", "before-network", "network-reserved", "before-cgroup"),
    *("cgroup-made", "forked", "cgroup-entered", "network-attached", "started"),
)
CHILD = (
    *("namespaces", "sources", "overlay", "pivot", "kernel-files", "devices", "mounts"),
    *("parameters", "masks", "go", "terminal", "limits", "working-dir", "user", "privileges"),
    "last",
)
END = ("ended", "recorded", "clear-cgroup", "cleared", "before-run-directory")
ELSEWHERE = ("bundle-made", "exec-forked", "exec-entered", "exec-user")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    made = Runtime(tmp_path_factory.mktemp("faults"))
    made.import_tar("busybox", busybox())
    made("run", "--rm", "busybox", "true")  # the bundle and the bridge are there
    made.settle()
    yield made
    made.close()


def killed_run(runtime: Runtime, step: str, tmp_path: Path, *options: str) -> str:
    """Run a container on the bridge that dies at *step*; return its id."""
    id_file = tmp_path / "id"
    done = runtime.killed_at(
        step, "run", "--cidfile", str(id_file), "--publish", "8080", *options, "busybox", "true"
    )
    # What is killed after the program's end is no failure of it.
    assert done.returncode != 0 or step in END
    return id_file.read_text()


def assert_nothing_is_left(runtime: Runtime, container_id: str) -> None:
    runtime("ps", "--all")  # the next command
    runtime.settle()
    if container_id in runtime.containers():
        runtime("rm", container_id)
    assert runtime.remains(container_id) == []
    assert runtime.links() == []
    assert runtime.leases() == []
    assert "8080" not in runtime.network.sh("nft list ruleset")
    assert container_id not in Path("/proc/mounts").read_text()


@pytest.mark.parametrize("step", [*START, *(f"init-{name}" for name in CHILD), *END])
@pytest.mark.parametrize("option", ["--rm", "--name=kept"])
def test_nothing_is_left_of_a_start_killed_at(
    runtime: Runtime, step: str, option: str, tmp_path: Path
) -> None:
    container_id = killed_run(runtime, step, tmp_path, option)

    assert_nothing_is_left(runtime, container_id)


def test_every_step_is_walked() -> None:
    found: set[str] = set()
    for path in (ROOT / "runtime").rglob("*.py"):
        if "builder" in path.parts:  # tests/e2e/test_build_faults.py walks those
            continue
        found.update(re.findall(r'reached\(f?"([^"]+)"\)', path.read_text()))

    assert found == {*START, *END, *ELSEWHERE, "init-{stage}", "init-last"}


def test_a_killed_monitor_takes_its_container_along(runtime: Runtime) -> None:
    container_id = runtime.start("busybox", "sleep", "1000")
    state = runtime.state(container_id)

    os.kill(state.monitor_pid, signal.SIGKILL)
    eventually(lambda: not os.path.exists(f"/proc/{state.pid}"))

    shown = runtime("ps", "--all", "--format", "{{.Status}}").stdout
    assert shown.startswith("Exited (137)")
    assert "monitor" in runtime("inspect", "--format", "{{.State.Error}}", container_id).stdout
    assert_nothing_is_left(runtime, container_id)


def test_a_killed_command_leaves_its_container_running(runtime: Runtime, tmp_path: Path) -> None:
    id_file = tmp_path / "id"
    command = runtime.popen(
        *("run", "--rm", "--cidfile", str(id_file), "busybox", "sleep", "1000"),
        stdin=subprocess.DEVNULL,
    )
    container_id = eventually(lambda: id_file.exists() and id_file.read_text())
    eventually(lambda: runtime.state(str(container_id)).status == "running")

    command.kill()
    command.wait()

    assert runtime.containers() == [container_id]
    runtime("stop", "--time", "1", str(container_id))
    assert_nothing_is_left(runtime, str(container_id))


def test_a_killed_first_process_ends_the_container(runtime: Runtime) -> None:
    container_id = runtime.start("--name", "one", "busybox", "sleep", "1000")

    os.kill(runtime.state(container_id).pid, signal.SIGKILL)

    assert runtime("wait", "one").stdout.strip() == "137"
    assert_nothing_is_left(runtime, container_id)


def test_a_bundle_whose_builder_was_killed_is_built_anew(tmp_path: Path) -> None:
    made = Runtime(tmp_path)
    made.import_tar("busybox", busybox())
    try:
        made.killed_at("bundle-made", "run", "--rm", "--net", "none", "busybox", "true")
        assert made.run("busybox", "echo", "again").stdout == "again\n"
        assert [p.name for p in (made.root / "bundles").iterdir() if ".tmp" in p.name] == []
    finally:
        made.close()


def test_a_killed_exec_harms_nobody(runtime: Runtime) -> None:
    container_id = runtime.start("busybox", "sleep", "1000")

    runtime.killed_at("exec-forked", "exec", container_id, "true")

    assert runtime("exec", container_id, "echo", "fine").stdout == "fine\n"
    runtime("rm", "--force", container_id)
    assert_nothing_is_left(runtime, container_id)


def test_two_hundred_starts_at_once_leave_nothing(runtime: Runtime) -> None:
    with ThreadPoolExecutor(16) as pool:
        done = list(
            pool.map(
                lambda number: runtime.run("busybox", "echo", str(number), check=False),
                range(200),
            )
        )

    assert [each.stderr for each in done if each.returncode] == []
    assert [each.stdout.strip() for each in done] == [str(number) for number in range(200)]
    runtime.settle()
    assert runtime.containers() == []
    locks = [name for name in os.listdir(runtime.root / "run/locks") if "container-" in name]
    assert locks == []


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(small)], check=True)
    try:
        made = Runtime(small)
        made.import_tar("busybox", busybox())
        made("run", "--rm", "--net", "none", "busybox", "true")
        made.settle()
        filler = small / "filler"
        subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=64k"], check=False)

        refused = made.run("--no-init", "busybox", "true", check=False)

        filler.unlink()
        made.settle()
        assert refused.returncode == 125
        assert "No space left on device" in refused.stderr
        assert made.run("busybox", "echo", "again").stdout == "again\n"
        assert made.containers() == []
        made.close()
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)
