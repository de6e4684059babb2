"""The container engines that are measured, one module each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.engines import bare, docker, ours, podman, skopeo

if TYPE_CHECKING:
    from benchmarks.engines.base import Engine
    from benchmarks.workshop import Workshop


def everyone(workshop: Workshop) -> list[Engine]:
    """Return all engines in the order of the tables, installed or not."""
    daemon = docker.Daemon(workshop)
    return [
        ours.Ours(workshop),
        ours.Ours(workshop, "layers"),
        docker.Docker(workshop, daemon),
        docker.WithInit(workshop, daemon),
        podman.Podman(workshop),
        skopeo.Skopeo(workshop),
        bare.Runc(workshop, "runc"),
        bare.Crun(workshop),
        bare.Bubblewrap(workshop),
    ]
