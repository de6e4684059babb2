"""Every example of the pages that have consoles, done from top to bottom and compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import consoles
from tests.support.consoles import Command, Console
from tests.support.scripts import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root")]

PAGES = [
    page
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if "```console" in page.read_text() and not page.name.startswith("tutorial")
]


@pytest.fixture
def console(tmp_path: Path, commands: str) -> Iterator[Console]:
    """Return a shell in an empty directory."""
    place = tmp_path / "here"
    place.mkdir()
    made = Console(place, commands, store=tmp_path / "store")
    yield made
    made.close()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_shows_what_happens(console: Console, page: Path) -> None:
    wrong = [said for step in consoles.steps(page.read_text()) if (said := console.do(step))]

    assert not wrong, f"{page.relative_to(ROOT)}:\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        (("web ready after 0.2 s, pid 7",), "web ready after 13 ms, pid 12345\n", True),
        (("web | …", "done"), "web | anything\ndone", True),
        (("first", "…", "last"), "first\na\nb\nlast", True),
        (("a   b",), "a b", True),
        (("exit code 3",), "exit code 4", False),
        (("one line",), "one line\nand another", False),
        ((), "", True),
    ],
)
def test_what_may_differ_and_what_may_not(shown: tuple[str, ...], printed: str, same: bool) -> None:
    assert consoles.matches(shown, printed) is same


def test_a_page_is_read_from_top_to_bottom() -> None:
    page = "text\n<!-- file: a.yaml -->\n```yaml\nx: 1\n```\n```console\n$ cat \\\n> a\nx: 1\n$ true\n```\n"

    first, *commands = consoles.steps(page)

    assert first == consoles.File(4, "a.yaml", "x: 1\n")
    assert commands == [Command(7, "cat \\\na", ("x: 1",)), Command(10, "true", ())]


def test_the_code_of_the_command_before_is_kept(console: Console) -> None:
    console.run("(exit 7)")

    assert console.run("echo $?") == "7"
