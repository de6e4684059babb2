#!/usr/bin/env python3
"""Spawn one program from a process in a state of our choice, and print as JSON what came of it.

The argument is a JSON object: "argv" and "request" are SpawnRequest's; "ignore" and "block" are
signals, "uid" whom to become, "nofile" and "nproc" soft limits to take on, "raise_limit" whether to raise
the descriptor limit first, "leave" how many further descriptors may be opened.
"""

from __future__ import annotations

import ctypes  # noqa: F401 - found while we still are root; the child may need it as another user
import json
import os
import resource
import signal
import sys
from typing import Any

from supervise.linux import spawn
from supervise.linux.request import SpawnError, SpawnRequest


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
    if "uid" in asked:
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
        tuple(asked["argv"]), {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}, **asked.get("request", {})
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
