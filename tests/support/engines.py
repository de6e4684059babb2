"""Docker and `runtime`, each on a machine of its own, by the verbs that both have.

A machine is a network namespace: what a container publishes is asked for in there.
"""

from __future__ import annotations

import http.client
import json
import os
import shlex
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.docker import Docker
from tests.support.netmachine import PATIENCE, Namespace
from tests.support.runtime import Runtime
from tests.support.terminal import Terminal

_TIMEOUT = 120.0  # seconds
_SCRIPT_TIMEOUT = 300.0


class Answer(NamedTuple):
    """What came back from a published port."""

    status: int
    text: str


class Engine:
    """One of the two; the tests read the same for both."""

    def __init__(self, tool: Docker | Runtime, machine: Namespace, proxy: str) -> None:
        self._tool = tool
        self._machine = machine
        self._proxy = proxy  # through which apt reaches Debian's archive

    @property
    def _environment(self) -> dict[str, str]:
        tool = self._tool
        return tool.environment() if isinstance(tool, Docker) else tool.environment

    def __call__(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the engine's command."""
        return self._tool(*arguments, check=check, timeout=_TIMEOUT)

    def shell(
        self, script: str, checkout: Path, programs: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run *script* on the machine, in *checkout*; `docker` is this engine.

        *programs* are further shell scripts by name.  What is built reaches Debian's archive.
        """
        directory = checkout / ".bin"
        directory.mkdir(exist_ok=True)
        through = f"--network=host --build-arg=http_proxy={self._proxy}"
        variables = (f"{name}={value}" for name, value in self._environment.items())
        command = shlex.join(["env", "-i", *variables, *self._tool.command()])
        build = f'if [ "$1" = build ]; then shift; set -- build {through} "$@"; fi\n'
        for name, text in {**programs, "docker": f'{build}exec {command} "$@"\n'}.items():
            (directory / name).write_text(f"#!/bin/sh\n{text}")
            (directory / name).chmod(0o755)
        enter = f"--net=/proc/{self._machine.pid}/ns/net"
        done = subprocess.run(
            ["nsenter", enter, "bash", "-euo", "pipefail", "-c", script],
            cwd=checkout,
            env={"PATH": f"{directory}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SCRIPT_TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, f"{script}{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done

    def start(self, *arguments: str) -> str:
        """Start a container in the background and return its id."""
        return self("run", "--detach", *arguments).stdout.strip()

    def ctl(self, container: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run supervisectl in *container*; never raises for its exit code."""
        return self("exec", container, "supervisectl", *arguments, check=False)

    def services(self, container: str) -> dict[str, dict[str, Any]]:
        """Return `supervisectl status` by service, empty while supervise does not answer."""
        rows = json.loads(self.ctl(container, "status", "--json").stdout or "[]")
        return {row["name"]: row for row in rows}

    def states(self, container: str) -> dict[str, str]:
        """Return the state of every service."""
        return {name: row["state"] for name, row in self.services(container).items()}

    def logs(self, container: str) -> str:
        """Return what the container has written."""
        done = self("logs", container)
        return done.stdout + done.stderr

    def exit_code(self, container: str) -> int:
        """Return the exit code of a container that has ended."""
        state = json.loads(self("inspect", container).stdout)[0]["State"]
        assert not state["Running"], "it has not ended"
        return int(state["ExitCode"])

    def ask(self, port: int, path: str = "/", body: bytes | None = None) -> Answer:
        """GET, or with a *body* POST, at a published port; OSError while nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.sock = self._machine.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            connection.sock.settimeout(PATIENCE)
            connection.sock.connect(("127.0.0.1", port))
            connection.request("POST" if body else "GET", path, body)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read().decode())
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()

    @contextmanager
    def terminal(self, *arguments: str) -> Iterator[Terminal]:
        """Sit down at a terminal with the engine's command on it."""
        terminal = Terminal()
        client = terminal.client = subprocess.Popen(
            ["setsid", "--ctty", *self._tool.command(), *arguments],
            env=self._environment,
            stdin=terminal.device,
            stdout=terminal.device,
            stderr=terminal.device,
        )
        terminal.release_device()
        try:
            yield terminal
        finally:
            client.kill()
            client.wait()
            terminal.close()
