"""Which stages a build needs, what each waits for, and what its FROM means.

Pure: images are names here.  Stages whose `needs` are done may be built in parallel.
"""

from __future__ import annotations

import re

from runtime.dockerfile import commands, expand
from runtime.dockerfile.dockerfile_error import DockerfileError
from runtime.dockerfile.expand import Expansion
from supervise.model.record import Record
from supervise.model.suggest import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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


class BuildPlan(Record):
    """The stages of a file that the target needs, in an order in which they can be built."""

    stages: tuple[StageNode, ...]
    others: tuple[StageNode, ...]  # not needed, unless an image's ONBUILD copies from them
    target: int  # the index of the last
    variables: tuple[tuple[str, str], ...]  # ARGs before the first FROM, with their values


def target_stages(
    dockerfile: commands.Dockerfile,
    target: str = "",
    arguments: Mapping[str, str] | None = None,
    platform: Mapping[str, str] | None = None,
) -> BuildPlan:
    """Return what *target* (a stage's name or number; the last without one) needs.

    *arguments* are those of --build-arg, *platform* is `predefined.platform_args`.

    Raises:
        DockerfileError: no such target, a FROM that is empty once expanded, a stage that copies
            from one that does not stand before it.
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
    order = _needed(wanted, nodes)
    return BuildPlan(
        stages=tuple(nodes[index] for index in order),
        others=tuple(node for node in nodes if node.index not in order),
        target=wanted,
        variables=tuple(variables.items()),
    )


def triggered(
    dockerfile: commands.Dockerfile, triggers: Sequence[commands.Command], index: int
) -> dict[str, int]:
    """Return which stages the --from of *triggers* mean, which an ONBUILD brought to stage *index*.

    Those of the base image's own stages are not meant: the file that builds upon it has others.

    Raises:
        DockerfileError: a name with a variable, a stage that does not stand above.
    """
    every = _names(dockerfile)
    above = {name: number for name, number in every.items() if number < index}
    for number, stage in enumerate(dockerfile.stages[:index]):
        if stage.start.name:
            above[stage.start.name] = number
    found = {}
    for name in _sources(triggers, every):
        if name.lower() in above:
            found[name] = above[name.lower()]
        elif name.lower() in every:
            raise DockerfileError(
                f"ONBUILD of the base image copies from stage '{name}', which does not stand above",
                hint="move that stage up, before this FROM",
            )
    return found


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
    if start.platform and not expanded.platform:
        raise DockerfileError(
            f"--platform={start.platform} names no platform",
            start.place.first_line,
            "such as linux/amd64, or $BUILDPLATFORM for this machine's",
            start.place.text,
        )
    names = {**every, **before}  # of two stages with a name the nearer one above is meant
    sources = {
        name: names[name.lower()]
        for name in _sources(stage.commands, every)
        if name.lower() in names
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


def _sources(those: Sequence[commands.Command], every: Mapping[str, int]) -> list[str]:
    """Return what --from and from= of *those* say, in order; *every* has the file's stages."""
    found = []
    for command in those:
        for name in _froms(command):
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
            found.append(name)
    return found


def _froms(command: commands.Command) -> list[str]:
    """Return what the --from or from= of one command say."""
    if isinstance(command, commands.Copy):
        names = [command.from_]
    elif isinstance(command, commands.Run):
        names = [mount.from_ for mount in command.mounts]
    else:
        names = []
    return [name for name in names if name]


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


def _needed(wanted: int, nodes: list[StageNode]) -> list[int]:
    """Return *wanted* and all that it needs, in the order of the file, which is one to build in."""
    needed: set[int] = set()
    todo = [wanted]
    while todo:
        index = todo.pop()
        if index in needed:
            continue
        needed.add(index)
        for other in nodes[index].needs:
            if other >= index:
                raise _not_before(nodes[index], nodes[other])
            todo.append(other)
    return sorted(needed)


def _not_before(node: StageNode, other: StageNode) -> DockerfileError:
    """Return the refusal of *node* for its need of *other*, which does not stand before it."""
    for command in node.stage.commands:
        if any(node.source(name) == other.index for name in _froms(command)):
            break
    called = other.stage.start.name or str(other.index)
    if node is other:
        what, hint = f"stage '{called}' copies from itself", "its files are there already"
    else:
        what = f"stage '{called}' stands after the stage that copies from it"
        hint = "move the one that is copied from up: a stage sees those before it"
    return DockerfileError(what, command.place.first_line, hint, command.place.text)
