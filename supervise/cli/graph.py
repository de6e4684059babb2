"""`supervisectl graph`: the dependencies as a tree, for Graphviz, for Mermaid, as JSON."""

from __future__ import annotations

import json
import sys

from supervise.cli import render
from supervise.cli.arguments import UsageError
from supervise.cli.connect import connect
from supervise.cli.exitcodes import DONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from supervise.cli.arguments import Arguments

    Node = dict[str, Any]  # the API's type of this name

_CONDITIONS = {
    "service_started": "started",
    "service_ready": "ready",
    "service_healthy": "healthy",
    "service_completed_successfully": "completed",
}


def graph(given: Arguments) -> int:
    """Run the verb."""
    formats = [name for name in ("dot", "mermaid", "json") if given.flag(name)]
    if len(formats) > 1:
        raise UsageError(f"graph takes --{formats[0]} or --{formats[1]}, not both", "graph")
    nodes = _closed(connect(given).call("Graph")["nodes"])
    if formats == ["json"]:
        lines = [json.dumps(nodes, indent=2)]
    elif formats == ["dot"]:
        lines = as_dot(nodes)
    elif formats == ["mermaid"]:
        lines = as_mermaid(nodes)
    else:
        lines = as_tree(nodes, colour=render.wants_colour(sys.stdout))
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return DONE


def _closed(nodes: list[Node]) -> list[Node]:
    """Return *nodes* without the edges that lead to none of them."""
    names = {node["name"] for node in nodes}
    return [
        {**node, "depends_on": [e for e in node["depends_on"] if e["service"] in names]}
        for node in nodes
    ]


def as_tree(nodes: list[Node], *, colour: bool = False) -> list[str]:
    """Return one tree a service that nothing depends on, what it needs below it.

    What was shown with its needs once is marked ``(above)`` the next time.
    """
    by_name = {node["name"]: node for node in nodes}
    needed = {edge["service"] for node in nodes for edge in node["depends_on"]}
    shown: set[str] = set()
    lines = []
    for node in nodes:
        if node["name"] not in needed:
            lines.append(_label(node, colour=colour))
            lines += _branches(node, by_name, shown, "", colour=colour)
    return lines


def _branches(
    node: Node, by_name: dict[str, Node], shown: set[str], indent: str, *, colour: bool
) -> Iterator[str]:
    shown.add(node["name"])
    edges = node["depends_on"]
    for number, edge in enumerate(edges, start=1):
        last = number == len(edges)
        other = by_name[edge["service"]]
        again = other["name"] in shown and bool(other["depends_on"])
        note = _condition(edge) + (" (above)" if again else "")
        label = _label(other, colour=colour)
        yield f"{indent}{'└─' if last else '├─'} {label}, {note}"
        if not again:
            deeper = indent + ("   " if last else "│  ")
            yield from _branches(other, by_name, shown, deeper, colour=colour)


def _label(node: Node, *, colour: bool) -> str:
    state = render.paint(node["state"], render.STATE_COLOURS.get(node["state"]), on=colour)
    return f"{node['name']} [{state}]"


def _condition(edge: dict[str, Any]) -> str:
    optional = "" if edge["required"] else ", optional"
    return f"{_CONDITIONS.get(edge['condition'], edge['condition'])}{optional}"


def as_dot(nodes: list[Node]) -> list[str]:
    """Return the graph in Graphviz's language; arrows lead to what is needed."""
    lines = ["digraph supervise {", "  rankdir=LR;", "  node [shape=box];"]
    for node in nodes:
        style = ", style=bold" if node["essential"] else ""
        shape = ", shape=ellipse" if node["type"] == "oneshot" else ""
        lines.append(f"  {_quoted(node['name'])} [tooltip={_quoted(node['state'])}{shape}{style}];")
    for node in nodes:
        for edge in node["depends_on"]:
            style = "" if edge["required"] else ", style=dashed"
            label = _quoted(_CONDITIONS.get(edge["condition"], edge["condition"]))
            ends = f"{_quoted(node['name'])} -> {_quoted(edge['service'])}"
            lines.append(f"  {ends} [label={label}{style}];")
    return [*lines, "}"]


def as_mermaid(nodes: list[Node]) -> list[str]:
    """Return the graph in Mermaid's language; names get numbers, for they may hold anything."""
    ids = {node["name"]: f"s{number}" for number, node in enumerate(nodes)}
    lines = ["graph LR"]
    for node in nodes:
        name = node["name"].replace('"', "#quot;")
        left, right = ("(", ")") if node["type"] == "oneshot" else ("[", "]")
        lines.append(f'  {ids[node["name"]]}{left}"{name}"{right}')
    for node in nodes:
        for edge in node["depends_on"]:
            arrow = "-->" if edge["required"] else "-.->"
            condition = _CONDITIONS.get(edge["condition"], edge["condition"])
            ends = (ids[node["name"]], ids[edge["service"]])
            lines.append(f"  {ends[0]} {arrow}|{condition}| {ends[1]}")
    return lines


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
