"""The command `runtime` of this tree, with a store of its own that goes with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

from tests.support.scripts import ROOT

_APPLETS = ("sh", "cat", "echo", "false", "id", "ln", "ls", "mkdir", "pwd", "rm", "sleep", "touch")
_TIMEOUT = 60.0  # seconds; no command of a test takes that long unless it hangs


class Runtime:
    """Runs the command; `close` removes every container and what else holds the store."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "store"
        self.environment = {
            **os.environ,
            "RUNTIME_ROOT": str(self.root),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "",
        }
        self.command = [sys.executable, "-m", "runtime.cli.main"]

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Start the command and return at once."""
        return subprocess.Popen([*self.command, *words], env=self.environment, text=True, **options)

    def run(self, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        return subprocess.run(
            [*self.command, *words],
            env=self.environment,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT,
        )

    def __call__(self, *words: str, text: str = "") -> str:
        """Run what must succeed; return what it printed, without the last line feed."""
        said = self.run(*words, text=text)
        assert said.returncode == 0, f"{words}: {said.returncode}\n{said.stdout}{said.stderr}"
        return said.stdout.removesuffix("\n")

    def refusal(self, *words: str) -> tuple[int, str]:
        """Run what must fail; return (exit code, what it said)."""
        said = self.run(*words)
        assert said.returncode != 0, f"{words} succeeded: {said.stdout}"
        return said.returncode, said.stderr

    def inspect(self, name: str) -> Any:
        """Return the JSON of one thing."""
        return json.loads(self("inspect", name))[0]

    def close(self) -> None:
        """Remove all that is there."""
        for line in self.run("ps", "-aq", "--no-trunc").stdout.split():
            self.run("rm", "-fv", line)
        for name in self.run("network", "ls", "-q", "--filter", "type=custom").stdout.split():
            self.run("network", "rm", name)
        self.run("volume", "prune", "-af")


def busybox_tar(path: Path) -> Path:
    """Write a root file system of static busybox alone."""
    with tarfile.open(path, "w") as archive:
        archive.add("/bin/busybox", "bin/busybox")
        for name in _APPLETS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        for name in ("tmp", "etc", "var"):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(directory)
    return path
