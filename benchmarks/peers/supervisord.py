"""supervisord, from PyPI and as Debian packages it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from benchmarks.peers.base import (
    LOG_BYTES_A_FILE,
    LOG_FILES_KEPT,
    LaunchCommand,
    Log,
    MeasuredPeer,
    MeasuredService,
    first_missing,
)

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.workshop import Workshop

_HEAD = """\
[supervisord]
nodaemon=true
user=root
logfile=/dev/null
logfile_maxbytes=0
pidfile={directory}/pid
childlogdir={directory}
[unix_http_server]
file={directory}/sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{directory}/sock
"""
_PROGRAM = """\
[program:{name}]
command={command}
autorestart=true
stderr_logfile=/dev/stderr
stderr_logfile_maxbytes=0
"""


class _Supervisord(MeasuredPeer):
    rows = frozenset({"boot", "restart", "memory", "idle", "orphans", "relay", "stop", "status"})
    relays = frozenset({Log.STDOUT_RAW, Log.FILE_RAW})
    kills = 3
    settle_before_kill = 1.1  # startsecs: before that it is a failed start, with a delay of its own

    def _program(self, name: str) -> str:
        raise NotImplementedError

    def version(self) -> str:
        """Return what is installed."""
        done = subprocess.run(
            [self._program("supervisord"), "--version"], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def prepare(self, directory: Path, services: list[MeasuredService]) -> LaunchCommand:
        """Write what it reads; return its command line."""
        text = _HEAD.format(directory=directory)
        for service in services:
            text += _PROGRAM.format(name=service.name, command=" ".join(service.argv))
            if service.log is Log.FILE_RAW:
                text += f"stdout_logfile={directory}/log-{service.name}\n"
                text += f"stdout_logfile_maxbytes={LOG_BYTES_A_FILE}\n"
                text += f"stdout_logfile_backups={LOG_FILES_KEPT}\n"
            else:  # as everybody does in a container
                text += "stdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\n"
        (directory / "supervisord.conf").write_text(text)
        return LaunchCommand([self._program("supervisord"), "-c", f"{directory}/supervisord.conf"])

    def status_command(self, directory: Path, services: list[MeasuredService]) -> list[str]:
        """Return its client's command line."""
        del services
        return [self._program("supervisorctl"), "-c", f"{directory}/supervisord.conf", "status"]


class FromPypi(_Supervisord):
    """The newest release, in a virtual environment."""

    name = "supervisord"

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def _program(self, name: str) -> str:
        return str(self._workshop.peer_environment("supervisor") / "bin" / name)


class FromDebian(_Supervisord):
    """Debian's package."""

    name = "supervisord-apt"

    def missing(self) -> str:
        """Name the first program that is not installed."""
        return first_missing("/usr/bin/supervisord")

    def _program(self, name: str) -> str:
        return f"/usr/bin/{name}"
