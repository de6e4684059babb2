"""The pages in docs/runtime show what --help says, and leave no verb out."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.cli import verbs
from tests.support import helpdocs

PAGES = sorted(helpdocs.PAGES.glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_shows_the_help_there_is(page: Path) -> None:
    text = page.read_text()

    assert text == helpdocs.filled(text), "stale: run python tests/support/helpdocs.py"


def test_every_verb_is_on_a_page() -> None:
    shown = {verbs.INDEX[verb] for page in PAGES for verb in helpdocs.verbs_in(page.read_text())}

    assert set(verbs.INDEX.values()) - shown == set()
