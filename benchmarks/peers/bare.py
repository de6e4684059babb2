"""The floors: a hundred lines of C, and of Python, that do the same without being a product."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from benchmarks.peers.base import LaunchCommand, Log, MeasuredPeer, MeasuredService

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.workshop import Workshop


class _BareSupervisor(MeasuredPeer):
    rows = frozenset({"boot", "restart", "memory", "idle", "orphans", "relay", "stop", "signal"})

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def version(self) -> str:
        """Return what is installed."""
        return "of this project"

    def _commands(self, directory: Path, services: list[MeasuredService]) -> str:
        lines = [" ".join(service.argv) + "\n" for service in services]
        (directory / "commands").write_text("".join(lines))
        return str(directory / "commands")


class BarePython(_BareSupervisor):
    """`programs/bare.py`."""

    name = "bare-python"
    note = "100 lines that only loop: the least that Python costs"
    relays = frozenset({Log.STDOUT_RAW, Log.STDOUT_PREFIXED})

    def version(self) -> str:
        """Return what is installed."""
        return f"Python {platform.python_version()}"

    def prepare(self, directory: Path, services: list[MeasuredService]) -> LaunchCommand:
        """Write what it reads; return its command line."""
        prefix = ["p0 | "] if services[0].log is Log.STDOUT_PREFIXED else []
        program = str(self._workshop.bare_python())
        python = [self._workshop.real_python(), "-I", "-S", program]
        return LaunchCommand([*python, self._commands(directory, services), *prefix])


class BareC(_BareSupervisor):
    """`programs/bare.c`."""

    name = "bare-c"
    note = "100 lines that only loop: the least that the kernel costs"
    relays = frozenset({Log.STDOUT_RAW})

    def prepare(self, directory: Path, services: list[MeasuredService]) -> LaunchCommand:
        """Write what it reads; return its command line."""
        return LaunchCommand([self._workshop.tool("bare"), self._commands(directory, services)])
