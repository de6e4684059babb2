"""What a report of a bug needs to know of this machine, for `supervise --version`.

Looks and changes nothing but that the process becomes a subreaper; it ends right after.
"""

from __future__ import annotations

import importlib.util
import os
import sys

from supervise.linux import dnotify, prctl, procfs

_MOUNT = "/sys/fs/cgroup"
_SECCOMP = {"0": "none", "1": "strict", "2": "a filter"}  # Seccomp: in proc(5)


def facts() -> list[tuple[str, str]]:
    """Return (what, how it is here)."""
    system = os.uname()
    status = _status()
    python = ".".join(map(str, sys.version_info[:3]))
    return [
        ("python", f"{python}, {sys.executable or 'embedded'}"),
        ("kernel", f"{system.sysname} {system.release} {system.machine}"),
        ("user", f"{os.getuid()}:{os.getgid()}, capabilities {status.get('CapEff', 'unknown')}"),
        ("seccomp", _SECCOMP.get(status.get("Seccomp", ""), "unknown")),
        ("no new privileges", {"0": "no", "1": "yes"}.get(status.get("NoNewPrivs", ""), "unknown")),
        ("cgroup", _cgroup()),
        ("missing", "; ".join(missing()) or "nothing"),
    ]


def missing() -> list[str]:
    """Return what this machine does not have and what is done without it."""
    found = []
    if not procfs.is_ours():
        found.append("/proc of this pid namespace: descendants are not found, groups are")
    elif not procfs.has_children_files():
        found.append("/proc/PID/task/TID/children: all processes are read instead")
    try:
        prctl.set_child_subreaper()
    except OSError:
        found.append("subreaper: orphans are adopted by PID 1 only")
    try:
        dnotify.DirectoryWatch(os.open("/", os.O_RDONLY | os.O_DIRECTORY)).close()
    except OSError:
        found.append("dnotify: a removed control socket is made anew on SIGHUP only")
    if importlib.util.find_spec("yaml") is None:
        found.append("PyYAML: only compiled plans can be read")
    return found


def _status() -> dict[str, str]:
    """Return the fields of /proc/self/status, none where there is no /proc."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name: value.strip() for name, _, value in pairs}


def _cgroup() -> str:
    if os.path.exists(f"{_MOUNT}/cgroup.controllers"):
        place = f"{_MOUNT}{_own_group()}"
        writable = os.access(f"{place}/cgroup.procs", os.W_OK)
        return "version 2, " + ("writable" if writable else "read-only")
    if os.path.isdir(f"{_MOUNT}/memory") or os.path.isdir(f"{_MOUNT}/pids"):
        return "version 1"
    return "not mounted"


def _own_group() -> str:
    """Return the place of this process in the tree of version 2."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return ""  # no /proc: the root is as good a guess as any
    return next((line[3:].rstrip("/") for line in lines if line.startswith("0::")), "")
