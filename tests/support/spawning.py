"""Starts programs with `supervise.linux.spawn`, and looks at them from outside."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from supervise.linux import spawn
from supervise.linux.request import SpawnError, SpawnRequest
from tests.support import procfs
from tests.support.eventually import eventually
from tests.support.scripts import PROGRAMS, ROOT

WAYS = ("vfork", "fork")
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


def make_request(*argv: str, way: str = "vfork", **fields: Any) -> SpawnRequest:
    """Return a request that goes *way*; one that needs fork always does."""
    environment = fields.pop("environment", ENVIRONMENT)
    request = SpawnRequest(argv, environment, **fields)
    request.needs_fork = request.needs_fork or way == "fork"
    return request


def start(request: SpawnRequest) -> int:
    """Start it and return its pid once the program has been executed; raises SpawnError."""
    before = procfs.children(os.getpid())
    try:
        child = spawn.spawn(request)
        if child.confirm_fd is not None:
            spawn.confirm(child.confirm_fd, request)
    except SpawnError:
        for pid in set(procfs.children(os.getpid())) - set(before):
            os.waitpid(pid, 0)
        raise
    return child.pid


def run(request: SpawnRequest) -> tuple[int, str]:
    """Run it to its end and return (exit code, or minus the signal; what it printed)."""
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    request.stdout_fd = write_fd
    try:
        pid = start(request)
    finally:
        os.close(write_fd)
        if sys.exception() is not None:
            os.close(read_fd)
    with open(read_fd, encoding="utf-8", errors="surrogateescape") as pipe:
        printed = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), printed


@contextlib.contextmanager
def held(request: SpawnRequest) -> Iterator[int]:
    """Start it with a pipe as standard input, yield its pid, then close the pipe: made for cat."""
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    request.stdin_fd = read_fd
    try:
        pid = start(request)
    except BaseException:
        os.close(write_fd)
        raise
    finally:
        os.close(read_fd)
    try:
        # The verdict comes in the middle of execve(2), before the arguments are in their place.
        eventually(lambda: procfs.environment(pid))
        yield pid
    finally:
        os.close(write_fd)
        os.waitpid(pid, 0)


def spawn_elsewhere(*argv: str, prefix: tuple[str, ...] = (), **asked: Any) -> dict[str, Any]:
    """Have a process of its own spawn *argv*; see tests/support/programs/spawn_one.py.

    *prefix* is a command that brings that process about, such as setpriv with its options.
    """
    done = subprocess.run(
        [
            *prefix,
            sys.executable,
            str(PROGRAMS / "spawn_one.py"),
            json.dumps({"argv": argv, "way": "vfork", **asked}),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
