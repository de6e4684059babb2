"""From a Dockerfile's text to its stages of commands.

The one entry for the builder.  Variables are not expanded here (`runtime.dockerfile.expand`), nor
are stages resolved (`runtime.dockerfile.graph`).
"""

from __future__ import annotations

from runtime.dockerfile import commands, instructions, lexer
from runtime.dockerfile.dockerfile_error import DockerfileError


def parse(text: str | bytes) -> commands.Dockerfile:
    """Return what *text* says.

    Raises:
        DockerfileError: the first problem, with its line and a way out.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    read = lexer.read(text)
    args: list[commands.Arg] = []
    stages: list[tuple[commands.From, list[commands.Command]]] = []
    for node in read.nodes:
        command = instructions.command(node)
        if isinstance(command, commands.From):
            stages.append((command, []))
        elif stages:
            stages[-1][1].append(command)
        elif isinstance(command, commands.Arg):
            args.append(command)
        else:
            raise DockerfileError(
                f"{node.name.upper()} stands before the first FROM",
                node.place.first_line,
                "a Dockerfile begins with FROM IMAGE; only ARG may stand before it",
                node.place.text,
            )
    if not stages:
        raise DockerfileError("there is no FROM in the file", hint="begin it with FROM IMAGE")
    return commands.Dockerfile(
        tuple(args),
        tuple(commands.Stage(start, tuple(rest)) for start, rest in stages),
        read.escape,
        read.warnings,
    )


def parse_onbuild(expression: str, place: commands.Place, escape: str = "\\") -> commands.Command:
    """Return the command that an image's ONBUILD kept, as if it stood at *place*.

    Raises:
        DockerfileError: it is not an instruction, or one that ONBUILD cannot keep.
    """
    try:
        return instructions.command(_kept(expression, place, escape))
    except DockerfileError as problem:
        raise DockerfileError(
            f"{problem.what} (kept by ONBUILD in the base image)",
            place.first_line,
            problem.hint,
            expression,
        ) from None


def _kept(expression: str, place: commands.Place, escape: str) -> lexer.InstructionNode:
    node, *more = lexer.read(f"# escape={escape}\n{expression}\n").nodes
    instructions.kept_for_later(node.name)
    if more:
        raise DockerfileError("more than one instruction")
    return node.replace(place=place.replace(text=expression))
