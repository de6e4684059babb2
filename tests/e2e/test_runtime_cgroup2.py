"""Containers where cgroup version 2 is what there is.

On a machine with both, version 2 is laid over /sys/fs/cgroup in a mount namespace: it has no
controllers there, so limits are said not to be kept; everything else is as on a machine with
version 2 alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.runtime import Runtime, busybox
from tests.support.scripts import PROGRAMS

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox")]

_MAIN = "import sys; from runtime.cli.main import main; sys.exit(main())"


class UnderVersion2(Runtime):
    """`runtime` that sees version 2 at /sys/fs/cgroup."""

    def command(self, *arguments: str, program: list[str] | None = None) -> list[str]:
        """Return the command line for *arguments*."""
        plain = super().command(*arguments, program=program)
        if Path("/sys/fs/cgroup/cgroup.controllers").exists():
            return plain
        over = 'mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", over, "sh", *plain]


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UnderVersion2]:
    made = UnderVersion2(tmp_path_factory.mktemp("cgroup2"))
    made.import_tar("busybox", busybox())
    yield made
    made.close()


def test_a_container_sees_its_own_group_alone(runtime: UnderVersion2) -> None:
    script = (
        "cat /proc/self/cgroup; grep cgroup2 /proc/mounts; cat /sys/fs/cgroup/cgroup.procs | wc -l"
    )

    done = runtime.run("busybox", "sh", "-c", script)

    lines = done.stdout.splitlines()
    assert "0::/" in lines
    assert any(line.startswith("cgroup /sys/fs/cgroup cgroup2 ro,") for line in lines)
    assert int(lines[-1]) < 6


def test_devices_are_limited(runtime: UnderVersion2) -> None:
    done = runtime.run("busybox", "sh", "-c", "mknod /k c 1 11 && cat /k; cat /dev/null")

    assert done.stderr == "cat: can't open '/k': Operation not permitted\n"


def test_without_bpf_nothing_runs(runtime: UnderVersion2) -> None:
    """Nothing else limits devices here."""
    number = {"x86_64": "321", "aarch64": "280"}[os.uname().machine]
    without = [sys.executable, str(PROGRAMS / "without_syscalls.py"), number, "--"]

    done = runtime.run(
        "busybox", "true", check=False, program=[*without, sys.executable, "-c", _MAIN]
    )

    assert (done.returncode, done.stdout) == (125, "")
    assert (
        "cannot limit what the container does with devices: the kernel takes no BPF program:"
        " bpf: Function not implemented" in done.stderr
    )


def test_a_container_is_paused_entered_and_stopped(runtime: UnderVersion2) -> None:
    container = runtime.start("--net", "none", "busybox", "sh", "-c", "while :; do echo; done")

    runtime("pause", container)
    log = runtime.root / "containers" / container / "log.json"
    eventually(lambda: runtime.state(container).status == "paused")
    runtime("unpause", container)
    before = log.stat().st_size
    eventually(lambda: log.stat().st_size != before)
    shown = runtime("exec", container, "cat", "/proc/self/cgroup").stdout
    runtime("stop", "--time", "1", container)

    assert "0::/\n" in shown
    assert runtime.state(container).status == "exited"
    runtime("rm", container)


def test_nothing_is_left_of_a_start_killed_in_the_middle(
    runtime: UnderVersion2, tmp_path: Path
) -> None:
    for number, step in enumerate(("cgroup-made", "forked", "init-namespaces", "started")):
        id_file = tmp_path / str(number)
        arguments = ("run", "--rm", "--net", "none", "--cidfile", str(id_file), "busybox", "true")
        assert runtime.killed_at(step, *arguments).returncode != 0
        runtime("ps")

        left = list(Path("/sys/fs/cgroup").glob(f"**/{id_file.read_text()}"))
        assert left == []
        assert runtime.remains(id_file.read_text()) == []
