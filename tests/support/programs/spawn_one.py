#!/usr/bin/env python3
"""Spawn one program from a process in a state of our choice, and print as JSON what came of it.

The argument is a JSON object.  "argv", "user", "rlimits" and "request" make the SpawnRequest;
"ignore" and "block" are signals, "uid" whom to become, "nofile" and "nproc" soft limits to take on,
"raise_limit" whether to raise the descriptor limit, "leave" how many descriptors may be opened,
"private" whether the interpreter's files can be read by root alone.
"""

from __future__ import annotations

import importlib.abc
import json
import os
import resource
import signal
import sys
from typing import Any

from supervise.linux import identity, spawn
from supervise.linux.request import SpawnError, SpawnRequest


class RootsOwn(importlib.abc.MetaPathFinder):
    """Refuses every import to other users, as an interpreter below /root does."""

    def find_spec(self, name: str, _path: object, _target: object = None) -> None:
        """Look for nothing; raises ImportError when we are not root."""
        if os.geteuid() != 0:
            raise ImportError(f"cannot read {name}")


def prepare(asked: dict[str, Any]) -> None:
    """Bring this process into the state that *asked* describes, in an order that works."""
    for number in asked.get("ignore", ()):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, asked.get("block", ()))
    if "nofile" in asked:
        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (asked["nofile"], hard))
    if asked.get("raise_limit"):
        spawn.raise_descriptor_limit()
    if asked.get("private"):
        sys.meta_path.insert(0, RootsOwn())
    if "uid" in asked:
        import ctypes  # noqa: F401 - the child needs it, and we can still read it

        os.setgroups([])
        os.setresgid(asked["uid"], asked["uid"], asked["uid"])
        os.setresuid(asked["uid"], asked["uid"], asked["uid"])
    if "nproc" in asked:
        resource.setrlimit(resource.RLIMIT_NPROC, (asked["nproc"], asked["nproc"]))


def leave_descriptors(count: int) -> None:
    """Use up all descriptors but *count*."""
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 32, hard))
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        for fd in taken[len(taken) - count :]:
            os.close(fd)


def run(asked: dict[str, Any]) -> dict[str, Any]:
    """Spawn, wait for the end, and say what happened."""
    request = SpawnRequest(
        tuple(asked["argv"]),
        {"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        identity=identity.resolve(asked["user"]) if "user" in asked else None,
        rlimits={
            getattr(resource, f"RLIMIT_{name}"): (soft, hard)
            for name, (soft, hard) in asked.get("rlimits", {}).items()
        },
        **asked.get("request", {}),
    )
    request.needs_fork = request.needs_fork or asked["way"] == "fork"
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    request.stdout_fd = write_fd
    prepare(asked)
    if "leave" in asked:
        leave_descriptors(asked["leave"])
    try:
        child = spawn.spawn(request)
        if child.confirm_fd is not None:
            spawn.confirm(child.confirm_fd, request)
    except SpawnError as error:
        return {"error": [error.stage, error.errno, error.message]}
    os.close(write_fd)
    with open(read_fd, encoding="utf-8") as pipe:
        stdout = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])
    return {
        "status": status,
        "stdout": stdout,
        "nofile": resource.getrlimit(resource.RLIMIT_NOFILE),
    }


print(json.dumps(run(json.loads(sys.argv[1]))))
