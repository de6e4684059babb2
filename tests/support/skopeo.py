"""skopeo as an oracle: what it puts into a registry, and what it finds there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.support.images import config_of, docker_archive
from tests.support.runtime import busybox
from tests.support.tars import file, make_tar


class Skopeo:
    """Copies images; `base` is an archive with busybox and one more layer on it."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.base = self.archive("base")

    def archive(self, name: str) -> str:
        """Return an image whose layers no other has: skopeo remembers where it has put which."""
        archive = self.directory / f"{name}.tar"
        layers = [
            busybox(file("etc/name", name.encode())),
            make_tar(file("etc/motd", name.encode())),
        ]
        archive.write_bytes(docker_archive((config_of(*layers), layers, None)))
        return f"docker-archive:{archive}"

    def copy(self, source: str, target: str, *options: str) -> None:
        """Copy an image between any two of skopeo's transports."""
        insecure = ["--src-tls-verify=false", "--dest-tls-verify=false"]
        self._run("copy", *insecure, *options, source, target)

    def inspect(self, place: str, *options: str) -> dict[str, Any]:
        """Return what it says of an image."""
        found: dict[str, Any] = json.loads(
            self._run("inspect", "--tls-verify=false", *options, place)
        )
        return found

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            ["skopeo", "--insecure-policy", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"skopeo {' '.join(words)}: {done.stderr}"
        return done.stdout
