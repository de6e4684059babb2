"""s6: s6-svscan as PID 1, one s6-supervise a service, with and without readiness notification."""

from __future__ import annotations

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
from benchmarks.peers.debian import package_version

if TYPE_CHECKING:
    from pathlib import Path


class S6(MeasuredPeer):
    """Plain s6; a logger only where a log is asked for."""

    name = "s6"
    rows = frozenset({"boot", "restart", "memory", "idle", "orphans", "relay", "stop", "status"})
    relays = frozenset({Log.STDOUT_RAW, Log.FILE_RAW})
    kills = 3

    def missing(self) -> str:
        """Name the first program that is not installed."""
        return first_missing("s6-svscan", "s6-supervise", "s6-log", "s6-svstat")

    def version(self) -> str:
        """Return what is installed."""
        return package_version("s6")

    def prepare(self, directory: Path, services: list[MeasuredService]) -> LaunchCommand:
        """Write what it reads; return its command line."""
        scan = directory / "scan"
        for service in services:
            folder = scan / service.name
            folder.mkdir(parents=True)
            script(folder / "run", " ".join(self._argv(folder, service)))
            if service.log in (Log.STDOUT_RAW, Log.FILE_RAW):
                (folder / "log").mkdir()
                rotated = f"n{LOG_FILES_KEPT} s{LOG_BYTES_A_FILE} {directory}/log-{service.name}"
                action = "1" if service.log is Log.STDOUT_RAW else rotated
                script(folder / "log" / "run", f"s6-log {action}")
        (scan / ".s6-svscan").mkdir()
        script(scan / ".s6-svscan" / "finish", "true")
        # -c: it refuses more services than that, loggers included.
        return LaunchCommand(["s6-svscan", "-c", str(2 * len(services) + 8), str(scan)])

    def status_command(self, directory: Path, services: list[MeasuredService]) -> list[str]:
        """Return its client's command line."""
        del services
        loop = f'for s in {directory}/scan/*; do echo "$s $(s6-svstat "$s")"; done'
        return ["/bin/sh", "-c", loop]

    def _argv(self, folder: Path, service: MeasuredService) -> tuple[str, ...]:
        del folder
        return service.argv


class S6Notify(S6):
    """The service writes s6's readiness newline: its second between starts counts from there."""

    name = "s6-notify"
    note = "with readiness notification by descriptor 3"
    rows = frozenset({"restart"})
    settle_before_kill = 1.1
    kills = 5

    def _argv(self, folder: Path, service: MeasuredService) -> tuple[str, ...]:
        (folder / "notification-fd").write_text("3\n")
        return (*service.argv, "3")


def script(path: Path, command: str) -> None:
    """Write a run script that becomes *command*."""
    path.write_text(f"#!/bin/sh\nexec {command}\n")
    path.chmod(0o755)
