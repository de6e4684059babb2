"""Dockerfiles that cannot be read: tests/golden/dockerfile/refused has each with its message."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.dockerfile import parser
from runtime.dockerfile.dockerfile_error import DockerfileError

REFUSED = Path(__file__).resolve().parents[2] / "golden/dockerfile/refused"


@pytest.mark.parametrize("folder", sorted(REFUSED.iterdir()), ids=lambda folder: folder.name)
def test_a_mistake_is_told_with_its_line_and_a_way_out(folder: Path) -> None:
    with pytest.raises(DockerfileError) as caught:
        parser.parse((folder / "Dockerfile").read_bytes())

    problem = caught.value
    assert f"{problem.message}\n{problem.hint}\n" == (folder / "expected").read_text()
    assert problem.hint
    assert problem.code == 1
