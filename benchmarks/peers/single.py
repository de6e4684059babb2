"""Inits that run one command and keep nothing alive: tini, dumb-init."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.peers.base import LaunchCommand, MeasuredPeer, MeasuredService, first_missing
from benchmarks.peers.debian import package_version

if TYPE_CHECKING:
    from pathlib import Path


class Single(MeasuredPeer):
    """`INIT -- COMMAND`."""

    rows = frozenset({"boot", "idle", "orphans", "signal"})
    most_services = 1

    def __init__(self, name: str, argv: list[str]) -> None:
        self.name = name
        self._argv = argv

    def missing(self) -> str:
        """Name the first program that is not installed."""
        return first_missing(self._argv[0])

    def version(self) -> str:
        """Return what is installed."""
        return package_version(self.name)

    def prepare(self, directory: Path, services: list[MeasuredService]) -> LaunchCommand:
        """Write what it reads; return its command line."""
        del directory
        (service,) = services
        return LaunchCommand([*self._argv, *service.argv])
