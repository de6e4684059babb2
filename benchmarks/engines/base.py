"""What a measurement asks of a container engine.

An engine is a `MeasuredPeer`, so that one run and one table serve both; it has no services.  Its
store lies below the workshop and goes with `close`.  Rows that build and pull add what they need
here.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING

from benchmarks.peers.base import MeasuredPeer
from benchmarks.records import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.workshop import Workshop

IMAGE = "bench/small:1"  # busybox, and the server `answer`
_TIMEOUT = 300.0  # seconds


class Engine(MeasuredPeer):
    """One engine; subclasses say how its commands are called."""

    program: str  # what must be on the PATH

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self.place: Path = workshop.stores / self.name

    def missing(self) -> str:
        """Return the program that is not installed."""
        return "" if shutil.which(self.program) else self.program

    def open(self, small: Path) -> None:
        """Get ready, with the root file system *small*, a tar, as the image IMAGE."""
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        self.call("import", str(small), IMAGE)

    def close(self) -> None:
        """End what runs and remove what lies on disk."""
        shutil.rmtree(self.place, ignore_errors=True)

    def command(self) -> list[str]:
        """Return the words in front of the verb."""
        return [self.program]

    def environment(self) -> Mapping[str, str] | None:
        """Return the variables of the command, None for ours."""
        return None

    def bridged(self) -> list[str]:
        """Return the options of `run` for a network of its own and, if it has one, an init."""
        return []

    def plain(self) -> list[str]:
        """Return the options of `run` for the bare command without a network."""
        return ["--network", "none"]

    def run_command(self, *options: str) -> list[str]:
        """Return the command that runs a container and removes it."""
        return [*self.command(), "run", "--rm", *options, IMAGE, "true"]

    def pull_words(self, name: str) -> list[str]:
        """Return the verb and its words that pull *name* from a registry without TLS."""
        return ["pull", "--quiet", name]

    def forget(self, name: str) -> None:
        """Remove the image *name*."""
        self.call("rmi", "--force", name)

    def call(self, *words: str) -> str:
        """Run one command and return what it prints.

        Raises:
            BenchmarkError: it fails; with its words.
        """
        return call([*self.command(), *words], self.environment())

    def timed(self, *words: str) -> float:
        """Run one command; return the seconds from before its start to after its end."""
        return timed([*self.command(), *words], self.environment())

    def remove(self, container: str) -> None:
        """Remove a container that runs, without waiting for it to stop."""
        self.call("rm", "--force", container)

    def monitor_pids(self, container: str) -> list[int]:
        """Return the processes that are there for this one container, outside of it."""
        return [parent_of(self.first_pid(container))]

    def daemon_pids(self) -> list[int]:
        """Return the processes that are there with any number of containers."""
        return []

    def first_pid(self, container: str) -> int:
        """Return PID 1 of the container as the host numbers it."""
        return int(self.call("inspect", "--format", "{{.State.Pid}}", container))


def call(command: list[str], environment: Mapping[str, str] | None = None) -> str:
    """Run *command* and return what it prints; raises BenchmarkError when it fails."""
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"'{' '.join(command)}' took more than {_TIMEOUT:.0f} s") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-500:]
        raise BenchmarkError(f"'{' '.join(command)}' ended with {done.returncode}: {said}")
    return done.stdout.strip()


def timed(command: list[str], environment: Mapping[str, str] | None = None) -> float:
    """Run *command* and return the seconds it took; raises BenchmarkError when it fails."""
    began = time.perf_counter()
    call(command, environment)
    return time.perf_counter() - began


def parent_of(pid: int) -> int:
    """Return the parent of *pid*."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return int(file.read().rpartition(")")[2].split()[1])
