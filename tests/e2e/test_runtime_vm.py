"""`runtime` on Debian's own kernel with cgroup version 2 alone: an emulator, booted once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.eventually import eventually, holds
from tests.support.scripts import PROGRAMS
from tests.support.vm import IMAGE, PYTHON, Vm, kernel

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.needs("apt", "busybox", "mkfs.ext4", "nft", "qemu-system-x86_64"),
]
BPF = {"x86_64": "321", "aarch64": "280"}.get(os.uname().machine, "")  # bpf(2)
_TAKE_50_MB = ("dd", "if=/dev/zero", "of=/dev/null", "bs=50M", "count=1")


@pytest.fixture(scope="module")
def vm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vm]:
    made = Vm(tmp_path_factory.mktemp("vm"), kernel())
    yield made
    made.close()


def run(vm: Vm, *arguments: str, check: bool = True) -> Any:
    """Run a bare command without network in a container, and remove it."""
    return vm.runtime(*("run", "--rm", "--no-init", "--net", "none"), *arguments, check=check)


def start(vm: Vm, *arguments: str) -> str:
    """Start such a container and return its id."""
    return vm.runtime("run", "--detach", "--no-init", "--net", "none", *arguments).stdout.strip()


def state(vm: Vm, container: str) -> dict[str, Any]:
    shown = vm.runtime("inspect", "--format", "{{json .State}}", container).stdout
    found: dict[str, Any] = json.loads(shown)
    return found


def files(vm: Vm, container: str, *names: str) -> list[str]:
    """Return what the container's control files have, as the machine sees them."""
    return [vm.sh(f"cat /sys/fs/cgroup/runtime/{container}/{name}").strip() for name in names]


def test_what_takes_more_memory_than_its_limit_is_killed_and_says_so(vm: Vm) -> None:
    done = vm.runtime(
        *("run", "--no-init", "--net", "none", "--name", "greedy", "--memory", "24m"),
        *("--memory-swap", "24m", IMAGE, *_TAKE_50_MB),
        check=False,
    )

    ended = state(vm, "greedy")
    vm.runtime("rm", "greedy")

    assert done.returncode == 137
    assert (ended["OOMKilled"], ended["ExitCode"]) == (True, 137)


def test_swap_counts_on_top_of_memory(vm: Vm) -> None:
    limits = ("--memory", "24m", "--memory-swap", "100m")

    done = run(vm, *limits, IMAGE, *_TAKE_50_MB)

    assert "1+0 records out" in done.stderr


@pytest.mark.parametrize(
    ("options", "memory", "swap"),
    [
        (("-m", "32m"), 32 << 20, str(32 << 20)),
        (("-m", "32m", "--memory-swap", "32m"), 32 << 20, "0"),
        (("-m", "32m", "--memory-swap", "48m"), 32 << 20, str(16 << 20)),
        (("-m", "32m", "--memory-swap", "-1"), 32 << 20, "max"),
    ],
)
def test_memory_limits(vm: Vm, options: tuple[str, ...], memory: int, swap: str) -> None:
    done = run(vm, *options, IMAGE, "sh", "-c", "cd /sys/fs/cgroup; cat memory.max memory.swap.max")

    assert done.stdout.split() == [str(memory), swap]


def test_processors_are_limited_in_time_weight_and_number(vm: Vm) -> None:
    script = "cd /sys/fs/cgroup; cat cpu.max cpu.weight cpuset.cpus.effective; nproc"

    done = run(
        vm,
        *("--cpus", "0.5", "--cpu-shares", "512", "--cpuset-cpus", "1", IMAGE, "sh", "-c", script),
    )

    assert done.stdout.splitlines() == ["50000 100000", "20", "1", "1"]


def test_a_process_too_many_is_refused(vm: Vm) -> None:
    script = "for i in 1 2 3 4 5; do sleep 9 & done; cat /sys/fs/cgroup/pids.max"

    done = run(vm, "--pids-limit", "4", IMAGE, "sh", "-c", script, check=False)

    assert "can't fork" in done.stderr
    assert done.returncode == 2


def test_pause_stops_every_process_until_unpause(vm: Vm) -> None:
    container = start(vm, IMAGE, "sh", "-c", "while :; do echo; usleep 50000; done")

    vm.runtime("pause", container)
    paused = (*files(vm, container, "cgroup.freeze"), state(vm, container)["Status"])
    log = f"/var/lib/runtime/containers/{container}/log.json"
    before = eventually(lambda: vm.sh(f"stat -c %s {log}"))
    holds(lambda: vm.sh(f"stat -c %s {log}") == before, 0.3)
    vm.runtime("unpause", container)
    eventually(lambda: vm.sh(f"stat -c %s {log}") != before)
    vm.runtime("rm", "--force", container)

    assert paused == ("1", "paused")


def test_a_paused_container_can_be_removed(vm: Vm) -> None:
    container = start(vm, IMAGE, "sleep", "99")

    vm.runtime("pause", container)
    vm.runtime("rm", "--force", container)

    assert vm.sh("ls -d /sys/fs/cgroup/runtime/*/ || true") == ""


def test_stats_say_what_is_used(vm: Vm) -> None:
    script = "dd if=/dev/vda of=/dev/null bs=1M count=3 iflag=direct; sleep 99 & wait"
    container = start(
        vm, "--memory", "64m", "--device", "/dev/vda:/dev/vda:r", IMAGE, "sh", "-c", script
    )
    shown = ("stats", "--no-stream", "--format", "{{json .}}", container)

    def said() -> dict[str, str]:
        found: dict[str, str] = json.loads(vm.runtime(*shown).stdout)
        return found

    eventually(lambda: said()["BlockIO"].startswith("3.15MB"))
    found = said()
    vm.runtime("rm", "--force", container)

    assert found["MemUsage"].endswith("/ 64MiB")
    assert found["PIDs"] == "2"


def test_devices_are_those_allowed(vm: Vm) -> None:
    script = "mknod /k c 1 11; cat /k; cat /dev/null; echo > /dev/null; echo x > /dev/vda"

    done = run(vm, "--device", "/dev/vda:/dev/vda:r", IMAGE, "sh", "-c", script, check=False)

    assert done.stderr.splitlines() == [
        "cat: can't open '/k': Operation not permitted",
        "sh: can't create /dev/vda: Operation not permitted",
    ]


def test_a_container_sees_its_own_group_alone(vm: Vm) -> None:
    script = "cat /proc/self/cgroup; grep -c cgroup2 /proc/mounts; mkdir /sys/fs/cgroup/x"

    done = run(vm, IMAGE, "sh", "-c", script, check=False)

    assert done.stdout == "0::/\n1\n"
    assert "Read-only file system" in done.stderr


def test_exec_is_in_the_group_too(vm: Vm) -> None:
    container = start(vm, IMAGE, "sleep", "99")

    done = vm.runtime(
        "exec", container, "sh", "-c", "cat /proc/self/cgroup; wc -l < /sys/fs/cgroup/cgroup.procs"
    )
    vm.runtime("rm", "--force", container)

    assert done.stdout.split() == ["0::/", "2"]  # sleep and wc


def test_limits_of_a_running_container_change(vm: Vm) -> None:
    container = start(vm, "--memory", "64m", IMAGE, "sleep", "99")

    vm.runtime("update", "--memory", "32m", "--pids-limit", "7", "--cpus", "1.5", container)
    found = files(vm, container, "memory.max", "pids.max", "cpu.max")
    vm.runtime("rm", "--force", container)

    assert found == [str(32 << 20), "7", "150000 100000"]


def test_what_forks_without_end_is_removed(vm: Vm) -> None:
    script = "f() { f & f; }; f"
    container = start(vm, "--pids-limit", "30", IMAGE, "sh", "-c", f"{script}; sleep 99")

    vm.runtime("rm", "--force", container)

    assert vm.sh("ls -d /sys/fs/cgroup/runtime/*/ || true") == ""


def test_a_port_is_published_by_nft(vm: Vm) -> None:
    script = "mkdir /w; echo hello > /w/index.html; exec httpd -f -p 80 -h /w"
    container = vm.runtime(
        "run", "--detach", "--publish", "8080:80", IMAGE, "sh", "-c", script
    ).stdout.strip()

    answer = eventually(lambda: vm.sh("wget -q -O - http://127.0.0.1:8080/"))
    rules = vm.sh("nft list ruleset")
    first = vm.runtime("exec", container, "cat", "/proc/1/comm").stdout
    vm.runtime("stop", "--time", "5", container)
    vm.runtime("rm", container)

    assert answer == "hello\n"
    assert "8080" in rules
    assert first == "supervise\n"


def test_the_machines_own_root_is_an_image(vm: Vm) -> None:
    done = run(
        vm, "host", "sh", "-c", "echo x > /new; ls / /var/lib/runtime; cat /proc/self/cgroup"
    )

    assert "stage2\n" in done.stdout
    assert "containers" not in done.stdout
    assert vm("test", "-e", "/new", check=False).returncode == 1


def test_root_inside_is_nobody_outside(vm: Vm) -> None:
    script = "id -u; touch /made; cat /proc/self/uid_map"

    done = run(vm, "--userns", "mapped", IMAGE, "sh", "-c", script)

    uid, inner, outer, _count = done.stdout.split()
    assert (uid, inner) == ("0", "0")
    assert int(outer) > 0


def test_what_a_container_changed_is_shown_copied_and_committed(vm: Vm) -> None:
    script = "echo new > /root/made; rm /etc/group"
    vm.runtime("run", "--name", "changed", "--no-init", "--net", "none", IMAGE, "sh", "-c", script)

    shown = vm.runtime("diff", "changed").stdout.split("\n")
    vm.runtime("cp", "changed:/root/made", "/tmp/copied")
    vm.runtime("commit", "changed", "again")
    done = run(vm, "again", "sh", "-c", "cat /root/made; ls /etc")
    vm.runtime("rm", "changed")

    assert {"A /root/made", "D /etc/group"} <= set(shown)
    assert vm.sh("cat /tmp/copied") == "new\n"
    assert done.stdout == "new\nhostname\nhosts\npasswd\nresolv.conf\n"


def test_a_node_of_the_machines_disk_cannot_be_opened(vm: Vm) -> None:
    done = run(vm, IMAGE, "sh", "-c", "mknod /disk b 254 0 && head -c 1 /disk", check=False)

    assert done.returncode == 1
    assert "Operation not permitted" in done.stderr


@pytest.mark.parametrize(
    ("hidden", "reason"),
    [
        (
            ("unshare", "-m", "sh", "-c", 'umount /sys/fs/cgroup && exec "$@"', "sh"),
            "no devices cgroup is mounted where we can see it",
        ),
        (
            (PYTHON, "-S", str(PROGRAMS / "without_syscalls.py"), BPF, "--"),
            "the kernel takes no BPF program: bpf: Function not implemented",
        ),
    ],
)
def test_nothing_runs_where_devices_cannot_be_limited(
    vm: Vm, hidden: tuple[str, ...], reason: str
) -> None:
    words = ("run", "--rm", "--no-init", "--net", "none", IMAGE, "true")

    done = vm(*hidden, PYTHON, "-S", "-m", "runtime.cli.main", *words, check=False)

    assert done.returncode == 125
    assert f"cannot limit what the container does with devices: {reason}" in done.stderr
