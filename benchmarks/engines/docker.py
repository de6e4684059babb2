"""Debian's docker.io: a daemon of the run's own, without and with its --init."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

from benchmarks import procfs
from benchmarks.engines.base import Engine, call
from benchmarks.records import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.workshop import Workshop

_START_SECONDS = 60.0
_PAUSE_SECONDS = 0.1


class Daemon:
    """dockerd with containerd; started by the first of its engines, ended by the last."""

    def __init__(self, workshop: Workshop) -> None:
        self._place = workshop.stores / "dockerd"
        self._process: subprocess.Popen[bytes] | None = None
        self._users = 0
        self.address = f"unix://{self._place}/docker.sock"

    def open(self) -> bool:
        """Start it; True when it runs only now."""
        self._users += 1
        if self._process is not None:
            return False
        shutil.rmtree(self._place, ignore_errors=True)
        self._place.mkdir(parents=True)
        configuration = self._place / "daemon.json"
        configuration.write_text("{}")  # not the machine's
        log = (self._place / "log").open("wb")
        self._process = subprocess.Popen(
            [
                *("dockerd", f"--host={self.address}", f"--config-file={configuration}"),
                *(f"--data-root={self._place}/data", f"--exec-root={self._place}/exec"),
                f"--pidfile={self._place}/pid",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        log.close()
        end = time.monotonic() + _START_SECONDS
        while subprocess.run(self._asking(), capture_output=True, check=False).returncode:
            if time.monotonic() > end or self._process.poll() is not None:
                raise BenchmarkError(f"dockerd: {(self._place / 'log').read_text()[-500:]}")
            time.sleep(_PAUSE_SECONDS)
        return True

    def _asking(self) -> list[str]:
        return ["docker", f"--host={self.address}", "version"]

    def pids(self) -> list[int]:
        """Return dockerd and containerd, without the shims of containers."""
        if self._process is None:
            return []
        return [
            pid
            for pid in procfs.members(self._process.pid)
            if procfs.name(pid) in ("dockerd", "containerd")
        ]

    def close(self) -> None:
        """End it with the last of its users."""
        self._users -= 1
        if self._users or self._process is None:
            return
        self._process.terminate()
        self._process.wait(_START_SECONDS)
        self._process = None
        subprocess.run(["umount", "--recursive", f"{self._place}/data"], capture_output=True, check=False)  # fmt: skip
        shutil.rmtree(self._place, ignore_errors=True)


class Docker(Engine):
    """`docker` as it is without options."""

    name = "docker"
    program = "dockerd"
    rows = frozenset(
        {"start-bridge", "start-plain", "import", "load", "pull", "footprint", "ports"}
    )

    def __init__(self, workshop: Workshop, daemon: Daemon) -> None:
        super().__init__(workshop)
        self._daemon = daemon

    def open(self, small: Path) -> None:
        """Start the daemon."""
        if self._daemon.open():
            super().open(small)

    def command(self) -> list[str]:
        """Return the words that reach the daemon of the run."""
        return ["docker", f"--host={self._daemon.address}"]

    def environment(self) -> Mapping[str, str]:
        """Return nobody's settings."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.place)}

    def version(self) -> str:
        """Return the daemon's version."""
        return self.call("version", "--format", "{{.Server.Version}}")

    def daemon_pids(self) -> list[int]:
        """Return dockerd and containerd."""
        return self._daemon.pids()

    def close(self) -> None:
        """Remove the containers, and end the daemon with the last engine."""
        containers = call([*self.command(), "ps", "--all", "--quiet"]).split()
        if containers:
            self.call("rm", "--force", *containers)
        self._daemon.close()
        super().close()


class WithInit(Docker):
    """With tini as PID 1."""

    name = "docker --init"
    rows = frozenset({"start-bridge"})

    def bridged(self) -> list[str]:
        """Return the option for it."""
        return ["--init"]
