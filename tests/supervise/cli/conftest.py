"""Servers for supervisectl to talk to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.control import ControlServer, serving


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlServer]:
    """A server for tests that leave it as it was."""
    with serving(str(tmp_path_factory.mktemp("shared") / "s")) as server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ControlServer]:
    with serving(str(tmp_path / "s")) as server:
        yield server
