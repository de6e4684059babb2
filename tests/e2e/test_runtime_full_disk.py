"""A full disk is survived and reported: ends are recorded, and everything can be removed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.model.container.state import State
from runtime.store.containers import Containers
from tests.support.eventually import eventually
from tests.support.runtime import Runtime, busybox
from tests.support.tars import file

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox")]

_SIZE = "64m"  # the bundle of PID 1 takes some 15


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.fixture(scope="module")
def runtime(disk: Path) -> Iterator[Runtime]:
    made = Runtime(disk)
    made.import_tar("bb", busybox())
    made("run", "--rm", "--net", "none", "bb", "true")
    made.settle()
    yield made
    made.close()


def fill(disk: Path) -> Path:
    """Fill the disk to its last block with a file of somebody else."""
    path = disk / "ballast"
    with path.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    assert os.statvfs(disk).f_bavail == 0
    return path


@pytest.fixture(autouse=True)
def ballast(disk: Path) -> Iterator[Path]:
    """Return where the file is that `fill` makes; it goes with the test."""
    path = disk / "ballast"
    yield path
    path.unlink(missing_ok=True)


def status(runtime: Runtime, name: str) -> str:
    line = runtime("ps", "--all", "--filter", f"name=^{name}$", "--format", "{{.Status}}").stdout
    return line.strip()


def test_a_container_that_fills_it_has_ended_and_goes(runtime: Runtime) -> None:
    done = runtime(
        *("run", "--name", "fill", "--net", "none", "bb"),
        *("sh", "-c", "dd if=/dev/zero of=/big bs=64k; echo x >/more; exit 7"),
        check=False,
    )

    assert done.returncode == 7
    assert status(runtime, "fill").startswith("Exited (7)")
    assert runtime("wait", "fill").stdout == "7\n"
    assert runtime("stop", "fill").stdout == "fill\n"
    killed = runtime("kill", "fill", check=False)
    assert (killed.returncode, "is not running" in killed.stderr) == (1, True)
    assert "big" in runtime("diff", "fill", check=False).stdout
    runtime("rm", "fill")
    assert runtime.containers() == []


def test_what_ends_while_it_is_full_has_its_exit_code(runtime: Runtime, disk: Path) -> None:
    container_id = runtime.start("--name", "late", "--net", "none", "bb", "sleep", "1000")
    fill(disk)

    runtime("stop", "--time", "0", "late")

    assert runtime.state(container_id).status == "exited"
    assert status(runtime, "late").startswith("Exited (137)")
    runtime("rm", "--force", "late")
    assert runtime.remains(container_id) == []


def test_each_verb_says_what_it_cannot_do(runtime: Runtime, disk: Path, ballast: Path) -> None:
    runtime("create", "--name", "here", "--net", "none", "bb", "true")
    fill(disk)

    for words in ("create bb true", "run --net none bb true"):
        refused = runtime(*words.split(), check=False)
        assert refused.returncode == 125, refused
        assert "No space left on device" in refused.stderr
        assert "Traceback" not in refused.stderr
    for words in (
        "volume create more",
        "network create more",
        "tag bb other",
        "rename here there",
        "update --memory 64m here",
        "commit here other",
    ):
        refused = runtime(*words.split(), check=False)
        assert refused.returncode != 0, words
        assert "No space left on device" in refused.stderr, (words, refused.stderr)
        assert "Traceback" not in refused.stderr
    started = runtime("start", "here", check=False)
    assert started.returncode == 0 or "No space left on device" in started.stderr
    ballast.unlink()
    assert runtime("start", "--attach", "here").returncode == 0
    runtime("rm", "--force", "here")
    assert runtime.containers() == []


def test_lost_lines_and_events_are_said_once(runtime: Runtime, disk: Path, ballast: Path) -> None:
    script = "read go; for n in $(seq 2000); do echo $n; done; read go; echo end"
    with runtime.popen(
        *("run", "--name", "talks", "--interactive", "--net", "none", "bb", "sh", "-c", script),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as client:
        assert client.stdin is not None
        eventually(lambda: status(runtime, "talks").startswith("Up"))
        fill(disk)
        client.stdin.write(b"go\n")
        client.stdin.flush()
        log = Path(runtime.layout.container(runtime.containers()[0])) / "log.json"
        assert client.stdout is not None
        for _ in range(2000):
            client.stdout.readline()
        ballast.unlink()
        client.stdin.write(b"go\n")
        client.stdin.flush()
        out, err = client.communicate(timeout=60)

    assert (client.returncode, out) == (0, b"end\n")
    assert err.count(b"lines of the log are lost") == 1
    assert str(log) in err.decode()
    logged = runtime("logs", "talks")
    assert logged.stdout.endswith("end\n")
    assert logged.stderr.count("lines are missing here: the disk was full") == 1
    runtime("rm", "--force", "talks")


def test_an_image_goes_without_a_block_to_write(runtime: Runtime, disk: Path) -> None:
    runtime.import_tar("gone", busybox(file("etc/issue", b"gone")))
    fill(disk)

    runtime("rmi", "--force", "gone")

    assert "gone" not in runtime("images").stdout


def test_everything_that_was_left_goes_with_the_next_prune(runtime: Runtime, disk: Path) -> None:
    runtime("run", "--name", "old", "--net", "none", "bb", "true")
    fill(disk)

    pruned = runtime("system", "prune", "--force")

    assert "Traceback" not in pruned.stderr
    assert runtime.containers() == []


def test_a_record_is_not_believed_without_its_monitor(runtime: Runtime) -> None:
    """What a disk left unwritten: the container runs by its record, and nobody is there."""
    runtime("run", "--name", "lost", "--net", "none", "bb", "true")
    runtime.settle()
    container_id = runtime.containers()[0]
    running = State(status="running", pid=1, pid_started=1, monitor_pid=1)
    Containers(runtime.layout).save_state(container_id, running)

    assert status(runtime, "lost").startswith("Exited (137)")
    assert runtime("kill", "lost", check=False).returncode == 1
    assert runtime("start", "--attach", "lost").returncode == 0
    runtime("rm", "lost")


def test_a_monitor_without_a_record_is_ended_by_force(runtime: Runtime) -> None:
    container_id = runtime.start("--name", "unsaid", "--net", "none", "bb", "sleep", "1000")
    Containers(runtime.layout).save_state(container_id, State())

    runtime("rm", "--force", "unsaid")

    assert runtime.remains(container_id) == []
