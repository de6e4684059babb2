"""The pages of the documentation lead to each other."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.generators import generator

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = ("README.md", "SECURITY.md", "tests/README.md")  # pages that are not in docs/


def test_links_between_the_pages_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [*(ROOT / name for name in OUTSIDE), *sorted((ROOT / "docs").glob("*.md"))]
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]

    assert not broken, f"links to files that are not there: {broken}"


def test_the_way_to_report_a_hole_is_linked() -> None:
    assert "](SECURITY.md)" in (ROOT / "README.md").read_text()
    assert "](../SECURITY.md)" in (ROOT / "docs/security.md").read_text()


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_every_test_that_a_page_names_exists() -> None:
    sources = (path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    there = {
        name for text in sources for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)
    }

    broken = [
        f"{page.relative_to(ROOT)}: {name}"
        for page in pages()
        for name in re.findall(r"`(test_\w+)`", page.read_text())
        if name not in there
    ]

    assert not broken, f"pages name tests that are not there: {broken}"


def test_every_file_of_the_tests_that_a_page_names_exists() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {name}"
        for page in pages()
        for name in re.findall(r"`(tests/[\w/]+\.py)`", page.read_text())
        if not (ROOT / name).exists()
    ]

    assert not broken, f"pages name files that are not there: {broken}"


def test_every_danger_on_the_security_page_has_a_test_that_holds_it() -> None:
    page = (ROOT / "docs/security.md").read_text()
    tables = re.findall(r"^\| danger \|.*\n\|[-|]+\n((?:\|.*\n)+)", page, re.MULTILINE)

    rows = [row for table in tables for row in table.splitlines()]

    assert len(rows) > 20
    assert [row for row in rows if "`test_" not in row.rstrip("|").rpartition("|")[2]] == []


def test_the_graph_of_the_demonstration_is_that_of_its_configuration(tmp_path: Path) -> None:
    generator("generate_graph").main([str(tmp_path / "made.svg")])

    made = (tmp_path / "made.svg").read_text()
    assert made == (ROOT / "docs/demo-graph.svg").read_text(), "stale: make docs"


def test_the_measured_tables_of_the_comparisons_are_those_of_the_benchmarks() -> None:
    made = generator("generate_comparisons")
    page = (ROOT / "docs/comparisons.md").read_text()

    assert page == made.filled(page), "stale: PYTHONPATH=. python docs/generate_comparisons.py"
