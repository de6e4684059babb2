from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervise.linux import procfs
from tests.support.eventually import eventually
from tests.support.isolated import isolated
from tests.support.spawning import held, make_request

# Under xdist the worker has a thread more; fork and then exec is what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

GONE = 2**22 + 1  # above the kernel's highest pid_max


@contextlib.contextmanager
def family(script: str) -> Iterator[int]:
    """Run *script* in a shell that leads a session; everything in it is killed at the end."""
    shell = subprocess.Popen(["sh", "-c", script], start_new_session=True)
    try:
        yield shell.pid
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()


def ps(pid: int, *columns: str) -> list[str]:
    """Return what ps says of *pid*."""
    format_ = ",".join(f"{column}=" for column in columns)
    done = subprocess.run(
        ["ps", "-o", format_, "-p", str(pid)], check=True, capture_output=True, text=True
    )
    return done.stdout.split()


def test_stat_says_what_ps_says() -> None:
    with held(make_request("cat")) as pid:
        found = procfs.stat(pid)

        assert found is not None
        assert ps(pid, "ppid", "pgid", "sid") == [
            str(number) for number in (found.parent, found.group, found.session)
        ]


@pytest.mark.parametrize("name", ["two words", "a) R 1 (b", "))((", "x" * 40])
def test_name_with_blanks_and_brackets_confuses_nobody(name: str, tmp_path: Path) -> None:
    program = tmp_path / name
    shutil.copy("/bin/cat", program)

    with held(make_request(str(program))) as pid:
        found = procfs.stat(pid)

        assert found is not None
        assert (found.parent, found.group) == (os.getpid(), pid)
        assert procfs.command_of(pid) == name[:15]


def test_start_time_tells_two_processes_of_one_pid_apart() -> None:
    mine, init = procfs.stat(os.getpid()), procfs.stat(1)

    assert mine is not None
    assert init is not None
    assert mine.start_time > init.start_time
    assert procfs.stat(os.getpid()) == mine.replace(state="R")


def test_process_that_is_gone_is_nothing() -> None:
    assert procfs.stat(GONE) is None
    assert procfs.children(GONE) == []
    assert procfs.descendants(GONE) == []
    assert procfs.service_of(GONE) is None
    assert procfs.command_of(GONE) == ""
    assert not procfs.is_zombie(GONE)


def test_zombie_is_told_from_the_living() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert procfs.is_zombie(child.pid)
    assert not procfs.is_zombie(os.getpid())
    child.wait()


def test_descendants_are_everything_below_parents_first() -> None:
    with family(
        "sleep 99 & (setsid sh -c 'sleep 99; true') & (sh -c 'sleep 99; true'; true)"
    ) as pid:
        eventually(lambda: len(procfs.descendants(pid)) == 6)

        found = procfs.descendants(pid)

        place = {each: i for i, each in enumerate(found)}
        parents = {each: int(ps(each, "ppid")[0]) for each in found}
        assert len(place) == len(found)
        assert all(parent == pid or place[parent] < place[each] for each, parent in parents.items())
        for each in found:  # one of them left the group
            os.kill(each, signal.SIGKILL)


def test_children_are_the_direct_ones() -> None:
    with family("sleep 99 & sleep 99 & sh -c 'sleep 99; true'") as pid:
        eventually(lambda: len(procfs.descendants(pid)) == 4)

        assert len(procfs.children(pid)) == 3


def test_tree_without_the_kernels_children_files_is_the_same() -> None:
    with family("sleep 99 & sh -c 'sleep 99; true'") as pid:
        eventually(lambda: len(procfs.descendants(pid)) == 3)

        assert sorted(procfs._parents()[pid]) == sorted(procfs.children(pid))


def test_every_process_is_listed() -> None:
    with held(make_request("cat")) as pid:
        assert {1, os.getpid(), pid} <= set(procfs.pids())


@pytest.mark.parametrize("name", ["web", "", "a=b", "ä", "\udcff"])
def test_service_is_read_from_the_marker(name: str) -> None:
    environment = {"PATH": "/usr/bin:/bin", "X": "SUPERVISE_SERVICE=no", procfs.MARKER: name}

    with held(make_request("cat", environment=environment)) as pid:
        assert procfs.service_of(pid) == name


def test_process_without_a_marker_is_no_services() -> None:
    with held(
        make_request("cat", environment={"NOT_SUPERVISE_SERVICE": "web", "PATH": "/bin"})
    ) as pid:
        assert procfs.service_of(pid) is None


@pytest.mark.needs("root")
@isolated
def test_process_of_another_user_keeps_its_service_to_itself() -> None:
    os.setresuid(65534, 65534, 65534)

    assert procfs.service_of(os.getppid()) is None


def test_this_proc_is_ours() -> None:
    assert procfs.is_ours()


@pytest.mark.needs("root")
def test_proc_of_another_pid_namespace_is_not_ours() -> None:
    program = "from supervise.linux import procfs; print(procfs.is_ours())"

    done = subprocess.run(
        ["unshare", "--pid", "--fork", sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        check=True,
        text=True,
    )

    assert done.stdout == "False\n"
