"""Debian's docker-registry on loopback: plain or TLS, open or with a password, as a test asks."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from runtime.registry.documents import ACCEPT, OCI_INDEX
from tests.support.eventually import eventually


def free_port() -> int:
    """Return a TCP port of loopback that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Registry:
    """One registry with its own storage; `close` ends it."""

    def __init__(self, directory: Path, **options: Any) -> None:
        """Start it; *options* are more of its configuration: ``auth``, ``http``."""
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        http = {"addr": self.host, **options.pop("http", {})}
        configuration = {
            "version": 0.1,
            "log": {"level": "info", "accesslog": {"disabled": False}},
            "storage": {
                "filesystem": {"rootdirectory": str(directory / "data")},
                "delete": {"enabled": True},
            },
            "http": http,
            **options,
        }
        path = directory / "config.yml"
        path.write_text(yaml.safe_dump(configuration))
        self._log = (directory / "log").open("wb")
        environment = {"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"}
        self.process = subprocess.Popen(
            ["docker-registry", "serve", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env=environment,
        )
        eventually(self._listens)

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.log
        with socket.create_connection(("127.0.0.1", self.port)):
            return True

    @property
    def log(self) -> str:
        """Return what it has written."""
        return (self.directory / "log").read_text()

    def requests(self) -> list[str]:
        """Return the request lines it has seen: ``GET /v2/``."""
        found = [line.partition('] "')[2] for line in self.log.splitlines()]
        return [" ".join(line.split()[:2]) for line in found if line]

    def blob(self, digest: str) -> Path:
        """Return the file of one blob."""
        hexadecimal = digest.removeprefix("sha256:")
        top = self.directory / "data/docker/registry/v2/blobs/sha256"
        return top / hexadecimal[:2] / hexadecimal / "data"

    def manifest(self, repository: str, tag: str) -> dict[str, Any]:
        """Return a manifest as the registry gives it to who accepts all kinds."""
        url = f"http://{self.host}/v2/{repository}/manifests/{tag}"
        request = urllib.request.Request(url, headers={"Accept": ACCEPT})
        with urllib.request.urlopen(request, timeout=15) as answer:
            data = answer.read()
            found: dict[str, Any] = json.loads(data)
            found |= {"digest": answer.headers["Docker-Content-Digest"], "size": len(data)}
            return found

    def put_index(self, repository: str, tag: str, entries: list[dict[str, Any]]) -> str:
        """Store an index of manifests that are there and return its digest."""
        value = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
        request = urllib.request.Request(
            f"http://{self.host}/v2/{repository}/manifests/{tag}",
            data=json.dumps(value).encode(),
            headers={"Content-Type": OCI_INDEX},
            method="PUT",
        )
        with urllib.request.urlopen(request, timeout=15) as answer:
            return str(answer.headers["Docker-Content-Digest"])

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(15)
        self._log.close()
