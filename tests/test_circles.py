"""No module and no folder of ours imports itself by way of others, lazy imports included.

A circle means that neither of its members can be read, tested or moved without the other.
"""

from __future__ import annotations

import pytest

from tests.support.source_tree import ROOT, imports, sources

PACKAGES = ("supervise", "runtime")
# Still to be opened; the list may only grow shorter.
KNOWN = [
    [
        "runtime.linux.bpf_devices",
        "runtime.linux.cgroup_v1",
        "runtime.linux.cgroup_v2",
        "runtime.linux.cgroups",
    ],
]


def module_name(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def import_graph() -> dict[str, set[str]]:
    """Return module → the modules of ours that it imports anywhere, for types alone too."""
    paths = {
        module_name(str(path.relative_to(ROOT))): path
        for package in PACKAGES
        for path in sources(package)
    }
    graph: dict[str, set[str]] = {}
    for name, path in paths.items():
        targets = set()
        for statement in imports(path):
            parent = statement.module.rpartition(".")[0]
            targets |= {statement.module if statement.module in paths else parent} & paths.keys()
        graph[name] = targets - {name}
    return graph


def folder_graph(modules: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return folder → the other folders that its modules import.

    A folder and those it lies in are one house: what is inside may use the rooms around it.
    """
    graph: dict[str, set[str]] = {}
    for name, targets in modules.items():
        folder = name.rpartition(".")[0]
        others = {
            other
            for target in targets
            if (other := target.rpartition(".")[0])
            and not f"{folder}.".startswith(f"{other}.")
            and not f"{other}.".startswith(f"{folder}.")
        }
        graph.setdefault(folder, set()).update(others)
        for other in others:
            graph.setdefault(other, set())
    return graph


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected components of more than one member, each sorted (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    components: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        path.append(name)
        for other in sorted(graph[name]):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in path:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            component = path[path.index(name) :]
            del path[path.index(name) :]
            if len(component) > 1:
                components.append(sorted(component))

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return components


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"a"}, "c": {"a"}}, [["a", "b"]]),
        ({"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": set()}, [["a", "b", "c"]]),
    ],
)
def test_a_circle_is_found(graph: dict[str, set[str]], expected: list[list[str]]) -> None:
    assert circles(graph) == expected


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert sorted(circles(import_graph())) == sorted(KNOWN)


def test_no_folder_imports_itself_by_way_of_others() -> None:
    assert circles(folder_graph(import_graph())) == []
