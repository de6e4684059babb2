"""A published port: requests a second, each on a new connection, one after the other."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from benchmarks import subnet
from benchmarks.engines.base import IMAGE, Engine, call
from benchmarks.records import BenchmarkError
from benchmarks.rows.base import Case, Metric, Row, Values

if TYPE_CHECKING:
    from benchmarks.peers.base import MeasuredPeer
    from benchmarks.workshop import Workshop

_PORT = 8080
_SECONDS, _QUICK_SECONDS = 2.0, 0.3
_PATIENCE = 10.0
_LOOPBACK, _HOST = "from 127.0.0.1", "from the host's address"
_DIRECT = "the host's network"


class Ports(Row):
    """Through whatever stands between the port and the server."""

    name = "ports"
    title = "Published port: requests a second, a new connection each"
    metrics = (Metric("requests", "/s", higher_is_better=True),)
    full_cases = tuple(Case(label, 1, 4) for label in (_LOOPBACK, _HOST, _DIRECT))

    def measure(self, workshop: Workshop, peer: MeasuredPeer, case: Case, *, quick: bool) -> Values:
        """Start the server, ask it for a while."""
        assert isinstance(peer, Engine)
        address = subnet.ADDRESS if case.label == _HOST else "127.0.0.1"
        direct = case.label == _DIRECT
        network = ["--network", "host"] if direct else ["--publish", f"{_PORT}:{_PORT}"]
        options = [*peer.bridged(), *network]
        container = peer.call("run", "--detach", *options, IMAGE, "/bin/answer", str(_PORT))
        try:
            _await(address)
            seconds = _QUICK_SECONDS if quick else _SECONDS
            ask = [workshop.tool("ask"), address, str(_PORT), str(seconds)]
            return {"requests": [float(call(ask))]}
        finally:
            peer.remove(container)


def _await(address: str) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            with socket.create_connection((address, _PORT), timeout=1.0) as asking:
                asking.sendall(b"hello?\n")
                if asking.recv(16) == b"hello\n":
                    return
        except OSError:
            time.sleep(0.02)
        if time.monotonic() > end:
            raise BenchmarkError(f"nobody answers at {address}:{_PORT}")
