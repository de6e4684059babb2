"""What a measurement asks of a supervisor: a configuration, a command line, a way to ask status."""

from __future__ import annotations

import enum
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LOG_BYTES_A_FILE = 10_000_000
LOG_FILES_KEPT = 60


class Log(enum.Enum):
    """What happens to a service's stdout."""

    DEFAULT = "default"  # what a user gets who says nothing
    STDOUT_PREFIXED = "stdout, prefixed"
    STDOUT_RAW = "stdout, raw"
    FILE_PREFIXED = "file, prefixed"
    FILE_RAW = "file, raw"


@dataclass(frozen=True, slots=True)
class MeasuredService:
    """One service to declare; it restarts at once whenever it ends."""

    name: str
    argv: tuple[str, ...]
    log: Log = Log.DEFAULT


@dataclass(frozen=True, slots=True)
class LaunchCommand:
    """The command that is PID 1."""

    argv: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)


class MeasuredPeer:
    """A supervisor; subclasses say how it is configured."""

    name: str
    note: str = ""  # what a reader of the tables must know
    rows: frozenset[str] = frozenset()  # the measurements that mean something for it
    relays: frozenset[Log] = frozenset()  # the ways in which it copies a service's output
    settle_before_kill = 0.02  # seconds a service must have run for the usual way of restarting
    kills = 20  # restarts measured in one sample
    most_services = 500

    def missing(self) -> str:
        """Return what must be installed first, or an empty string."""
        return ""

    def fetch(self) -> None:
        """Fetch and install what it takes from the network."""

    def version(self) -> str:
        """Return the version as the peer itself or its package tells it."""
        raise NotImplementedError

    def prepare(self, directory: Path, services: list[MeasuredService]) -> LaunchCommand:
        """Write the configuration into *directory* and return how to start it."""
        raise NotImplementedError

    def prepare_alone(self, directory: Path, service: MeasuredService) -> LaunchCommand:
        """Return how to start *service* as the one command that gets all signals."""
        return self.prepare(directory, [service])

    def status_command(self, directory: Path, services: list[MeasuredService]) -> list[str]:
        """Return the command that prints the state of all services, one line each at least."""
        raise NotImplementedError


def first_missing(*programs: str) -> str:
    """Return the first of *programs* that PATH does not have, or an empty string."""
    return next((program for program in programs if shutil.which(program) is None), "")
