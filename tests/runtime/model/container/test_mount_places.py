"""Which places of a container mounts are refused at by name."""

from __future__ import annotations

import pytest

from runtime.model.container import mount_places
from runtime.model.container.spec import Mount
from runtime.model.errors import RuntimeFailure


@pytest.mark.parametrize(
    ("kind", "source", "target"),
    [
        ("bind", "/x", "/proc/sys/net/ipv4"),
        ("bind", "/x", "/proc/version"),
        ("bind", "/x", "/proc/net/dev"),  # a link leads to it, so runc's entry never matches
        ("bind", "/x", "/proc/./sys"),
        ("bind", "/x", "/a/../proc/sys"),
        ("volume", "v", "/proc"),
        ("volume", "v", "/proc/acpi"),
        ("tmpfs", "", "/proc"),
        ("tmpfs", "", "/proc/acpi"),
        ("tmpfs", "", "/proc/cpuinfo"),
        ("bind", "/x", "/dev"),
        ("bind", "/dev/shm", "/dev"),
        ("volume", "v", "/dev"),
        ("volume", "/dev", "/dev"),
        ("tmpfs", "", "/dev"),
    ],
)
def test_what_docker_refuses_is_refused(kind: str, source: str, target: str) -> None:
    with pytest.raises(RuntimeFailure) as refused:
        mount_places.check(Mount(kind, source, target))

    assert refused.value.code == 125
    assert refused.value.message.startswith(f"cannot mount on '{target}': it is ")
    assert refused.value.hint


@pytest.mark.parametrize(
    ("kind", "source", "target"),
    [
        *(("bind", "/x", f"/proc/{name}") for name in mount_places.REPLACEABLE),
        ("bind", "/proc", "/proc"),  # whether it is a procfs is seen when it is open
        ("bind", "/proc", "/host/proc"),
        ("bind", "/dev", "/dev"),
        ("bind", "/dev/", "/dev"),
        ("bind", "/dev/snd", "/dev/snd"),
        ("bind", "/dev/urandom", "/dev/random"),
        ("tmpfs", "", "/dev/shm"),
        ("bind", "/sys", "/sys"),
        ("volume", "v", "/sys/fs/cgroup"),
        ("bind", "/x", "/process"),
        ("bind", "/x", "/device"),
    ],
)
def test_what_docker_allows_is_allowed(kind: str, source: str, target: str) -> None:
    mount_places.check(Mount(kind, source, target))
