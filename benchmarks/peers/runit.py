"""runit: runsvdir as PID 1, one runsv a service."""

from __future__ import annotations

import os
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
from benchmarks.peers.s6 import script

if TYPE_CHECKING:
    from pathlib import Path


class Runit(MeasuredPeer):
    """Services inherit stdout; svlogd where a file is asked for."""

    name = "runit"
    note = "on SIGTERM runsvdir ends at once and the kernel kills the services"
    rows = frozenset({"boot", "restart", "memory", "idle", "orphans", "relay", "stop", "status"})
    relays = frozenset({Log.FILE_RAW})
    settle_before_kill = 1.1
    kills = 5

    def missing(self) -> str:
        """Name the first program that is not installed."""
        return first_missing("runsvdir", "runsv", "svlogd", "sv")

    def version(self) -> str:
        """Return what is installed."""
        return package_version("runit")

    def prepare(self, directory: Path, services: list[MeasuredService]) -> LaunchCommand:
        """Write what it reads; return its command line."""
        scan = directory / "scan"
        for service in services:
            folder = scan / service.name
            folder.mkdir(parents=True)
            script(folder / "run", " ".join(service.argv))
            if service.log is Log.FILE_RAW:
                logs = directory / f"log-{service.name}"
                logs.mkdir()
                (logs / "config").write_text(f"s{LOG_BYTES_A_FILE}\nn{LOG_FILES_KEPT}\n")
                (folder / "log").mkdir()
                script(folder / "log" / "run", f"svlogd {logs}")
        # It sleeps a second when the directory changed within this one; an image's is old.
        os.utime(scan, (0, 0))
        return LaunchCommand(["runsvdir", "-P", str(scan)])

    def status_command(self, directory: Path, services: list[MeasuredService]) -> list[str]:
        """Return its client's command line."""
        return ["sv", "status", *(f"{directory}/scan/{service.name}" for service in services)]
