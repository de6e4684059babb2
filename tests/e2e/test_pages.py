"""Every example of the pages that have consoles, done from top to bottom and compared."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.support import consoles
from tests.support.consoles import Command, Console
from tests.support.generators import generator
from tests.support.scripts import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox", "nft")]

PAGES = [
    page
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if "```console" in page.read_text() and not page.name.startswith("tutorial")
]


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the injected PID 1 is kept once it is made: it takes seconds."""
    return tmp_path_factory.mktemp("kept") / "bundles"


@pytest.fixture
def console(tmp_path: Path, commands: str, bundles: Path) -> Iterator[Console]:
    """Return a shell in an empty directory."""
    place, store = tmp_path / "here", tmp_path / "store"
    place.mkdir()
    if bundles.exists():
        store.mkdir(0o711)
        shutil.copytree(bundles, store / "bundles", symlinks=True)
    made = Console(place, commands, store=store)
    yield made
    made.close()
    if (store / "bundles").exists() and not bundles.exists():
        shutil.copytree(store / "bundles", bundles, symlinks=True)


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


def test_the_recorded_session_happens_again(console: Console) -> None:
    script = generator("generate_session")
    (console.directory / "supervise.yaml").write_text(script.CONFIGURATION)
    shown = picture_lines(ROOT / "docs/session.svg")
    prompts = [number for number, line in enumerate(shown) if line.startswith("$ ")]

    recorded = [
        Command(start + 1, shown[start][2:], tuple(shown[start + 1 : end]))
        for start, end in zip(prompts, [*prompts[1:], len(shown)], strict=True)
    ]

    assert [step.text for step in recorded] == list(script.COMMANDS), "stale: make session"
    wrong = [said for step in recorded if (said := console.do(step))]
    assert not wrong, "stale: make session\n" + "\n".join(wrong)


def picture_lines(path: Path) -> list[str]:
    """Return the lines of text in a picture, from top to bottom."""
    texts = ET.parse(path).getroot().iter("{http://www.w3.org/2000/svg}text")
    return ["".join(text.itertext()) for text in texts]
