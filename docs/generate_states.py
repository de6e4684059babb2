"""Writes docs/states.svg and docs/states.md from the one table of `supervise.model.lifecycle`.

    python docs/generate_states.py [DIRECTORY]

Every edge of the table has its place in `ROUTES`; one that has none is an error, so that the
picture never shows less than the table.  A test fails when the two files are stale.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple, get_args

from supervise.model import process
from supervise.model.lifecycle import TRANSITIONS
from supervise.model.process import ProcessState as S

EVENTS: tuple[type, ...] = get_args(process.Event)  # in the order they are declared
WORDS = {
    S.STOPPED: "There is no process. A service that is wanted up waits here for its dependencies.",
    S.STARTING: "The program is being executed, or is not ready yet.",
    S.RUNNING: "The program runs.",
    S.BACKOFF: "It ended; it starts again after a delay.",
    S.STOPPING: "It was told to end, or what it left behind was.",
    S.EXITED: "It ended for good, and well.",
    S.FAILED: "It ended for good, and badly.",
}


class Edge(NamedTuple):
    """One change of state."""

    source: S
    event: str
    target: S


class Route(NamedTuple):
    """One arrow: the edges it stands for, its way, and where its label stands."""

    sources: tuple[S, ...]
    events: tuple[str, ...]  # empty: all
    targets: tuple[S, ...]
    points: tuple[tuple[int, int], ...]
    label: tuple[int, int]  # of its first line
    anchor: str = "start"  # SVG's text-anchor
    in_one_line: bool = False
    bridge: bool = False  # it crosses another

    def takes(self, edge: Edge) -> bool:
        """Return whether this arrow stands for *edge*."""
        event = not self.events or edge.event in self.events
        return event and edge.source in self.sources and edge.target in self.targets


class Condition(NamedTuple):
    """An arrow out of the diamond: what decides, in words."""

    target: S
    points: tuple[tuple[int, int], ...]
    words: str
    label: tuple[int, int]
    anchor: str = "start"


WIDTH, HEIGHT = 1120, 690
BOX = (150, 54)
PLACES = {
    S.STOPPED: (190, 100),
    S.STARTING: (540, 100),
    S.RUNNING: (940, 100),
    S.STOPPING: (740, 280),
    S.BACKOFF: (320, 570),
    S.EXITED: (540, 570),
    S.FAILED: (760, 570),
}
COLOURS = {  # fill, stroke
    S.STOPPED: ("#eef0f3", "#7a828e"),
    S.STARTING: ("#dcebff", "#2f6fc4"),
    S.RUNNING: ("#d9f2de", "#2b8a45"),
    S.BACKOFF: ("#fff3cf", "#b5830f"),
    S.STOPPING: ("#ffe6d3", "#c4641b"),
    S.EXITED: ("#e3f4ee", "#3c8f78"),
    S.FAILED: ("#fde0e0", "#c23b3b"),
}
DOWN = (S.BACKOFF, S.EXITED, S.FAILED)  # drawn as one group: what ended by itself
GROUP = (225, 505, 630, 140)  # x, y, width, height
DIAMOND = (540, 415)
# Where an end leads is one decision (`supervise.model.aftermath`): the diamond.
AFTER_AN_END = (S.STARTING, S.BACKOFF, S.EXITED, S.FAILED, S.STOPPED)
ASKED_UP = ("StartRequested", "RestartRequested")

ROUTES = (
    Route((S.STOPPED,), (), (S.STARTING,), ((265, 100), (465, 100)), (365, 76), "middle"),
    Route((S.STARTING,), (), (S.RUNNING,), ((615, 100), (865, 100)), (740, 76), "middle"),
    Route((S.STARTING,), (), (S.STOPPING,), ((590, 127), (590, 280), (665, 280)), (600, 165)),
    Route((S.RUNNING,), (), (S.STOPPING,), ((895, 127), (895, 280), (815, 280)), (885, 165), "end"),
    Route(
        (S.STARTING,),
        ("SpawnFailed", "ProcessExited"),
        AFTER_AN_END,
        ((540, 127), (540, 393)),
        (550, 330),
    ),
    Route(
        (S.RUNNING,),
        ("ProcessExited",),
        AFTER_AN_END,
        ((970, 127), (970, 415), (572, 415)),
        (980, 330),
    ),
    Route(
        (S.STOPPING,),
        ("SpawnFailed", "ProcessExited", "SurvivorsGone", "DeadlineReached"),
        AFTER_AN_END,
        ((740, 307), (740, 415), (572, 415)),
        (750, 338),
    ),
    Route(
        (S.BACKOFF,),
        ("DeadlineReached",),
        (S.STARTING,),
        ((290, 543), (290, 235), (480, 235), (480, 127)),
        (300, 226),
        bridge=True,
    ),
    Route(
        (S.BACKOFF,),
        ("DeadlineReached",),
        (S.FAILED,),
        ((320, 597), (320, 622), (760, 622), (760, 597)),
        (540, 638),
        "middle",
    ),
    Route(
        DOWN,
        ASKED_UP,
        (S.STARTING,),
        ((855, 575), (1075, 575), (1075, 40), (540, 40), (540, 73)),
        (808, 31),
        "middle",
        in_one_line=True,
    ),
    Route(DOWN, (), (S.STOPPED,), ((225, 575), (160, 575), (160, 127)), (150, 470), "end"),
)
CONDITIONS = (
    Condition(S.STARTING, ((508, 415), (508, 127)), "at once", (502, 330), "end"),
    Condition(S.STOPPED, ((508, 415), (220, 415), (220, 127)), "it was to stop", (310, 407)),
    Condition(
        S.BACKOFF, ((540, 437), (540, 475), (350, 475), (350, 543)), "after a delay", (360, 467)
    ),
    Condition(S.EXITED, ((540, 437), (540, 543)), "well", (548, 525)),
    Condition(S.FAILED, ((540, 437), (540, 475), (760, 475), (760, 543)), "badly", (700, 467)),
)


def edges() -> list[Edge]:
    """Return every change of state the table knows, in the order of states and events.

    But for InternalFault, which leads from everywhere to FAILED: a note says so.
    """
    return [
        Edge(state, event.__name__, target)
        for state in S
        for event in EVENTS
        if (state, event) in TRANSITIONS and event is not process.InternalFault
        for target in S
        if target in TRANSITIONS[state, event][1]
    ]


def label_of(route: Route) -> list[str]:
    """Return the events of *route*; raises ValueError when the table has none for it."""
    found = [edge.event for edge in edges() if route.takes(edge) and not is_loop(edge, route)]
    if not found:
        raise ValueError(f"no edge of the table goes the way of {route.sources} → {route.targets}")
    names = list(dict.fromkeys(found))
    return [", ".join(names)] if route.in_one_line else names


def is_loop(edge: Edge, route: Route | None = None) -> bool:
    """Return whether *edge* stays where it is; an end may lead back through the diamond."""
    through_diamond = route is not None and route.targets == AFTER_AN_END
    return edge.source is edge.target and not through_diamond


def check_routes() -> None:
    """Raise ValueError when an edge has no arrow."""
    for edge in edges():
        if not is_loop(edge) and not any(route.takes(edge) for route in ROUTES):
            raise ValueError(f"{edge.source.value} → {edge.target.value} by {edge.event}: no route")


# -- the picture


def path(points: tuple[tuple[int, int], ...]) -> str:
    """Return the path through *points*, its corners rounded."""
    radius = 10
    parts = [f"M{points[0][0]} {points[0][1]}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        enter, leave = (_towards(corner, other, radius) for other in (before, after))
        parts.append(f"L{enter[0]} {enter[1]}Q{corner[0]} {corner[1]} {leave[0]} {leave[1]}")
    parts.append(f"L{points[-1][0]} {points[-1][1]}")
    return "".join(parts)


def _towards(start: tuple[int, int], end: tuple[int, int], distance: int) -> tuple[int, int]:
    """Return the point *distance* away from *start* on the level or upright way to *end*."""

    def step(a: int, b: int) -> int:
        return a + max(-distance, min(distance, b - a))

    return step(start[0], end[0]), step(start[1], end[1])


def arrow(
    points: tuple[tuple[int, int], ...], *, dashed: bool = False, bridge: bool = False
) -> str:
    """Return an arrow; a bridge has a halo where it passes over another."""
    way, style = path(points), "arrow choice" if dashed else "arrow"
    halo = f'<path class="halo" d="{way}"/>\n' if bridge else ""
    return f'{halo}<path class="{style}" d="{way}"/>'


def text(lines: list[str], place: tuple[int, int], anchor: str, style: str) -> str:
    """Return *lines* one below the other; *place* is the first one's baseline."""
    x, y = place
    return "\n".join(
        f'<text class="{style}" x="{x}" y="{y + 16 * number}" text-anchor="{anchor}">{line}</text>'
        for number, line in enumerate(lines)
    )


def box(state: S) -> str:
    """Return the box of *state*."""
    (x, y), (width, height), (fill, stroke) = PLACES[state], BOX, COLOURS[state]
    frame = f'x="{x - width // 2}" y="{y - height // 2}" width="{width}" height="{height}" rx="10"'
    return (
        f'<rect {frame} fill="{fill}" stroke="{stroke}" stroke-width="1.6"/>\n'
        f'<text class="state" x="{x}" y="{y + 6}" text-anchor="middle">{state.value}</text>'
    )


def diamond() -> str:
    """Return the decision that follows an end."""
    x, y = DIAMOND
    corners = f"{x},{y - 22} {x + 32},{y} {x},{y + 22} {x - 32},{y}"
    return (
        f'<polygon points="{corners}" fill="#ffffff" stroke="#4a5260" stroke-width="1.6"/>\n'
        f'<text class="label" x="{x}" y="{y + 4}" text-anchor="middle">ended</text>'
    )


STYLE = """\
text { font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2630; }
.state { font-size: 17px; font-weight: 600; }
.label { font-size: 12.5px; }
.why { font-size: 12.5px; font-style: italic; fill: #5b6573; }
.arrow { fill: none; stroke: #4a5260; stroke-width: 1.5; marker-end: url(#head); }
.choice { stroke-dasharray: 5 4; }
.halo { fill: none; stroke: #ffffff; stroke-width: 7; }"""


TITLE = "The states of a process, and the events that lead from one to another"
HEAD = f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" \
height="{HEIGHT}" role="img" aria-labelledby="title">
<title id="title">{TITLE}</title>
<style>
{STYLE}
</style>
<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" \
orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" fill="#4a5260"/></marker></defs>
<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>"""


def group() -> str:
    """Return the frame around what ended by itself."""
    x, y, width, height = GROUP
    frame = f'x="{x}" y="{y}" width="{width}" height="{height}" rx="14"'
    return f'<rect {frame} fill="#fafbfc" stroke="#c3c9d2" stroke-dasharray="2 4"/>'


def picture() -> str:
    """Return docs/states.svg."""
    begin = '<circle cx="60" cy="100" r="8" fill="#4a5260"/>'
    parts = [HEAD, group(), begin, arrow(((68, 100), (115, 100)))]
    for condition in CONDITIONS:
        parts.append(arrow(condition.points, dashed=True))
        parts.append(text([condition.words], condition.label, condition.anchor, "why"))
    for route in ROUTES:
        parts.append(arrow(route.points, bridge=route.bridge))
        parts.append(text(label_of(route), route.label, route.anchor, "label"))
    parts += [box(state) for state in S]
    parts.append(diamond())
    note = (
        "Events that leave the state as it is are not drawn, nor InternalFault, which leads from "
        "every state to failed; dashed: what decides after an end."
    )
    parts.append(text([note], (WIDTH // 2, HEIGHT - 16), "middle", "why"))
    return "\n".join([*parts, "</svg>"]) + "\n"


# -- the page


def sentence(event: type) -> str:
    """Return the first line of the event's docstring, fit for a table's cell."""
    assert event.__doc__ is not None
    return event.__doc__.splitlines()[0].replace("*", "`").replace("|", "\\|")


def table(state: S) -> str:
    """Return what may happen in *state*."""
    rows = []
    for event in EVENTS:
        if (state, event) in TRANSITIONS:
            targets = TRANSITIONS[state, event][1]
            words = [
                "stays" if each is state else f"**{each.value}**" for each in S if each in targets
            ]
            rows.append(f"| `{event.__name__}` | {sentence(event)} | {', '.join(words)} |")
    head = "| event | what happened | it becomes |\n|---|---|---|"
    return f"## {state.value}\n\n{WORDS[state]}\n\n{head}\n" + "\n".join(rows)


def page() -> str:
    """Return docs/states.md."""
    intro = f"""\
# The states of a process

<!-- Generated by `python docs/generate_states.py`; edit supervise/model/lifecycle.py. -->

Each service has one process in one of seven states. `supervise.model.lifecycle` is the whole
machine: a pure function from (process, event, now) to (process, effects). What is not listed here
means nothing in that state and changes nothing, because late timers and crossed signals are normal.

![{TITLE}](states.svg)

State and wish are two fields: a service may be stopping and wanted up. A stopped service that is
wanted up is shown as `waiting`. Ready and healthy are fields beside the state, too.
"""
    return "\n".join([intro, "\n\n".join(table(state) for state in S)]) + "\n"


def main(words: list[str]) -> None:
    """Write both files into the directory named, docs/ by default."""
    check_routes()
    directory = Path(words[0]) if words else Path(__file__).parent
    (directory / "states.svg").write_text(picture(), encoding="utf-8")
    (directory / "states.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
