"""Which stages a build needs, what each waits for, and what its FROM means.

Pure: images are names here.  Stages whose `needs` are done may be built in parallel.
"""

from __future__ import annotations

import re

from runtime.dockerfile import commands, expand
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
    known = {**(platform or {}), **variables}
    every = _names(dockerfile)
    nodes: list[StageNode] = []
    before: dict[str, int] = {}  # what FROM may name so far
    for index, stage in enumerate(dockerfile.stages):
        nodes.append(_node(index, stage, Expansion(known, dockerfile.escape), before, every))
        if stage.start.name:
            before[stage.start.name] = index
    wanted = _find(target, dockerfile) if target else len(nodes) - 1
    order = _ordered(wanted, nodes)
    return Plan(tuple(nodes[index] for index in order), wanted, tuple(variables.items()))


def _variables(
    dockerfile: commands.Dockerfile, arguments: Mapping[str, str], platform: Mapping[str, str]
) -> dict[str, str]:
    variables: dict[str, str] = {}
    for arg in dockerfile.args:
        found = expand.declared(
            arg,
            {**platform, **variables},
            given=arguments,
            outer=platform,
            escape=dockerfile.escape,
        )
        variables |= {name: value for name, value in found if value is not None}
    return variables


def _node(
    index: int,
    stage: commands.Stage,
    expansion: Expansion,
    before: Mapping[str, int],
    every: Mapping[str, int],
) -> StageNode:
    start = stage.start
    expanded = expansion.command(start)
    if not expanded.image:
        missing = ", ".join(sorted(expansion.unset))
        raise DockerfileError(
            f"FROM {start.image} names no image",
            start.place.first_line,
            f"{missing} has no value: ARG {missing}=… before the first FROM" if missing else "",
            start.place.text,
        )
    base = before.get(expanded.image.lower())
    sources = {
        name: every[name.lower()] for name in _sources(stage, every) if name.lower() in every
    }
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


def _sources(stage: commands.Stage, every: Mapping[str, int]) -> list[str]:
    """Return what the stage's --from and from= say, in order; *every* has the file's stages."""
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
            if name.isascii() and name.isdecimal() and name not in every:
                raise DockerfileError(
                    f"there is no stage {name} to copy from",
                    command.place.first_line,
                    "stages are counted from 0; a name is safer: FROM IMAGE AS NAME",
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
    order: dict[int, None] = {}
    # From *wanted* down to the stage that is looked at, each with what it still waits for.  Not a
    # recursion: a file may have more stages than Python has frames.
    path: dict[int, list[int]] = {wanted: list(reversed(nodes[wanted].needs))}
    while path:
        index, waits = next(reversed(path.items()))
        if not waits:
            order[index] = None
            del path[index]
            continue
        needed = waits.pop()
        if needed in path:
            raise _circle([*path, needed], nodes)
        if needed not in order:
            path[needed] = list(reversed(nodes[needed].needs))
    return list(order)


def _circle(path: list[int], nodes: list[StageNode]) -> DockerfileError:
    """Return the refusal of *path*, whose last stage is in it once more."""
    start = nodes[path[-1]].stage.start
    circle = path[path.index(path[-1]) :]
    return DockerfileError(
        f"the stages need each other: {' -> '.join(_called(nodes[i]) for i in circle)}",
        start.place.first_line,
        "break the circle: a stage copies from stages that do not copy from it",
        start.place.text,
    )


def _called(node: StageNode) -> str:
    return node.stage.start.name or str(node.index)
