"""The supervisors that are measured, one module each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.peers import bare, runit, s6, single, supervise, supervisord

if TYPE_CHECKING:
    from benchmarks.peers.base import MeasuredPeer
    from benchmarks.workshop import Workshop


def everyone(workshop: Workshop) -> list[MeasuredPeer]:
    """Return all peers in the order of the tables, installed or not."""
    return [
        supervise.Supervise(workshop),
        supervise.SuperviseCompiled(workshop),
        supervisord.FromPypi(workshop),
        supervisord.FromDebian(),
        s6.S6(),
        s6.S6Notify(),
        runit.Runit(),
        single.Single("tini", ["tini", "--"]),
        single.Single("dumb-init", ["dumb-init", "--"]),
        bare.BarePython(workshop),
        bare.BareC(workshop),
    ]
