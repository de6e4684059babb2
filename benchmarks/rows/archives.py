"""A Debian root file system of some 230 MB becomes an image: from a tar, from a saved image."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

from benchmarks.engines.base import Engine
from benchmarks.rows.base import Case, Metric, Row, Values

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.peers.base import MeasuredPeer
    from benchmarks.workshop import Workshop

_PACKAGES = "python3,python3-pip,python3-venv"
_SUITE = "bookworm"
_NAME = "bench/debian:1"


def debian(workshop: Workshop) -> Path:
    """Return the tar, made by mmdebstrap once."""

    def make(path: Path) -> None:
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={_PACKAGES}"]
        subprocess.run([*command, "--format=tar", _SUITE, str(path)], check=True)

    return workshop.kept(f"{_SUITE}.tar", make)


def saved(workshop: Workshop) -> Path:
    """Return a docker-archive of it whose layer is packed by gzip."""
    tar = debian(workshop)

    def make(path: Path) -> None:
        data = tar.read_bytes()
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["bash"]},
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(data).hexdigest()}"],
            },
        }
        manifest = [{"Config": "config.json", "RepoTags": [_NAME], "Layers": ["layer.tar.gz"]}]
        with tarfile.open(path, "w") as archive:
            _add(archive, "config.json", json.dumps(config).encode())
            _add(archive, "layer.tar.gz", gzip.compress(data, 6))
            _add(archive, "manifest.json", json.dumps(manifest).encode())

    return workshop.kept(f"{_SUITE}-saved.tar", make)


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


class _Archive(Row):
    metrics = (Metric("wall", "s"),)
    full_cases = (Case("Debian", 1, 4),)
    quick_cases = (Case("Debian", 1, 1),)

    def words(self, workshop: Workshop) -> list[str]:
        """Return the command."""
        raise NotImplementedError

    def fetch(self, workshop: Workshop) -> None:
        """Make the archives, once."""
        saved(workshop)

    def measure(self, workshop: Workshop, peer: MeasuredPeer, case: Case, *, quick: bool) -> Values:
        """Make the image and remove it again."""
        del case, quick
        assert isinstance(peer, Engine)
        words = self.words(workshop)
        os.sync()  # what earlier samples have left to write is not this one's
        took = peer.timed(*words)
        peer.call("rmi", "--force", _NAME)
        return {"wall": [took]}


class Import(_Archive):
    """`import ROOTFS.tar`."""

    name = "import"
    title = "Import of a root file system"

    def words(self, workshop: Workshop) -> list[str]:
        """Return the command."""
        return ["import", str(debian(workshop)), _NAME]


class Load(_Archive):
    """`load --input IMAGE.tar`."""

    name = "load"
    title = "Load of a saved image with a layer packed by gzip"

    def words(self, workshop: Workshop) -> list[str]:
        """Return the command."""
        return ["load", "--input", str(saved(workshop))]
