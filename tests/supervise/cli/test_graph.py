"""The dependency graph in three notations."""

from __future__ import annotations

from typing import Any

from supervise.cli import graph


def node(name: str, *needs: str, **changes: Any) -> dict[str, Any]:
    edges = [
        {"service": need, "condition": "service_ready", "required": True, "restart": False}
        for need in needs
    ]
    return {
        "name": name,
        "type": "service",
        "state": "running",
        "autostart": True,
        "essential": False,
        "start_timeout": None,
        "stop_grace_period": 5.0,
        "depends_on": edges,
        **changes,
    }


DIAMOND = [
    node("db"),
    node("cache", "db"),
    node("api", "db", "cache"),
    node("web", "api", "cache", state="waiting", essential=True),
]


def test_what_has_been_shown_is_not_shown_again() -> None:
    assert graph.as_tree(DIAMOND) == [
        "web [waiting]",
        "├─ api [running], ready",
        "│  ├─ db [running], ready",
        "│  └─ cache [running], ready",
        "│     └─ db [running], ready",
        "└─ cache [running], ready (above)",
    ]


def test_optional_dependencies_are_marked() -> None:
    nodes = [node("db"), node("web", "db")]
    nodes[1]["depends_on"][0]["required"] = False

    assert graph.as_tree(nodes)[1] == "└─ db [running], ready, optional"
    assert '  "web" -> "db" [label="ready", style=dashed];' in graph.as_dot(nodes)
    assert "  s1 -.->|ready| s0" in graph.as_mermaid(nodes)


def test_names_are_quoted() -> None:
    odd = [node('we"b\\')]

    assert '  "we\\"b\\\\" [tooltip="running"];' in graph.as_dot(odd)
    assert '  s0["we#quot;b\\"]' in graph.as_mermaid(odd)
