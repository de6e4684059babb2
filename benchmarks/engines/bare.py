"""What engines stand on: they start a container from a directory, and keep nothing of it."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.engines.base import Engine, call

if TYPE_CHECKING:
    from benchmarks.workshop import Workshop


_UNIFIED = "/sys/fs/cgroup/unified"


class _BareEngine(Engine):
    rows = frozenset({"start-plain"})

    def open(self, small: Path) -> None:
        """Unpack the root file system."""
        root = self.place / "rootfs"
        super().close()
        root.mkdir(parents=True)
        subprocess.run(["tar", "-C", str(root), "-xf", str(small)], check=True)

    def version(self) -> str:
        """Return the last word of the first line that --version prints."""
        return call([self.program, "--version"]).splitlines()[0].rpartition(" ")[2]


class Runc(_BareEngine):
    """An OCI runtime with the configuration that `runc spec` writes."""

    def __init__(self, workshop: Workshop, program: str) -> None:
        self.name = self.program = program
        self._numbers = itertools.count()
        super().__init__(workshop)

    def open(self, small: Path) -> None:
        """Write the bundle."""
        super().open(small)
        call([self.program, "spec", "--bundle", str(self.place)] if self.program == "runc" else
             ["sh", "-c", f"cd '{self.place}' && {self.program} spec"])  # fmt: skip
        path = self.place / "config.json"
        config = json.loads(path.read_text())
        config["process"]["args"] = ["true"]
        config["process"]["terminal"] = False
        path.write_text(json.dumps(config))

    def run_command(self, *options: str) -> list[str]:
        """Return the command for one more container; there are no options."""
        del options
        name = f"bench-{self.program}-{next(self._numbers)}"
        return [self.program, "run", "--bundle", str(self.place), name]


class Crun(Runc):
    """crun, which refuses a machine with both versions of cgroups."""

    def __init__(self, workshop: Workshop) -> None:
        super().__init__(workshop, "crun")

    def open(self, small: Path) -> None:
        """Hide the bare version 2 of such a machine, in the run's own mount namespace."""
        if Path(_UNIFIED).is_mount():
            call(["umount", _UNIFIED])
        super().open(small)


class Bubblewrap(_BareEngine):
    """Namespaces and nothing else: no cgroup, no filter, no record."""

    name = "bwrap"
    program = "bwrap"
    note = "namespaces alone: no cgroup, filter or record"

    def run_command(self, *options: str) -> list[str]:
        """Return the command; there are no options."""
        del options
        root = f"{self.place}/rootfs"
        mounts = ("--bind", root, "/", "--proc", "/proc", "--dev", "/dev")
        return ["bwrap", "--unshare-all", *mounts, "true"]
