"""Control groups of both versions, on real ones: version 1 and a bare version 2."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.linux import bpf_devices, cgroup_v1, cgroup_v2, cgroups
from runtime.model.container import defaults
from runtime.model.container.spec import Limits
from tests.support.eventually import eventually, holds

pytestmark = [pytest.mark.integration, pytest.mark.needs("root")]

Group = cgroup_v1.GroupV1 | cgroup_v2.GroupV2
NAME = f"runtime-test-{os.getpid()}/one"


def unified() -> str:
    """Return where version 2 is mounted: alone, or beside version 1."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        fields = line.split()
        if fields[2] == "cgroup2":
            return fields[1]
    raise AssertionError("no cgroup2 is mounted")


def make(version: int) -> Group:
    if version == 1:
        return cgroup_v1.GroupV1(NAME, cgroup_v1.hierarchies())
    return cgroup_v2.GroupV2(unified(), NAME)


@pytest.fixture(params=[1, 2])
def group(request: pytest.FixtureRequest) -> Iterator[Group]:
    if request.param == 1 and not cgroup_v1.hierarchies():
        pytest.xfail("version 2 alone: there is nothing to test version 1 on")
    made = make(request.param)
    yield made
    made.kill()
    made.remove()
    for directory in made.directories():
        cgroups.remove(os.path.dirname(directory))


def started(group: Group, *argv: str) -> subprocess.Popen[bytes]:
    """Start a program in the group."""
    return subprocess.Popen(argv, preexec_fn=group.enter)  # noqa: PLW1509 - there are no threads


def test_a_process_enters_and_is_killed(group: Group) -> None:
    group.create(Limits(), None)
    process = started(group, "sleep", "1000")
    assert group.processes() == [process.pid]

    group.kill()

    assert process.wait(10) == -signal.SIGKILL
    assert group.processes() == []


def test_frozen_processes_stand_still_until_they_thaw(group: Group) -> None:
    group.create(Limits(), None)
    process = started(group, "sh", "-c", "while :; do :; done")

    def used() -> int:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    group.freeze()
    frozen_at = used()
    holds(lambda: used() == frozen_at, 0.1)
    assert group.is_frozen()
    group.thaw()
    eventually(lambda: used() > frozen_at)
    assert not group.is_frozen()

    process.kill()
    process.wait()


def test_a_frozen_group_can_be_killed(group: Group) -> None:
    group.create(Limits(), None)
    process = started(group, "sleep", "1000")
    group.freeze()

    group.kill()

    assert process.wait(10) == -signal.SIGKILL


def test_what_is_not_there_can_be_removed_and_made_twice(group: Group) -> None:
    group.remove()
    group.create(Limits(), None)
    group.create(Limits(), None)
    group.remove()

    assert not any(os.path.exists(directory) for directory in group.directories())


def test_a_group_with_groups_in_it_is_removed(group: Group) -> None:
    group.create(Limits(), None)
    for directory in group.directories():
        os.makedirs(f"{directory}/inner/most")

    group.remove()

    assert not any(os.path.exists(directory) for directory in group.directories())


def test_devices_are_limited(group: Group) -> None:
    assert group.create(Limits(), defaults.DEVICE_RULES) == []
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            group.enter()
            os.close(os.open("/dev/null", os.O_RDWR))
            os.close(os.open("/dev/kmsg", os.O_RDONLY))
        except OSError as error:
            code = 42 if (error.errno, error.filename) == (errno.EPERM, "/dev/kmsg") else 2
        finally:
            os._exit(code)

    _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 42


def test_a_limit_that_cannot_be_kept_is_said() -> None:
    bare = cgroup_v2.GroupV2(unified(), NAME)
    bare._mount = "/nonexistent"  # the one thing a machine with all controllers does not have
    bare.directory = "/nonexistent"

    remarks = bare.limit(Limits(memory=1 << 20, pids=5))

    assert [remark.split("cgroup file ")[1].split(":")[0] for remark in remarks] == [
        "memory.max",
        "memory.swap.max",
        "pids.max",
    ]


@pytest.mark.parametrize(
    ("shares", "weight"), [(2, 1), (1024, 39), (262144, 10000), (1, 1), (10**9, 10000)]
)
def test_shares_become_weights_as_in_runc(shares: int, weight: int) -> None:
    [(name, value)] = cgroup_v2._settings(Limits(cpu_shares=shares))

    assert (name, value) == ("cpu.weight", str(weight))


def test_version_2_counts_swap_alone() -> None:
    def swap(limits: Limits) -> str:
        return dict(cgroup_v2._settings(limits))["memory.swap.max"]

    assert swap(Limits(memory=100)) == "100"  # docker's default: as much again
    assert swap(Limits(memory=100, memory_swap=100)) == "0"
    assert swap(Limits(memory=100, memory_swap=-1)) == "max"


def test_every_rule_of_the_default_list_becomes_instructions() -> None:
    program = bpf_devices.program(defaults.DEVICE_RULES)

    assert len(program) % 8 == 0
    assert len(program) // 8 > 6 * len(defaults.DEVICE_RULES)
