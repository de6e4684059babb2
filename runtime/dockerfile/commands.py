"""What a Dockerfile says, as values: one Record an instruction.

Words are as written: nothing is expanded here, because what a variable is worth depends on the
stage.  Made by `runtime.dockerfile.parser`, carried out by `runtime.builder`.
Source: the Dockerfile reference and BuildKit's `instructions` package.
"""

from __future__ import annotations

from supervise.model.record import Record


class Place(Record):
    """Where an instruction stands in its file; lines count from 1, both ends included."""

    first_line: int
    last_line: int
    text: str  # the instruction as written, continuation lines joined: what messages show


class Heredoc(Record):
    """The body of a `<<NAME` redirection."""

    name: str
    content: str  # with its last newline; leading tabs removed for `<<-`
    expand: bool  # the name was not quoted: variables count in COPY and ADD
    chomp: bool  # written `<<-`


class Pair(Record):
    """One `key=value` of ENV, LABEL or ARG."""

    key: str
    value: str | None  # None: ARG without a default
    legacy: bool = False  # written `KEY VALUE`, without an equals sign


class CommandLine(Record):
    """What RUN, CMD and ENTRYPOINT are to execute."""

    words: tuple[str, ...]  # shell form: one string, heredocs' first lines included
    shell: bool  # True: SHELL is put in front
    heredocs: tuple[Heredoc, ...] = ()


class RunMount(Record):
    """`RUN --mount=…`; words unexpanded."""

    type: str = "bind"  # bind | cache | tmpfs | secret | ssh
    source: str = ""
    target: str = ""
    from_: str = ""  # stage or image; "" for the build context (bind) or nothing (cache)
    read_only: bool | None = None  # None: the type's default
    id: str = ""
    sharing: str = "shared"  # shared | private | locked
    required: bool = False
    size: str = ""
    mode: str = ""
    uid: str = ""
    gid: str = ""
    env: str = ""  # secret: also this environment variable
    unknown: tuple[str, ...] = ()  # options that no type has: refused when the step is reached
    text: str = ""  # as written, until its variables are expanded


class Command(Record):
    """What every instruction has."""

    place: Place


class From(Command):
    """`FROM [--platform=P] IMAGE [AS NAME]`."""

    image: str
    name: str = ""  # lower case
    platform: str = ""


class Run(Command):
    """`RUN`."""

    line: CommandLine
    mounts: tuple[RunMount, ...] = ()
    network: str = ""  # "" (default) | none | host
    security: str = ""  # "" | sandbox | insecure


class Copy(Command):
    """`COPY` and `ADD`."""

    sources: tuple[str, ...]
    heredocs: tuple[Heredoc, ...]  # sources given in the file; name is the file's name
    destination: str
    is_add: bool = False
    from_: str = ""
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()
    checksum: str = ""  # ADD alone
    keep_git_dir: bool = False  # ADD alone
    unpack: bool | None = None  # ADD alone; None: archives from the context, not from URLs


class Cmd(Command):
    """`CMD`."""

    line: CommandLine


class Entrypoint(Command):
    """`ENTRYPOINT`."""

    line: CommandLine


class Env(Command):
    """`ENV`."""

    pairs: tuple[Pair, ...]


class Label(Command):
    """`LABEL`."""

    pairs: tuple[Pair, ...]


class Arg(Command):
    """`ARG`, in a stage or before the first FROM."""

    pairs: tuple[Pair, ...]


class Maintainer(Command):
    """`MAINTAINER`."""

    name: str


class Expose(Command):
    """`EXPOSE`."""

    ports: tuple[str, ...]


class VolumeInstruction(Command):
    """`VOLUME`."""

    paths: tuple[str, ...]


class User(Command):
    """`USER`."""

    user: str


class Workdir(Command):
    """`WORKDIR`."""

    path: str


class Shell(Command):
    """`SHELL`."""

    words: tuple[str, ...]


class StopSignal(Command):
    """`STOPSIGNAL`."""

    signal: str


class HealthcheckInstruction(Command):
    """`HEALTHCHECK`; durations are whole nanoseconds, 0 where none was given."""

    test: tuple[str, ...]  # ("NONE",) | ("CMD", …) | ("CMD-SHELL", line)
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class Onbuild(Command):
    """`ONBUILD`: an instruction for the builds that start from this image."""

    expression: str  # as written, to be parsed by `parser.parse_onbuild`


class Stage(Record):
    """From one FROM to the next."""

    start: From
    commands: tuple[Command, ...]


class Dockerfile(Record):
    """A whole file."""

    args: tuple[Arg, ...]  # before the first FROM
    stages: tuple[Stage, ...]
    escape: str = "\\"  # or "`"
    warnings: tuple[str, ...] = ()
