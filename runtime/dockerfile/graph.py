"""Which stages a build needs, what each waits for, and what its FROM means.

Pure: images are names here.  Stages whose `needs` are done may be built in parallel.
"""

from __future__ import annotations

import re

from runtime.dockerfile import commands
from runtime.dockerfile.errors import DockerfileError
from runtime.dockerfile.expand import Expansion
from runtime.model.suggest import closest
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE = re.compile(r"\$.")


class StageNode(Record):
    """One stage with its names resolved."""

    index: int
    stage: commands.Stage
    image: str  # expanded; "scratch" too; meaningless where `base` is a stage
    platform: str  # expanded, empty where none was asked for
    base: int | None  # the stage that FROM names
    sources: tuple[tuple[str, int], ...]  # what --from and from= call a stage, and its index
    needs: tuple[int, ...]  # the stages to be built before: base and sources

    def source(self, name: str) -> int | None:
        """Return the stage that `--from=name` means here, None for an image."""
        return dict(self.sources).get(name)


class Plan(Record):
    """The stages of a file that the target needs, in an order in which they can be built."""

    stages: tuple[StageNode, ...]
    target: int  # the index of the last
    variables: tuple[tuple[str, str], ...]  # ARGs before the first FROM, with their values


def target_stages(
    dockerfile: commands.Dockerfile,
    target: str = "",
    arguments: Mapping[str, str] | None = None,
    platform: Mapping[str, str] | None = None,
) -> Plan:
    """Return what *target* (a stage's name or number; the last without one) needs.

    *arguments* are those of --build-arg, *platform* is `predefined.platform_args`.

    Raises:
        DockerfileError: no such target, a FROM that is empty once expanded, a circle.
    """
    variables = _variables(dockerfile, arguments or {}, platform or {})
    nodes: list[StageNode] = []
    for index, stage in enumerate(dockerfile.stages):
        nodes.append(_node(index, stage, dockerfile, nodes, {**(platform or {}), **variables}))
    wanted = _find(target, dockerfile) if target else len(nodes) - 1
    order = _ordered(wanted, nodes)
    return Plan(tuple(nodes[index] for index in order), wanted, tuple(variables.items()))


def _variables(
    dockerfile: commands.Dockerfile, arguments: Mapping[str, str], platform: Mapping[str, str]
) -> dict[str, str]:
    variables: dict[str, str] = {}
    for arg in dockerfile.args:
        for pair in arg.pairs:
            alone = arg.replace(pairs=(pair,))
            expansion = Expansion({**platform, **variables}, dockerfile.escape)
            (expanded,) = expansion.command(alone).pairs
            value = arguments.get(expanded.key, expanded.value)
            if value is None:
                value = platform.get(expanded.key)
            if value is not None:
                variables[expanded.key] = value
    return variables


def _node(
    index: int,
    stage: commands.Stage,
    dockerfile: commands.Dockerfile,
    before: list[StageNode],
    variables: Mapping[str, str],
) -> StageNode:
    start = stage.start
    expansion = Expansion(variables, dockerfile.escape)
    expanded = expansion.command(start)
    if not expanded.image:
        missing = ", ".join(sorted(expansion.unset))
        raise DockerfileError(
            f"FROM {start.image} names no image",
            start.place.first_line,
            f"{missing} has no value: ARG {missing}=… before the first FROM" if missing else "",
            start.place.text,
        )
    names = {node.stage.start.name: node.index for node in before if node.stage.start.name}
    base = names.get(expanded.image.lower())
    every = _names(dockerfile)
    sources = {name: every[name.lower()] for name in _sources(stage) if name.lower() in every}
    needs = {*sources.values(), *(() if base is None else (base,))}
    return StageNode(
        index,
        stage,
        expanded.image,
        expanded.platform,
        base,
        tuple(sources.items()),
        tuple(sorted(needs)),
    )


def _names(dockerfile: commands.Dockerfile) -> dict[str, int]:
    """Return the index of every stage by number and by name; of two with a name, the last."""
    numbers = {str(index): index for index in range(len(dockerfile.stages))}
    named = {
        stage.start.name: index for index, stage in enumerate(dockerfile.stages) if stage.start.name
    }
    return {**numbers, **named}


def _sources(stage: commands.Stage) -> list[str]:
    """Return what the stage's --from and from= say, in order."""
    found = []
    for command in stage.commands:
        if isinstance(command, commands.Copy):
            names = [command.from_]
        elif isinstance(command, commands.Run):
            names = [mount.from_ for mount in command.mounts]
        else:
            continue
        for name in names:
            if _VARIABLE.search(name):
                raise DockerfileError(
                    f"variables are not expanded in from={name}",
                    command.place.first_line,
                    f"name it by a stage: FROM {name} AS source, then from=source",
                    command.place.text,
                )
            if name:
                found.append(name)
    return found


def _find(target: str, dockerfile: commands.Dockerfile) -> int:
    names = _names(dockerfile)
    found = names.get(target.lower())
    if found is not None:
        return found
    named = [stage.start.name for stage in dockerfile.stages if stage.start.name]
    meant = closest(target, named)
    hint = f"did you mean '{meant}'?" if meant else "no stage has a name: FROM IMAGE AS NAME"
    if named and not meant:
        hint = f"its stages: {', '.join(named)}"
    raise DockerfileError(f"there is no stage '{target}'", hint=hint)


def _ordered(wanted: int, nodes: list[StageNode]) -> list[int]:
    """Return *wanted* and all that it needs, what is needed first."""
    order: list[int] = []
    path: list[int] = []

    def visit(index: int) -> None:
        if index in order:
            return
        if index in path:
            start = nodes[index].stage.start
            circle = " -> ".join(_called(nodes[i]) for i in [*path[path.index(index) :], index])
            raise DockerfileError(
                f"the stages need each other: {circle}",
                start.place.first_line,
                "break the circle: a stage copies from stages that do not copy from it",
                start.place.text,
            )
        path.append(index)
        for needed in nodes[index].needs:
            visit(needed)
        path.pop()
        order.append(index)

    visit(wanted)
    return order


def _called(node: StageNode) -> str:
    return node.stage.start.name or str(node.index)
