"""Pulls into a store of a test's own, with little patience, and what is to be seen of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from runtime.exchange import pulling
from runtime.model.errors import RuntimeFailure
from runtime.registry.settings import Location, Patience, Rule, Settings
from runtime.store.images import Image, Images
from tests.support.hostile_registry import HostileRegistry
from tests.support.images import files_in

QUICK = Patience(connect=5.0, stall=5.0, attempts=3, pause=0.001, longest_pause=0.01)
IMPATIENT = QUICK.replace(stall=0.2)


class Heard:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.layers: list[tuple[str, str, int, int]] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def layer(self, digest: str, status: str, done: int = 0, total: int = 0) -> None:
        self.layers.append((digest, status, done, total))

    def has(self, part: str) -> bool:
        return any(part in status for _, status, _, _ in self.layers)


def pull(
    images: Images, name: str, patience: Patience = QUICK, rules: tuple[Rule, ...] = (), **more: Any
) -> Image:
    settings = Settings(rules=rules, patience=patience)
    return pulling.pull(images, name, settings=settings, **more)


def refused(images: Images, name: str, **options: Any) -> RuntimeFailure:
    with pytest.raises(RuntimeFailure) as caught:
        pull(images, name, **options)
    return caught.value


def contents(images: Images, image: Image, name: str = "file") -> bytes:
    return Path(images.layers.path(image.layers[0]), name).read_bytes()


def partial(images: Images) -> list[str]:
    """Return the names of the half-downloaded blobs."""
    return os.listdir(f"{images.layout.images}/downloads")


def leftovers(images: Images) -> list[str]:
    """Return what lies in the store but for half-downloaded blobs."""
    return [name for name in files_in(images) if "/downloads/" not in name]


def mirrored(registry: HostileRegistry, *mirrors: HostileRegistry) -> tuple[Rule, ...]:
    return (
        Rule(
            "name.example",
            Location(registry.host),
            tuple(Location(mirror.host) for mirror in mirrors),
        ),
    )
