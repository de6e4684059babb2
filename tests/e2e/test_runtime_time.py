"""Commands from another time namespace: the same containers, the same leases."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.runtime import Runtime, busybox

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox")]

MAIN = "import sys; from runtime.cli.main import main; sys.exit(main())"
EARLIER, LATER = "100000", "-1"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    made = Runtime(tmp_path_factory.mktemp("time"))
    made.import_tar("busybox", busybox())
    yield made
    made.close()


def elsewhere(
    runtime: Runtime, boot_time: str, *words: str, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run the command where the machine's boot seems that many seconds earlier."""
    enter = ["unshare", "--time", "--boottime", boot_time]
    return runtime(*words, check=check, program=[*enter, sys.executable, "-c", MAIN])


@pytest.mark.parametrize("boot_time", [EARLIER, LATER])
def test_a_container_is_found_from_another_time_namespace(
    runtime: Runtime, boot_time: str, tmp_path: Path
) -> None:
    container = runtime.start("--net", "none", "busybox", "sh", "-c", "echo hi > /hi; sleep 1000")

    said = elsewhere(runtime, boot_time, "exec", container, "echo", "fine").stdout
    elsewhere(runtime, boot_time, "cp", f"{container}:/proc/1/comm", str(tmp_path / "comm"))
    elsewhere(runtime, boot_time, "rm", "-f", container)

    assert said == "fine\n"
    assert (tmp_path / "comm").exists()  # of the running one: a stopped one has no /proc
    assert container not in runtime.containers()


def test_one_that_was_started_there_is_found_here(runtime: Runtime) -> None:
    container = elsewhere(
        runtime, EARLIER, "run", "-d", "--net", "none", "busybox", "sleep", "1000"
    ).stdout.strip()

    said = runtime("exec", container, "echo", "fine").stdout

    runtime("rm", "-f", container)
    assert said == "fine\n"


def test_who_holds_a_lease_is_known_from_another_time_namespace(runtime: Runtime) -> None:
    container = runtime.start("-p", "8080:80", "--name", "web", "busybox", "sleep", "1000")
    before = runtime.leases()

    second = ("run", "--rm", "-p", "8080:80", "busybox", "true")
    done = elsewhere(runtime, EARLIER, *second, check=False)

    assert "port 8080 is in use by container 'web'" in done.stderr
    assert runtime.leases() == before
    runtime("rm", "-f", container)
