"""The state machine as people see it: a table and a diagram, made from the transitions themselves.

``python -m tests.support.states docs`` writes both; tests/test_architecture.py fails when they are
stale.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from supervise.model.lifecycle import TRANSITIONS
from supervise.model.process import ProcessState

BEGIN, END = "<!-- states: generated -->\n", "<!-- end of states -->\n"

_PLACES = {  # state → centre; laid out by hand so that a start runs from left to right
    ProcessState.STOPPED: (90, 330),
    ProcessState.STARTING: (300, 90),
    ProcessState.RUNNING: (640, 150),
    ProcessState.BACKOFF: (440, 300),
    ProcessState.STOPPING: (570, 470),
    ProcessState.EXITED: (910, 60),
    ProcessState.FAILED: (910, 380),
}
_WIDTH, _HEIGHT = 1000, 520
_BOX = (62, 22)  # half of a state's width and height
_BEND = 0.14  # how far an arrow leaves the straight line, so that there and back do not meet
_STYLE = (
    "text{font:14px sans-serif;text-anchor:middle}"
    "rect{fill:#eef3f8;stroke:#345;rx:8}"
    "path{fill:none;stroke:#789;marker-end:url(#arrow)}"
    "path:hover{stroke:#c30;stroke-width:3}"
)


def edges() -> dict[tuple[ProcessState, ProcessState], list[str]]:
    """Return (from, to) → the events that may lead there, in the order of the transitions."""
    found: dict[tuple[ProcessState, ProcessState], list[str]] = {}
    for (state, event), (_handler, targets) in TRANSITIONS.items():
        for target in targets:
            found.setdefault((state, target), []).append(event.__name__)
    return found


def table() -> str:
    """Return a Markdown table: a row an event, a column a state, the cells where it may lead."""
    states = list(ProcessState)
    events = sorted({event.__name__ for _state, event in TRANSITIONS})
    cells = {
        (state, event.__name__): ", ".join(target.value for target in targets)
        for (state, event), (_handler, targets) in TRANSITIONS.items()
    }
    lines = [
        f"| event | {' | '.join(state.value for state in states)} |",
        f"|---{'|---' * len(states)}|",
    ]
    for event in events:
        row = " | ".join(cells.get((state, event), "") for state in states)
        lines.append(f"| {event} | {row} |")
    return "\n".join(lines) + "\n"


def svg() -> str:
    """Return the diagram; hovering over an arrow shows its events."""
    arrows = [
        _arrow(source, target, events)
        for (source, target), events in edges().items()
        if source is not target
    ]
    marker = (
        '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8"'
        ' markerHeight="8" orient="auto"><path d="M0,0 L10,5 L0,10 z" fill="#789"'
        ' stroke="none" style="marker-end:none"/></marker></defs>'
    )
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}">',
        f"<style>{_STYLE}</style>",
        marker,
        *arrows,
        *(_box(state) for state in ProcessState),
        "</svg>\n",
    ])  # fmt: skip


def _box(state: ProcessState) -> str:
    x, y = _PLACES[state]
    half_width, half_height = _BOX
    corner = f'x="{x - half_width}" y="{y - half_height}"'
    size = f'width="{2 * half_width}" height="{2 * half_height}"'
    return f'<rect {corner} {size}/><text x="{x}" y="{y + 5}">{state.value}</text>'


def _arrow(source: ProcessState, target: ProcessState, events: list[str]) -> str:
    (x1, y1), (x2, y2) = _PLACES[source], _PLACES[target]
    middle = ((x1 + x2) / 2 - (y2 - y1) * _BEND, (y1 + y2) / 2 + (x2 - x1) * _BEND)
    begin, end = _rim((x1, y1), middle), _rim((x2, y2), middle)
    title = f"{source.value} to {target.value}: {', '.join(events)}"
    curve = f"M{_point(begin)} Q{_point(middle)} {_point(end)}"
    return f'<path d="{curve}"><title>{title}</title></path>'


def _rim(centre: tuple[float, float], towards: tuple[float, float]) -> tuple[float, float]:
    """Return where the line from *centre* towards another point leaves the state's box."""
    dx, dy = towards[0] - centre[0], towards[1] - centre[1]
    half_width, half_height = _BOX
    scale = min(half_width / abs(dx) if dx else math.inf, half_height / abs(dy) if dy else math.inf)
    return centre[0] + dx * scale, centre[1] + dy * scale


def _point(point: tuple[float, float]) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"


def with_table(page: str) -> str:
    """Return *page* with the table between its two marks made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main(docs: Path) -> None:
    """Write the table into architecture.md, and states.svg."""
    page = docs / "architecture.md"
    page.write_text(with_table(page.read_text()))
    (docs / "states.svg").write_text(svg())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
