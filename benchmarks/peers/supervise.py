"""supervise itself, installed by pip from this working tree, from YAML and from a compiled plan."""

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
)

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.workshop import Workshop


class Supervise(MeasuredPeer):
    """`supervise -c FILE`, by its console script."""

    name = "supervise"
    note = "from YAML"
    rows = frozenset(
        {"boot", "restart", "memory", "idle", "orphans", "relay", "stop", "status", "signal"}
    )
    # Raw to stdout is no relay: the service has PID 1's own descriptor.
    relays = frozenset(Log) - {Log.DEFAULT, Log.STDOUT_RAW}
    most_services = 10_000

    def __init__(self, workshop: Workshop, revision: str = "") -> None:
        self._workshop = workshop
        self._revision = revision
        if revision:
            self.name = f"{self.name}@{revision}"

    def version(self) -> str:
        """Return what is installed."""
        done = subprocess.run(
            [self.program("supervise"), "--version"], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def program(self, name: str) -> str:
        """Return the path of one of its console scripts, or of its Python."""
        environment = self._workshop.supervise_environment(revision=self._revision)
        return str(environment / "bin" / name)

    def prepare(self, directory: Path, services: list[MeasuredService]) -> LaunchCommand:
        """Write what it reads; return its command line."""
        write_configuration(directory, services)
        return LaunchCommand([self.program("supervise"), "-c", f"{directory}/supervise.yaml"])

    def prepare_alone(self, directory: Path, service: MeasuredService) -> LaunchCommand:
        """Return its command line for one command."""
        del directory
        return LaunchCommand([self.program("supervise"), "--", *service.argv])

    def status_command(self, directory: Path, services: list[MeasuredService]) -> list[str]:
        """Return its client's command line."""
        del services
        return [self.program("supervisectl"), "--socket", f"{directory}/control", "status"]


class SuperviseCompiled(Supervise):
    """The same with a plan that `supervise compile` wrote beforehand."""

    name = "supervise-compiled"
    note = "from the plan that `supervise compile` wrote"
    rows = frozenset({"boot"})

    def prepare(self, directory: Path, services: list[MeasuredService]) -> LaunchCommand:
        """Write what it reads; return its command line."""
        launch = super().prepare(directory, services)
        subprocess.run(
            [self.program("supervise"), "compile", f"{directory}/supervise.yaml"],
            capture_output=True,
            check=True,
        )
        return launch


def write_configuration(directory: Path, services: list[MeasuredService]) -> None:
    """Write `supervise.yaml` as a person would: one block a service."""
    lines = [f"control: {{socket: {directory}/control}}", "services:"]
    for service in services:
        lines += [
            f"  {service.name}:",
            f"    command: [{', '.join(_quoted(word) for word in service.argv)}]",
            "    backoff: {initial: 0s}",
        ]
        if service.log is Log.STDOUT_RAW:
            lines.append("    logs: {format: raw}")
        if service.log in (Log.FILE_PREFIXED, Log.FILE_RAW):
            style = "prefix" if service.log is Log.FILE_PREFIXED else "raw"
            lines += [
                "    logs:",
                f"      format: {style}",
                f"      file: {directory}/log-{service.name}",
                f"      max_size: {LOG_BYTES_A_FILE}",
                f"      keep: {LOG_FILES_KEPT}",
            ]
    (directory / "supervise.yaml").write_text("\n".join(lines) + "\n")


def _quoted(word: str) -> str:
    return f'"{word}"' if word.isdigit() else word
