"""Starts the program `tests.support.control_server` and talks to it, raw or with supervisectl."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.eventually import PATIENCE, eventually

ROOT = Path(__file__).resolve().parents[2]
SUPERVISOR = "org.supervise.Supervisor"


class ControlServer:
    """One running server; use `serving` to get one."""

    def __init__(self, place: str, *arguments: str) -> None:
        self.place = place
        self._clients: list[RawClient] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.control_server", place, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.read_line() == f"listening {place}"

    def read_line(self) -> str:
        """Return the next line it prints, without its newline."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def ctl(
        self, *arguments: str, environment: dict[str, str] | None = None, user: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `supervisectl` with *arguments*, as *user* if given."""
        return run_ctl(
            *arguments,
            environment={"SUPERVISE_SOCKET": self.place, **(environment or {})},
            user=user,
        )

    @contextmanager
    def ctl_beside(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Run `supervisectl` beside the test, and end it in the end."""
        with subprocess.Popen(
            ctl_command(*arguments),
            env={**os.environ, "SUPERVISE_SOCKET": self.place},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def subscriptions(self) -> int:
        """Return how many listeners the supervisor behind it has."""
        self.process.send_signal(signal.SIGUSR1)
        return int(self.read_line().split()[1])

    def connect(self) -> RawClient:
        """Return a connection without any of our own client code; closed with the server."""
        client = RawClient(self.place)
        self._clients.append(client)
        return client

    def memory(self) -> int:
        """Return the resident set in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def descriptors(self) -> int:
        """Return how many descriptors are open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def close(self) -> None:
        """End it, and fail if it reported a fault."""
        for client in self._clients:
            client.close()
        self.process.terminate()
        rest, _ = self.process.communicate(timeout=PATIENCE)
        assert "fault" not in rest, rest


class RawClient:
    """A socket and json, nothing else."""

    def __init__(self, place: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        try:
            self.sock.connect(place)  # before the timeout, which makes it fail on a full backlog
        except OSError:
            self.sock.close()
            raise
        self.sock.settimeout(PATIENCE)
        self._rest = b""

    def send(self, method: str, *flags: str, **parameters: Any) -> None:
        """Send a call; a method without a dot is one of ours."""
        qualified = method if "." in method else f"{SUPERVISOR}.{method}"
        call = {"method": qualified, "parameters": parameters, **dict.fromkeys(flags, True)}
        self.sock.sendall(json.dumps(call).encode() + b"\0")

    def receive(self) -> dict[str, Any]:
        """Return the next reply; raises EOFError when the server closed."""
        while b"\0" not in self._rest:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError
            self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        reply: dict[str, Any] = json.loads(message)
        return reply

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a call and return its only reply."""
        self.send(method, **parameters)
        return self.receive()

    def is_closed(self) -> bool:
        """Return whether the server has closed the connection."""
        self.sock.setblocking(False)
        try:
            return self.sock.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True
        finally:
            self.sock.settimeout(PATIENCE)

    def close(self) -> None:
        """Close the connection."""
        self.sock.close()


def ctl_command(*arguments: str) -> list[str]:
    """Return the command that is `supervisectl` with *arguments*."""
    return [sys.executable, "-m", "supervise.cli.supervisectl", *arguments]


# Drops root after the imports: the interpreter may lie where only root can read.
_AS_USER = """
import os, pkgutil, sys
import supervise.cli, supervise.client
for package in (supervise.cli, supervise.client):
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        __import__(module.name)
user = int(sys.argv.pop(1))
os.setgroups([])
os.setgid(user)
os.setuid(user)
sys.exit(sys.modules["supervise.cli.supervisectl"].main())
"""


def run_ctl(
    *arguments: str, environment: dict[str, str] | None = None, user: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `supervisectl` as a program and return what it printed and its exit code."""
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
    as_user = [sys.executable, "-c", _AS_USER, str(user), *arguments]
    return subprocess.run(
        ctl_command(*arguments) if user is None else as_user,
        cwd="/",
        env={**variables, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
        check=False,
    )


@contextmanager
def serving(place: str, *arguments: str) -> Iterator[ControlServer]:
    """Run a server at *place* for a while."""
    server = ControlServer(place, *arguments)
    try:
        # The services that start by themselves are up.
        eventually(lambda: server.ctl("wait", "web", "--timeout", "5").returncode == 0)
        yield server
    finally:
        server.close()
