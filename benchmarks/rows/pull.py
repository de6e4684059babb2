"""Pull of a Debian image from a registry on loopback, its one layer packed by gzip.

docker-registry serves what skopeo has put there from the archive of the load row.  skopeo, a peer
of this row alone, downloads and verifies and does not unpack: what is left is unpacking.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from benchmarks.engines.base import Engine, call
from benchmarks.records import BenchmarkError
from benchmarks.rows.archives import saved
from benchmarks.rows.base import Case, Metric, Row, Values

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from benchmarks.peers.base import MeasuredPeer
    from benchmarks.workshop import Workshop

_REPOSITORY = "bench/debian:1"
_PROGRAMS = ("docker-registry", "skopeo")
_START_SECONDS = 30.0
_PAUSE_SECONDS = 0.05
_CONFIGURATION = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {data}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


class Pull(Row):
    """`pull`, until the image is there; it is removed again."""

    name = "pull"
    title = "Pull from a registry on loopback, a layer packed by gzip"
    metrics = (Metric("wall", "s"),)
    full_cases = (Case("Debian", 1, 4),)
    quick_cases = (Case("Debian", 1, 1),)

    def measure(self, workshop: Workshop, peer: MeasuredPeer, case: Case, *, quick: bool) -> Values:
        """Serve, pull and remove."""
        del case, quick
        assert isinstance(peer, Engine)
        if missing := [program for program in _PROGRAMS if shutil.which(program) is None]:
            raise BenchmarkError(f"needs {', '.join(missing)}: apt-get install {' '.join(missing)}")
        with _Registry(workshop) as registry:
            name = f"{registry.host}/{_REPOSITORY}"
            os.sync()  # what earlier samples have left to write is not this one's
            took = peer.timed(*peer.pull_words(name))
            peer.forget(name)
        return {"wall": [took]}


class _Registry:
    """docker-registry with the image in it, for one sample."""

    def __init__(self, workshop: Workshop) -> None:
        self._place = workshop.root / "registry"
        self._archive = saved(workshop)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.host = f"127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self._place.mkdir(exist_ok=True)
        configuration = self._place / "config.yml"
        text = _CONFIGURATION.format(data=self._place / "data", port=self._port)
        configuration.write_text(text)
        self._process = subprocess.Popen(
            ["docker-registry", "serve", str(configuration)],
            env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + _START_SECONDS
        while not self._answers():
            if time.monotonic() > end or self._process.poll() is not None:
                raise BenchmarkError("docker-registry does not answer")
            time.sleep(_PAUSE_SECONDS)
        self._fill(self._place / "filled")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port)).close()
        except ConnectionRefusedError:
            return False
        return True

    def _fill(self, mark: Path) -> None:
        """Put the image there, the first time."""
        if not mark.exists():
            source, target = f"docker-archive:{self._archive}", f"{self.host}/{_REPOSITORY}"
            call(["skopeo", "copy", "--dest-tls-verify=false", source, f"docker://{target}"])
            mark.touch()
