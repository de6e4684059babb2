"""What a container of ours may do and see, beside one of Docker's from the same files."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.docker import Docker, base_tarball
from tests.support.runtime import Runtime
from tests.support.scripts import PROGRAMS, ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "docker", "mmdebstrap")]

_PROBE = (PROGRAMS / "show_isolation.py").read_text()
_CHANGED_SINCE = frozenset({
    *("io_uring_setup", "io_uring_enter", "io_uring_register"),
    *("name_to_handle_at", "process_vm_readv", "process_vm_writev"),
    *("pkey_alloc", "pkey_free", "pkey_mprotect"),
})  # fmt: skip
# Never made with senseless arguments: they end, block or duplicate the one who asks.
_NOT_CALLED = frozenset({
    *("exit", "exit_group", "fork", "vfork", "clone", "rt_sigreturn", "pause", "rt_sigsuspend"),
    *("restart_syscall", "kill", "tgkill", "tkill", "vhangup", "sync", "seccomp", "_sysctl"),
})  # fmt: skip


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    made = Runtime(tmp_path_factory.mktemp("isolation"))
    made.import_tar("test/base", base_tarball().read_bytes())
    yield made
    made.close()


def ours(runtime: Runtime, *options: str, calls: str = "") -> dict[str, Any]:
    more = [calls] if calls else []
    done = runtime.run("--no-init", *options, "test/base", "python3", "-c", _PROBE, *more)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def theirs(docker: Docker, *options: str, calls: str = "") -> dict[str, Any]:
    more = [calls] if calls else []
    run = ("run", "--rm", "--network=none", *options, "test/base", "python3", "-c", _PROBE)
    found: dict[str, Any] = json.loads(docker(*run, *more).stdout)
    return found


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--user", "daemon"),
        ("--user", "1234"),
        ("--user", "1234:4321"),
        ("--user", "daemon:games"),
        ("--user", "www-data", "--group-add", "games"),
        ("--cap-drop", "ALL"),
        ("--cap-add", "NET_ADMIN", "--cap-drop", "MKNOD"),
        ("--cap-drop", "ALL", "--cap-add", "CHOWN", "--user", "1234"),
        ("--security-opt", "no-new-privileges"),
        ("--security-opt", "seccomp=unconfined"),
    ],
)
def test_ids_groups_and_capabilities_are_dockers(
    runtime: Runtime, docker: Docker, base: str, options: tuple[str, ...]
) -> None:
    assert ours(runtime, *options)["status"] == theirs(docker, *options)["status"]


@pytest.mark.parametrize("tty", [False, True])
def test_device_nodes_are_dockers(runtime: Runtime, docker: Docker, base: str, tty: bool) -> None:
    options = ("--tty",) if tty else ()

    mine, other = ours(runtime, *options)["devices"], theirs(docker, *options)["devices"]

    # Docker links the kernel's memory, which is masked, for old programs.
    other.pop("/dev/core", None)
    assert mine == other


def test_mounts_have_dockers_types_and_flags(runtime: Runtime, docker: Docker, base: str) -> None:
    mine, other = ours(runtime)["mounts"], theirs(docker)["mounts"]

    for place in ("/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys"):
        assert mine[place] == other[place], place
    assert "ro" in mine["/sys/fs/cgroup"][1]  # stricter: runc leaves the tmpfs above them writable
    # What Docker mounts we mount, and the other way round but for the masks of newer versions.
    newer = {"/proc/interrupts", "/sys/devices/virtual/powercap"}
    groups = {place for place in {*mine, *other} if place.startswith("/sys/fs/cgroup/")}
    assert {*mine} - {*other} - groups - newer == set()
    assert {*other} - {*mine} - groups == set()


def test_masks_hide_and_protect_at_least_what_dockers_do(
    runtime: Runtime, docker: Docker, base: str
) -> None:
    mine, other = ours(runtime), theirs(docker)

    for path, looks in other["masked"].items():
        if looks != "something":
            assert mine["masked"][path] == looks, path
    assert "something" not in mine["masked"].values()
    assert mine["read_only"] == other["read_only"]
    assert all(mine["read_only"].values())


@pytest.mark.parametrize(
    "options",
    [
        *(("-v", "{0}:/dev/shm"), ("-v", "{0}:/dev/pts"), ("-v", "{0}/file:/dev/random")),
        *(("-v", "{0}/file:/proc/cpuinfo"), ("-v", "/dev:/dev"), ("-v", "/sys:/sys")),
        *(("-v", "/proc:/proc", "--pid", "host"), ("-v", "{0}:/run")),
    ],
)
def test_mounts_at_the_kernels_files_change_no_mask(
    runtime: Runtime, docker: Docker, base: str, tmp_path: Path, options: tuple[str, ...]
) -> None:
    (tmp_path / "file").write_text("")
    words = tuple(option.format(tmp_path) for option in options)
    mine, other = ours(runtime, *words), theirs(docker, *words)

    assert "something" not in mine["masked"].values()
    assert mine["read_only"] == other["read_only"]
    assert all(protected for path, protected in mine["read_only"].items() if path != "/sys")


def test_every_namespace_docker_unshares_is_unshared(
    runtime: Runtime, docker: Docker, base: str
) -> None:
    host = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in os.listdir("/proc/self/ns")}

    def own(found: dict[str, Any]) -> set[str]:
        return {kind for kind, name in found["namespaces"].items() if name != host[kind]}

    assert own(ours(runtime)) == own(theirs(docker))


def test_the_rest_of_a_process_is_dockers(runtime: Runtime, docker: Docker, base: str) -> None:
    mine, other = ours(runtime), theirs(docker)

    # Ours is documented: 1024 for programs that close every descriptor there may be.
    assert mine["limits"]["RLIMIT_NOFILE"][0] == 1024
    for found in (mine, other):
        found["limits"] = {n: v for n, v in found["limits"].items() if "FILE" not in n}
    for aspect in ("limits", "descriptors", "cwd", "umask", "session"):
        assert mine[aspect] == other[aspect], aspect
    assert set(mine["environment"]) == set(other["environment"])


def test_the_same_system_calls_are_refused(runtime: Runtime, docker: Docker, base: str) -> None:
    table = json.loads((ROOT / "runtime/data/syscalls.json").read_text())[platform.machine()]
    calls = json.dumps({name: n for name, n in table.items() if name not in _NOT_CALLED})

    mine, other = ours(runtime, calls=calls)["calls"], theirs(docker, calls=calls)["calls"]

    differing = {name: (mine[name], other[name]) for name in mine if mine[name] != other[name]}
    # Debian's docker has a profile of 2020 or so, ours is a later one of the same project: it
    # knows the calls made since, lets some through and refuses io_uring.
    late = {name for name, number in table.items() if number >= 440}
    assert set(differing) - late - _CHANGED_SINCE == set(), differing
    assert {mine[name] for name in ("unshare", "mount", "bpf", "keyctl", "setns")} == {"EPERM"}


def test_privileged_has_all_that_we_have_and_no_filter(runtime: Runtime, base: str) -> None:
    held = Path("/proc/self/status").read_text().split("CapPrm:")[1].split()[0]

    found = ours(runtime, "--privileged")

    assert found["status"]["CapEff"] == found["status"]["CapBnd"] == [held]
    assert found["status"]["Seccomp"] == ["0"]
    assert not found["read_only"]["/proc/sys"]
    assert "/dev/kmsg" in found["devices"]


def test_calls_of_another_abi_are_filtered_too(runtime: Runtime, base: str) -> None:
    """An x32 call is no way around: unshare has another number there."""
    unshare = "l.syscall(ctypes.c_long(0x40000000 + 272), 0x20000)"
    program = (
        "import ctypes; l = ctypes.CDLL(None, use_errno=True); "
        f"print({unshare}, ctypes.get_errno())"
    )

    done = runtime.run("--no-init", "test/base", "python3", "-c", program)

    assert done.stdout.split() == ["-1", "1"]


def test_a_profile_of_ones_own(runtime: Runtime, tmp_path: Path) -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}],
    }
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(profile))

    done = runtime.run(
        *("--security-opt", f"seccomp={path}", "test/base", "mkdir", "/new"), check=False
    )

    assert done.returncode == 1
    assert "Operation not supported" in done.stderr
