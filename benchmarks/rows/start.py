"""`run --rm IMAGE true`: from before the command to after its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.engines.base import Engine, timed
from benchmarks.rows.base import Case, Metric, Row, Values

if TYPE_CHECKING:
    from benchmarks.peers.base import MeasuredPeer
    from benchmarks.workshop import Workshop

_RUNS = 5  # in one sample
_SAMPLES = 5


class _Start(Row):
    metrics = (Metric("wall", "ms"),)
    full_cases = (Case("run --rm", 1, _SAMPLES),)

    def options(self, engine: Engine) -> list[str]:
        """Return the options of `run`."""
        raise NotImplementedError

    def measure(self, workshop: Workshop, peer: MeasuredPeer, case: Case, *, quick: bool) -> Values:
        """Run some containers, one after the other."""
        del workshop, case
        assert isinstance(peer, Engine)
        took = []
        for _ in range(1 if quick else _RUNS):
            command = peer.run_command(*self.options(peer))
            took.append(timed(command, peer.environment()) * 1000)
        return {"wall": took}


class StartBridge(_Start):
    """With the network of its own and the PID 1 that one gets."""

    name = "start-bridge"
    title = "Start to end of a container on the bridge, `true` in busybox"

    def options(self, engine: Engine) -> list[str]:
        """Return what gives a bridge and an init."""
        return engine.bridged()


class StartPlain(_Start):
    """With nothing around the command."""

    name = "start-plain"
    title = "The same without network and without an init"

    def options(self, engine: Engine) -> list[str]:
        """Return what leaves both out."""
        return engine.plain()
