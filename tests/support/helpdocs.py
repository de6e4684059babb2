"""The help of verbs in docs/runtime: between ``<!-- help: VERB -->`` and the end of its block.

Run as a program it writes what `--help` says into the pages; a test compares.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "runtime"
_BLOCK = re.compile(r"(<!-- help: ([a-z ]+) -->\n```text\n)(.*?)(```\n)", re.DOTALL)


def verbs_in(text: str) -> list[str]:
    """Return the verbs whose help is in a page."""
    return [match[2] for match in _BLOCK.finditer(text)]


def filled(text: str) -> str:
    """Return the page with the help that the verbs have."""
    from runtime.cli import verbs
    from runtime.language.commandline import help_text

    def block(match: re.Match[str]) -> str:
        table, _ = verbs.find(match[2])
        return match[1] + help_text(table, verbs.aliases(verbs.INDEX[match[2]])) + match[4]

    return _BLOCK.sub(block, text)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    for page in sorted(PAGES.glob("*.md")):
        page.write_text(filled(page.read_text()))
