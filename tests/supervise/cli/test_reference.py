"""The generated documentation is what the code says."""

from __future__ import annotations

import re

import pytest

from supervise.cli import verbs
from tests.support.control import ROOT
from tests.support.generators import generator

DOCS = ROOT / "docs"
reference = generator("generate_reference")
STALE = f"stale; run: {reference.COMMAND}"


def test_events_page() -> None:
    assert (DOCS / "events.md").read_text() == reference.events(), STALE


def test_api_page() -> None:
    assert (DOCS / "api.md").read_text() == reference.interface(), STALE


def test_verbs_in_the_page_of_supervisectl() -> None:
    page = (DOCS / "supervisectl.md").read_text()

    assert reference.BEGIN in page
    assert reference.with_verb_section(page) == page, STALE


@pytest.mark.parametrize("page", ["events.md", "api.md", "supervisectl.md"])
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([a-z./]+\.md)(?:#([a-z-]+))?\)", (DOCS / page).read_text())

    for target, anchor in links:
        headings = re.findall(r"^#+ (.*)$", (DOCS / target).read_text(), re.MULTILINE)
        assert not anchor or anchor in [h.lower().replace(" ", "-") for h in headings]


def test_every_verb_is_in_the_page() -> None:
    page = (DOCS / "supervisectl.md").read_text()

    assert [verb.name for verb in verbs.VERBS if f"### {verb.name}\n" not in page] == []
