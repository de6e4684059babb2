"""kill -9 at every step of a build: the next command cleans up, the next build is right."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.runtime import Runtime, busybox
from tests.support.scripts import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox")]

# Where each is called; `test_every_step_is_walked` holds this list against the sources.
BUILDER = (
    *("builder-forked", "builder-answers", "builder-hears-result", "builder-writes"),
    "builder-wrote",
)
WORKER = (
    *("build-step-begun", "build-running", "build-ran", "build-step-done", "build-layer-made"),
    "build-instruction-done",
)
CONTAINER = ("network-reserved", "cgroup-made", "forked", "network-attached", "init-mounts")
DOCKERFILE = """\
FROM busybox
COPY file /copied
WORKDIR /work
RUN --mount=type=cache,target=/cache echo run > ran && ip link show eth0
CMD ["cat", "/work/ran"]
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    made = Runtime(tmp_path_factory.mktemp("faults"))
    made.import_tar("busybox", busybox())
    yield made
    made.close()


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text(f"{tmp_path}\n")  # nothing of this build is in the cache
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    return tmp_path


def listed(directory: Path) -> list[str]:
    return os.listdir(directory) if directory.exists() else []


def workers(runtime: Runtime) -> list[str]:
    """Return the ids of the workers that are there, or have left something."""
    return listed(runtime.root / "run/containers")


def assert_nothing_is_left(runtime: Runtime, ids: list[str]) -> None:
    assert workers(runtime) == []
    assert listed(runtime.root / "build/work") == []
    assert [path for each in ids for path in runtime.remains(each)] == []
    assert runtime.leases() == []
    assert runtime.links() == []
    assert str(runtime.root) not in Path("/proc/mounts").read_text()


def assert_the_next_build_is_right(runtime: Runtime, context: Path) -> None:
    runtime("build", "--tag", "built", str(context))

    files = runtime.run("--no-init", "built", "cat", "/copied", "/work/ran").stdout
    assert files == f"{(context / 'file').read_text()}run\n"
    layers = {name for name in os.listdir(runtime.root / "layers") if name.startswith(".tmp-")}
    runtime("image", "prune", "--force")
    assert not layers & set(os.listdir(runtime.root / "layers"))


@pytest.mark.parametrize("step", [*BUILDER, *WORKER, *CONTAINER])
def test_nothing_is_left_of_a_build_killed_at(runtime: Runtime, step: str, context: Path) -> None:
    done = runtime.killed_at(step, "build", "--tag", "built", str(context))

    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    eventually(lambda: runtime.processes() == [])
    ids = workers(runtime)
    runtime("ps", "--all")  # the next command
    assert_nothing_is_left(runtime, ids)
    assert_the_next_build_is_right(runtime, context)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_build_clears_up_itself(
    runtime: Runtime, context: Path, number: int
) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nRUN echo begun; sleep 1000\n")
    command = runtime.popen("build", str(context), stderr=subprocess.PIPE)
    with command:
        assert command.stderr is not None
        while not command.stderr.readline().endswith(b" begun\n"):
            continue
        ids = workers(runtime)

        command.send_signal(number)
        command.stderr.read()

    assert command.returncode == 130
    assert len(ids) == 1
    assert_nothing_is_left(runtime, ids)


def test_every_step_is_walked() -> None:
    found: set[str] = set()
    for path in (ROOT / "runtime/builder").rglob("*.py"):
        found |= set(re.findall(r'reached\("([a-z-]+)"\)', path.read_text()))

    assert found == {*BUILDER, *WORKER}
