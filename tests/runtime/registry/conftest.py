"""A registry that does as it is told, and an empty store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.store.images import Images
from tests.support.hostile_registry import HostileRegistry
from tests.support.images import make_images


@pytest.fixture
def registry() -> Iterator[HostileRegistry]:
    made = HostileRegistry()
    yield made
    made.close()


@pytest.fixture
def mirror() -> Iterator[HostileRegistry]:
    made = HostileRegistry()
    yield made
    made.close()


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return make_images(tmp_path)
