"""What the tests of the configuration share: one YAML text in, a plan or problems out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from supervise.config.load import LoadOutcome, examine

Examine = Callable[..., LoadOutcome]


@pytest.fixture
def examine_text(tmp_path: Path) -> Examine:
    """Return a function that examines a text as the file f.yaml."""

    def examine_text(text: str, **environ: str) -> LoadOutcome:
        (tmp_path / "f.yaml").write_text(text)
        return examine(["f.yaml"], environ, str(tmp_path))

    return examine_text
