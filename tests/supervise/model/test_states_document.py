from __future__ import annotations

from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest

from supervise.model.lifecycle import TRANSITIONS
from supervise.model.process import ProcessState, Spawned
from tests.support import generators
from tests.support.scripts import ROOT

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """The script as a module."""
    return generators.generator("generate_states")


@pytest.mark.parametrize("name", ["states.svg", "states.md"])
def test_document_is_that_of_the_table(name: str, generator: ModuleType, tmp_path: Path) -> None:
    generator.main([str(tmp_path)])

    assert (tmp_path / name).read_text() == (DOCS / name).read_text(), (
        "stale: run python docs/generate_states.py"
    )


def test_picture_has_every_state(generator: ModuleType) -> None:
    texts = [element.text for element in ET.fromstring(generator.picture()).iter()]

    assert {state.value for state in ProcessState} <= set(texts)


def test_page_lists_every_pair_of_the_table(generator: ModuleType) -> None:
    page = generator.page()

    sections = dict(part.split("\n", 1) for part in page.split("\n## ")[1:])
    rows = {
        (state, row.split("`")[1])
        for state, section in sections.items()
        for row in section.splitlines()
        if row.startswith("| `")
    }
    assert rows == {(state.value, event.__name__) for state, event in TRANSITIONS}


def test_edge_without_a_place_in_the_picture_is_an_error(
    generator: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, _ = TRANSITIONS[ProcessState.STARTING, Spawned]
    table = dict(TRANSITIONS)
    table[ProcessState.EXITED, Spawned] = (handler, (ProcessState.RUNNING,))
    monkeypatch.setattr(generator, "TRANSITIONS", table)

    with pytest.raises(ValueError, match="exited → running by Spawned: no route"):
        generator.check_routes()
