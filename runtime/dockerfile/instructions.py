"""From the arguments of an instruction to a command, with the checks that need no variables.

Source: the Dockerfile reference and BuildKit's `frontend/dockerfile/instructions`.
"""

from __future__ import annotations

import re

from runtime.dockerfile import (
    commands,
    healthcheck,
    heredocs,
    mount_flags,
)
from runtime.dockerfile.dockerfile_error import DockerfileError
from runtime.dockerfile.flags import MANY, ONE, SWITCH, Flags
from supervise.model.suggest import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.dockerfile.lexer import InstructionNode

_STAGE_NAME = re.compile(r"[a-z][a-z0-9\-_.]*")
_NETWORKS = ("default", "none", "host")
_SECURITY = ("sandbox", "insecure")
_FILE_FLAGS = {
    "from": ONE,
    "chown": ONE,
    "chmod": ONE,
    "link": SWITCH,
    "exclude": MANY,
}
_COPY_FLAGS = {**_FILE_FLAGS, "parents": SWITCH}
_ADD_FLAGS = {
    **{name: kind for name, kind in _FILE_FLAGS.items() if name != "from"},
    "checksum": ONE,
    "keep-git-dir": SWITCH,
    "unpack": SWITCH,
}
_WITH_FLAGS = ("ADD", "COPY", "FROM", "HEALTHCHECK", "RUN")
_ONE_WORD = {
    "MAINTAINER": commands.Maintainer,
    "STOPSIGNAL": commands.StopSignal,
    "USER": commands.User,
    "WORKDIR": commands.Workdir,
}
_ONBUILD = re.compile(r"\s*ONBUILD\s*", re.IGNORECASE)


def command(node: InstructionNode) -> commands.Command:
    """Return the command that *node* is.

    Raises:
        DockerfileError: with the line.
    """
    name = node.name.upper()
    read = _READERS.get(name)
    try:
        if read is None:
            raise _unknown(node.name)
        if any("\0" in word for word in node.words.words):
            raise _nul()
        if name not in _WITH_FLAGS:
            Flags(node.flags, {})
        return read(node)
    except DockerfileError as problem:
        raise problem.at(node.place.first_line, node.place.text, usage(name)) from None


def _nul() -> DockerfileError:
    return DockerfileError("a word holds a NUL byte", hint="no program takes such a word")


def usage(name: str) -> str:
    """Return how the instruction *name* is written; what a message ends in that has no hint."""
    return f"write {_USAGES[name]}" if name in _USAGES else ""


def _unknown(name: str) -> DockerfileError:
    meant = closest(name.upper(), _READERS)
    return DockerfileError(
        f"unknown instruction '{name[:60]}'",
        hint=f"did you mean {meant}?" if meant else f"known: {', '.join(sorted(_READERS))}",
    )


def _some(node: InstructionNode) -> tuple[str, ...]:
    if not node.words.words:
        raise DockerfileError(f"{node.name.upper()} needs at least one argument")
    return node.words.words


def _one_word(node: InstructionNode) -> commands.Command:
    name, words = node.name.upper(), node.words.words
    if len(words) != 1:
        raise DockerfileError(f"{name} needs exactly one argument")
    return _ONE_WORD[name](node.place, words[0])


def _from(node: InstructionNode) -> commands.Command:
    flags = Flags(node.flags, {"platform": ONE})
    words, name = node.words.words, ""
    if len(words) == 3 and words[1].lower() == "as":
        name = words[2].lower()
        if not _STAGE_NAME.fullmatch(name):
            raise DockerfileError(
                f"'{words[2]}' cannot be the name of a stage",
                hint="a letter, then letters, digits, '-', '_' and '.'; variables are not expanded",
            )
    elif len(words) != 1:
        raise DockerfileError("FROM needs one argument or three")
    return commands.From(node.place, words[0], name, flags.one("platform"))


def _line(node: InstructionNode) -> commands.CommandLine:
    words = node.words.words
    if not node.words.json:
        words = (" ".join(words),) if words else ()
    return commands.CommandLine(words, shell=not node.words.json, heredocs=node.heredocs)


def _run(node: InstructionNode) -> commands.Command:
    flags = Flags(node.flags, {"mount": MANY, "network": ONE, "security": ONE})
    network, security = flags.one("network").lower(), flags.one("security").lower()
    for kind, value, known in (
        ("network mode", network, _NETWORKS),
        ("security mode", security, _SECURITY),
    ):
        if value and value not in known:
            raise DockerfileError(f"unknown {kind} '{value}'", hint=f"it is {', '.join(known)}")
    mounted = tuple(mount_flags.parse(text) for text in flags.many("mount"))
    network = "" if network == "default" else network
    return commands.Run(node.place, _line(node), mounted, network, security)


def _cmd(node: InstructionNode) -> commands.Command:
    return commands.Cmd(node.place, _line(node))


def _entrypoint(node: InstructionNode) -> commands.Command:
    return commands.Entrypoint(node.place, _line(node))


def _copy(node: InstructionNode) -> commands.Command:
    is_add = node.name.upper() == "ADD"
    flags = Flags(node.flags, _ADD_FLAGS if is_add else _COPY_FLAGS)
    words = node.words.words
    if len(words) < 2:
        raise DockerfileError(
            f"{node.name.upper()} needs a source and a destination",
        )
    *sources, destination = words
    if heredocs.parse(destination) is not None:
        raise DockerfileError("a heredoc cannot be the destination")
    paths, bodies = [], []
    by_name = {heredoc.name: heredoc for heredoc in node.heredocs}
    for source in sources:
        opened = heredocs.parse(source)
        body = by_name.get(opened.name) if opened is not None else None
        if body is None:
            paths.append(source)
        else:
            bodies.append(body)
    return commands.Copy(
        node.place,
        sources=tuple(paths),
        heredocs=tuple(bodies),
        destination=destination,
        is_add=is_add,
        from_="" if is_add else flags.one("from"),
        chown=flags.one("chown"),
        chmod=flags.one("chmod"),
        link=flags.switch("link") or False,
        parents=flags.switch("parents") or False,
        exclude=flags.many("exclude"),
        checksum=flags.one("checksum"),
        keep_git_dir=flags.switch("keep-git-dir") or False,
        unpack=flags.switch("unpack"),
    )


def _triples(node: InstructionNode) -> tuple[commands.Pair, ...]:
    words = _some(node)
    pairs = []
    for at in range(0, len(words), 3):
        key, value, equals = words[at : at + 3]
        if not key:
            raise DockerfileError(f"{node.name.upper()} has a value without a name")
        pairs.append(commands.Pair(key, value, legacy=not equals))
    return tuple(pairs)


def _env(node: InstructionNode) -> commands.Command:
    return commands.Env(node.place, _triples(node))


def _label(node: InstructionNode) -> commands.Command:
    return commands.Label(node.place, _triples(node))


def _arg(node: InstructionNode) -> commands.Command:
    pairs = []
    for word in _some(node):
        key, equals, value = word.partition("=")
        if not key:
            raise DockerfileError("ARG has a value without a name")
        pairs.append(commands.Pair(key, value if equals else None))
    return commands.Arg(node.place, tuple(pairs))


def _expose(node: InstructionNode) -> commands.Command:
    return commands.Expose(node.place, tuple(sorted(_some(node))))


def _volume(node: InstructionNode) -> commands.Command:
    paths = tuple(path.strip() for path in _some(node))
    if not all(paths):
        raise DockerfileError("VOLUME names an empty path")
    return commands.VolumeInstruction(node.place, paths)


def _shell(node: InstructionNode) -> commands.Command:
    words = _some(node)
    if not node.words.json:
        raise DockerfileError("SHELL needs a JSON array")
    return commands.Shell(node.place, words)


def _healthcheck(node: InstructionNode) -> commands.Command:
    flags = Flags(node.flags, dict.fromkeys(healthcheck.FLAGS, ONE))
    return healthcheck.command(node.place, _some(node), flags, json=node.words.json)


def _onbuild(node: InstructionNode) -> commands.Command:
    if node.sub is None:
        raise DockerfileError("ONBUILD needs an instruction")
    kept_for_later(node.sub.name)
    expression = _ONBUILD.sub("", node.place.text, count=1)
    for heredoc in node.sub.heredocs:
        expression += f"\n{heredoc.content}{heredoc.name}"
    return commands.Onbuild(node.place, expression)


def kept_for_later(name: str) -> None:
    """Refuse the instructions that ONBUILD cannot keep."""
    if name.upper() in ("ONBUILD", "FROM", "MAINTAINER"):
        raise DockerfileError(f"{name.upper()} cannot be kept for later by ONBUILD")


_USAGES = {
    "ADD": "ADD [--chown=USER:GROUP] [--chmod=MODE] [--checksum=DIGEST] SOURCE… DESTINATION",
    "ARG": "ARG NAME[=DEFAULT]…",
    "CMD": 'CMD ["program", "argument"], or CMD LINE for the shell',
    "COPY": "COPY [--from=STAGE] [--chown=USER:GROUP] [--chmod=MODE] SOURCE… DESTINATION",
    "ENTRYPOINT": 'ENTRYPOINT ["program", "argument"], or ENTRYPOINT LINE for the shell',
    "ENV": "ENV NAME=VALUE…",
    "EXPOSE": "EXPOSE PORT[/udp]…",
    "FROM": "FROM [--platform=OS/ARCH] IMAGE [AS NAME]",
    "HEALTHCHECK": "HEALTHCHECK [--interval=30s] [--timeout=30s] [--retries=3] CMD COMMAND, or NONE",
    "LABEL": "LABEL NAME=VALUE…",
    "MAINTAINER": "MAINTAINER NAME",
    "ONBUILD": "ONBUILD INSTRUCTION, which is any but FROM, MAINTAINER and ONBUILD",
    "RUN": 'RUN LINE for the shell, or RUN ["program", "argument"]',
    "SHELL": 'SHELL ["/bin/bash", "-c"]',
    "STOPSIGNAL": "STOPSIGNAL SIGTERM",
    "USER": "USER NAME[:GROUP]",
    "VOLUME": "VOLUME PATH…",
    "WORKDIR": "WORKDIR PATH",
}
_READERS = {
    "ADD": _copy,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": _one_word,
    "ONBUILD": _onbuild,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _one_word,
    "USER": _one_word,
    "VOLUME": _volume,
    "WORKDIR": _one_word,
}
