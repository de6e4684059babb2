"""Writes the measured tables of docs/comparisons.md from those of the pages of benchmarks.

    python docs/generate_comparisons.py [PAGE]

The figures are written down once, by the benchmarks; a test fails when the pages differ.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCS = Path(__file__).resolve().parent
BEGIN = "<!-- From here written by docs/generate_comparisons.py from {}. -->"
END = "<!-- To here. -->"


class Row(NamedTuple):
    """One line: what it is, and where benchmarks.md has it."""

    what: str
    heading: str  # how the table's heading begins
    column: str


class Table(NamedTuple):
    """One table of the page."""

    source: str  # below docs/
    peers: tuple[str, ...]
    rows: tuple[Row, ...]


SUPERVISORS = (
    Row("start: PID 1 to the first service, ms", "Boot: ", "N=1: first, ms"),
    Row("start: to the last of 100, ms", "Boot: ", "N=100: last, ms"),
    Row("start: to the last of 500, ms", "Boot: ", "N=500: last, ms"),
    Row("restart after `kill -9`, ms", "Restart: ", "N=1: settled, ms"),
    Row("restart, killed again at once, ms", "Restart: ", "N=1: again at once, ms"),
    Row("memory with 10 services, MB", "Memory", "N=10: unique, MB"),
    Row("memory with 100 services, MB", "Memory", "N=100: unique, MB"),
    Row("wake-ups a second while idle", "Idle: ", "N=100: wake-ups, /s"),
    Row("20,000 orphans reaped, ms", "20,000 orphans", "M=20000: all gone, ms"),
    Row("log relay to a file, MB/s", "Log relay: ", "file, raw: rate, MB/s"),
    Row("stop of 100 services, ms", "Stop: ", "N=100: gone, ms"),
    Row("… of which got SIGTERM", "Stop: ", "N=100: services that got SIGTERM"),
    Row("status of 100 services, ms", "Status of ", "N=100: wall, ms"),
)
ENGINES = (
    Row("`run --rm IMAGE true`, on the bridge, ms", "Start to end", "run --rm: wall, ms"),
    Row("the same, no network, no init, ms", "The same without", "run --rm: wall, ms"),
    Row("memory of a monitor, MB", "Memory with", "sleep: monitor, RSS, MB"),
    Row("memory of daemons, MB", "Memory with", "sleep: daemons, RSS, MB"),
    Row("import of a Debian root, s", "Import of", "Debian: wall, s"),
    Row("load of it, packed by gzip, s", "Load of", "Debian: wall, s"),
    Row("requests a second by 127.0.0.1", "Published port", "from 127.0.0.1: requests, /s"),
)
TABLES = (
    Table("benchmarks.md", ("supervise", "supervisord", "s6", "runit", "tini"), SUPERVISORS),
    Table("benchmarks-runtime.md", ("runtime", "docker", "podman"), ENGINES),
)


def tables(page: str) -> dict[str, dict[str, dict[str, str]]]:
    """Return heading → peer → column → cell."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for section in page.split("\n## ")[1:]:
        heading, _, body = section.partition("\n")
        lines = [line for line in body.splitlines() if line.startswith("|")]
        if not lines:
            continue
        columns = _cells(lines[0])
        rows = [_cells(line) for line in lines[2:]]
        found[heading] = {row[0]: dict(zip(columns, row, strict=False)) for row in rows if row}
    return found


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def table(wanted: Table) -> str:
    """Return one table of comparisons.md, with its marks."""
    measured = tables((DOCS / wanted.source).read_text())
    lines = [BEGIN.format(wanted.source), "", f"| median | {' | '.join(wanted.peers)} |"]
    lines.append(f"|---|{'---:|' * len(wanted.peers)}")
    for row in wanted.rows:
        peers = next(rows for name, rows in measured.items() if name.startswith(row.heading))
        shown = (_median(peers.get(peer, {}).get(row.column, "-")) for peer in wanted.peers)
        lines.append(f"| {row.what} | {' | '.join(shown)} |")
    return "\n".join([*lines, "", END])


def _median(cell: str) -> str:
    return re.split(r" [(n]", cell)[0]


def filled(page: str) -> str:
    """Return comparisons.md with its measured parts made anew."""
    for wanted in TABLES:
        before, _, rest = page.partition(BEGIN.format(wanted.source))
        page = before + table(wanted) + rest.partition(END)[2]
    return page


def main(words: Sequence[str]) -> None:
    """Write the page."""
    path = Path(words[0]) if words else DOCS / "comparisons.md"
    path.write_text(filled(path.read_text()))


if __name__ == "__main__":
    main(sys.argv[1:])
