"""Files that are exchanged while the launcher mounts: no file of the machine's kernel is written.

Another container that shares a volume or a cache would do the exchanging; here it is a process on
the host, which is faster.  The value that the links lead to is harmless, and put back in any case.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.attack import SECONDS, rounds
from tests.support.runtime import Runtime, busybox
from tests.support.scripts import PROGRAMS

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox")]

HOST_VALUE = Path("/proc/sys/vm/stat_interval")
# What lies in the container's /proc beside our masks, as the container sees it.
_WRITE_ALL = (
    "grep '^proc /proc/.* rw' /proc/mounts | cut -d' ' -f2 | while read -r p; do"
    " [ -f $p ] && echo 7 > $p && echo written $p; done;"
    " ls -d /proc/sys/net; grep -c ' /proc' /proc/mounts; exit 0"
)


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    made = Runtime(tmp_path_factory.mktemp("mounts"))
    made.import_tar("bb", busybox())
    yield made
    made.close()


@pytest.fixture(autouse=True)
def host_value() -> Iterator[None]:
    """Hold the machine's value against a lost race, and put it back."""
    before = HOST_VALUE.read_text()
    yield
    after = HOST_VALUE.read_text()
    if after != before:
        HOST_VALUE.write_text(before)
    assert after == before


@contextmanager
def exchanging(first: Path, second: Path) -> Iterator[None]:
    """Exchange two files for as long as this lasts."""
    program = [sys.executable, "-S", str(PROGRAMS / "exchange.py"), str(first), str(second)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield
    finally:
        assert process.poll() is None, "it could not exchange them"
        process.kill()
        process.wait()
        process.stdout.close()


def attack(runtime: Runtime, seconds: float, *options: str) -> set[int]:
    """Start containers until time is up; return the exit codes. Each failure is a sentence."""
    codes = set()
    expected = runtime.run("--no-init", "bb", "sh", "-c", _WRITE_ALL).stdout
    for _ in rounds(seconds):
        done = runtime.run("--no-init", *options, "bb", "sh", "-c", _WRITE_ALL, check=False)
        codes.add(done.returncode)
        assert HOST_VALUE.read_text() != "7\n"
        if done.returncode:
            assert done.returncode == 125, done
            assert done.stderr.startswith("runtime: cannot "), done.stderr
            assert "reset by peer" not in done.stderr
        else:
            assert done.stdout == expected
    return codes


def test_a_null_device_that_becomes_a_link(runtime: Runtime, tmp_path: Path) -> None:
    """The masks were mounted from the path /dev/null."""
    subprocess.run(["mknod", tmp_path / "null", "c", "1", "3"], check=True)
    (tmp_path / "link").symlink_to(HOST_VALUE)

    with exchanging(tmp_path / "null", tmp_path / "link"):
        codes = attack(runtime, SECONDS, "-v", f"{tmp_path}:/dev")

    assert codes == {125}


@pytest.mark.parametrize("lead", ["/proc/sys/net/ipv4", "/proc", "/dev"])
def test_a_place_that_becomes_a_link(runtime: Runtime, tmp_path: Path, lead: str) -> None:
    """What was opened is what is looked at and mounted on."""
    shared, planted = tmp_path / "shared", tmp_path / "planted"
    (shared / "place").mkdir(parents=True)
    (shared / "link").symlink_to(lead)
    planted.mkdir()
    for name in ("ip_unprivileged_port_start", "ping_group_range", "null"):
        (planted / name).symlink_to(HOST_VALUE)

    with exchanging(shared / "place", shared / "link"):
        codes = attack(
            *(runtime, SECONDS / 2, "-v", f"{shared}:/shared", "-v", f"{planted}:/shared/place")
        )

    assert codes <= {0, 125}


def test_what_masks_lie_on_becomes_a_link(runtime: Runtime, tmp_path: Path) -> None:
    """A mount on /sys is allowed: its files are no places for masks."""
    (tmp_path / "firmware").mkdir()
    (tmp_path / "link").symlink_to("/proc/sys/vm")

    with exchanging(tmp_path / "firmware", tmp_path / "link"):
        codes = attack(runtime, SECONDS / 2, "-v", f"{tmp_path}:/sys")

    assert codes == {0}


def test_a_device_whose_directory_becomes_a_link(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "link").symlink_to("/etc")

    with exchanging(tmp_path / "place", tmp_path / "link"):
        codes = attack(
            *(runtime, SECONDS / 2, "-v", f"{tmp_path}:/v", "--device", "/dev/zero:/v/place/node")
        )

    assert codes == {0}
