"""Writes docs/demo-graph.svg: who depends on whom in configs/demo/supervise.yaml.

    python docs/generate_graph.py [SVG [CONFIGURATION]]

Columns are waves: a service stands right of all it depends on.  The edges are those that
`supervisectl graph` shows.  A test fails when the picture is stale.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from supervise.config.load import examine
from supervise.model.service import ServiceType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from supervise.model.service import ServiceSpec

ROOT = Path(__file__).resolve().parent.parent
BOX = (120, 40)
GAP = (150, 34)  # between columns, between rows
MARGIN = 20
WORDS = {
    "service_started": "started",
    "service_ready": "ready",
    "service_healthy": "healthy",
    "service_completed_successfully": "completed",
}
HEAD = (
    '<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
    'orient="auto"><path d="M0 0L10 5L0 10z" fill="#4a5260"/></marker>'
)
STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2733; text-anchor: middle; }
.why { font-size: 12px; fill: #4a5260; paint-order: stroke; stroke: #ffffff; stroke-width: 5px; }
.box { fill: #dcebff; stroke: #2f6fc4; }
.once { fill: #e3f4ee; stroke: #3c8f78; }
.arrow { fill: none; stroke: #4a5260; stroke-width: 1.5; marker-end: url(#head); }"""


def waves(services: Mapping[str, ServiceSpec]) -> list[list[str]]:
    """Return the names, those of a wave depending on earlier waves alone."""
    depth: dict[str, int] = {}

    def of(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max((of(other) for other in services[name].depends_on), default=-1)
        return depth[name]

    found: list[list[str]] = [[] for _ in range(1 + max(map(of, services)))]
    for name in services:
        found[depth[name]].append(name)
    return found


def places(columns: Sequence[Sequence[str]]) -> dict[str, tuple[int, int]]:
    """Return where the middle of each box is."""
    tallest = max(map(len, columns))
    found = {}
    for column, names in enumerate(columns):
        above = (tallest - len(names)) * (BOX[1] + GAP[1]) // 2
        for row, name in enumerate(names):
            x = MARGIN + BOX[0] // 2 + column * (BOX[0] + GAP[0])
            y = MARGIN + BOX[1] // 2 + above + row * (BOX[1] + GAP[1])
            found[name] = (x, y)
    return found


def picture(configuration: Path) -> str:
    """Return the picture of a configuration's services."""
    plan = examine([str(configuration)], {}, str(configuration.parent)).plan
    assert plan is not None, f"{configuration} has problems"
    columns = waves(plan.services)
    at = places(columns)
    width = 2 * MARGIN + len(columns) * BOX[0] + (len(columns) - 1) * GAP[0]
    tallest = max(map(len, columns))
    height = 2 * MARGIN + tallest * BOX[1] + (tallest - 1) * GAP[1]
    title = f"What waits for what: {', '.join(plan.services)}"
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title">',
        f'<title id="title">{escape(title)}</title>',
        f"<style>\n{STYLE}\n</style>",
        f"<defs>{HEAD}</defs>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for name, spec in plan.services.items():
        for other, dependency in spec.depends_on.items():
            condition = dependency.condition.value
            parts.append(_arrow(at[other], at[name], WORDS[condition]))
    for name, spec in plan.services.items():
        parts.append(_box(at[name], name, once=spec.type is ServiceType.ONESHOT))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _arrow(start: tuple[int, int], end: tuple[int, int], word: str) -> str:
    """Return the arrow from what is waited for to who waits."""
    x1, x2 = start[0] + BOX[0] // 2, end[0] - BOX[0] // 2
    y1, y2 = start[1], end[1]
    middle = (x1 + x2) // 2
    curve = f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"
    label = f'<text class="why" x="{middle}" y="{(y1 + y2) // 2 + 4}">{escape(word)}</text>'
    return f'<path class="arrow" d="{curve}"/>\n{label}'


def _box(at: tuple[int, int], name: str, *, once: bool) -> str:
    x, y = at[0] - BOX[0] // 2, at[1] - BOX[1] // 2
    shape = f'x="{x}" y="{y}" width="{BOX[0]}" height="{BOX[1]}" rx="{BOX[1] // 2 if once else 6}"'
    kind = "once" if once else "box"
    text = f'<text x="{at[0]}" y="{at[1] + 5}">{escape(name)}</text>'
    return f'<rect class="{kind}" {shape}/>\n{text}'


def main(words: Sequence[str]) -> None:
    """Write the picture."""
    target = Path(words[0]) if words else ROOT / "docs/demo-graph.svg"
    configuration = Path(words[1]) if len(words) > 1 else ROOT / "configs/demo/supervise.yaml"
    target.write_text(picture(configuration))


if __name__ == "__main__":
    main(sys.argv[1:])
