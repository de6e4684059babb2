"""What this machine has of what the runtime uses, for `info`: a report of a bug needs it."""

from __future__ import annotations

import importlib.util
import os

from runtime.linux import cgroups, nft

_OVERLAY = "overlay"
_LIMITS = {  # controller → the options that need it
    "memory": "-m, --memory-swap",
    "pids": "--pids-limit",
    "cpu": "--cpus, --cpu-shares",
    "cpuset": "--cpuset-cpus",
}


def controllers() -> frozenset[str]:
    """Return the cgroup controllers that containers can be limited by."""
    if cgroups.of("").version == 2:
        return frozenset(cgroups.read("/sys/fs/cgroup/cgroup.controllers").split())
    from runtime.linux import cgroup_v1

    return frozenset(cgroup_v1.hierarchies())


def seccomp() -> bool:
    """Return whether the kernel filters system calls."""
    return os.path.exists("/proc/sys/kernel/seccomp/actions_avail")


def file_system(path: str) -> str:
    """Return the type of the file system *path* is on, or will be: ext4."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in cgroups.read("/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        if before.split(" ")[2] == wanted:
            return after.split(" ")[0]
    return "unknown"


def missing(root: str) -> list[str]:
    """Return a sentence for each thing that is not here, with what is done without it."""
    found = []
    if file_system(root) == _OVERLAY:
        found.append(
            f"{root} is on overlayfs, which overlayfs cannot write to: containers will not start; "
            "keep it elsewhere with --root"
        )
    there = controllers()
    found += [
        f"No cgroup controller '{name}': no effect of {options}"
        for name, options in _LIMITS.items()
        if name not in there
    ]
    if not seccomp():
        found.append("No seccomp in this kernel: system calls are not filtered")
    if nft.find() is None:
        found.append("nft is not installed: published ports go through a relay process")
    if importlib.util.find_spec("isal") is None:
        found.append("isal is not installed: gzip layers take twice as long")
    if not _has_zstd():
        found.append("backports.zstd is not installed: zstd layers cannot be unpacked")
    return found


def _has_zstd() -> bool:
    for name in ("compression.zstd", "backports.zstd"):
        try:
            if importlib.util.find_spec(name) is not None:
                return True
        except ModuleNotFoundError:  # not even the package it is in
            continue
    return False
