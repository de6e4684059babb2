"""`runtime`, installed by pip from the working tree."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from benchmarks.engines.base import Engine

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.workshop import Workshop


class Ours(Engine):
    """As `pip install` gives it, or with its extra of faster layers."""

    program = "python3"

    def __init__(self, workshop: Workshop, extra: str = "", revision: str = "") -> None:
        self.name = f"runtime[{extra}]" if extra else "runtime"
        if revision:
            self.name += f"@{revision}"
        self.rows = frozenset({"import", "load", "pull"})
        if extra:
            self.note = f"pip install supervise[{extra}]"
        else:
            self.rows |= {"start-bridge", "start-plain", "footprint", "ports"}
        self._extra = extra
        self._revision = revision
        super().__init__(workshop)

    def fetch(self) -> None:
        """Install it."""
        self._environment()

    def command(self) -> list[str]:
        """Return the console script with a store of its own."""
        return [str(self._environment() / "bin/runtime"), "--root", str(self.place)]

    def environment(self) -> Mapping[str, str]:
        """Return our variables without those that make a Python slower."""
        return {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}

    def plain(self) -> list[str]:
        """Return the options for the bare command: supervise is PID 1 otherwise."""
        return ["--net", "none", "--no-init"]

    def version(self) -> str:
        """Return what `runtime --version` says."""
        return self.call("--version").rpartition(" ")[2]

    def close(self) -> None:
        """Remove every container first."""
        for container in self.call("ps", "--all", "--quiet").split():
            self.call("rm", "--force", container)
        super().close()

    def _environment(self) -> Path:
        return self.workshop.supervise_environment(self._extra, self._revision)
