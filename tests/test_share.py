"""docs/share/: the manual pages and completion scripts match the documentation and the code."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.generators import generator
from tests.support.scripts import ROOT

SHARE = ROOT / "docs/share"
PAGES = sorted(SHARE.glob("man/*/*"))


def files(directory: Path) -> dict[str, str]:
    """Return path below *directory* → text."""
    paths = [path for path in directory.rglob("*") if path.is_file()]
    return {str(path.relative_to(directory)): path.read_text() for path in paths}


def test_what_is_there_is_what_the_scripts_write(tmp_path: Path) -> None:
    for name in ("generate_man", "generate_completions"):
        generator(name).main([str(tmp_path)])

    assert files(SHARE) == files(tmp_path), "stale: make docs"


def test_every_directory_of_share_is_installed() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    folders = {
        str(path.parent.relative_to(ROOT / "docs")) for path in SHARE.rglob("*") if path.is_file()
    }

    assert set(re.findall(r'^"(share/[^"]+)" = ', project, re.MULTILINE)) == folders


@pytest.mark.needs("man")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_man_reads_a_page_without_complaint(page: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "MANWIDTH": "100", "LANG": "C.UTF-8"}

    done = subprocess.run(
        ["man", "--warnings", "--local-file", str(page)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    complaints = [line for line in done.stderr.splitlines() if "can't break line" not in line]
    assert complaints == []
    assert re.match(rf"{page.stem.upper()}\({page.suffix[1:]}\)", done.stdout)
    for heading in ("NAME", "DESCRIPTION", "SEE ALSO"):
        assert re.search(rf"^{heading}$", done.stdout, re.MULTILINE)
