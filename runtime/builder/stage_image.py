"""An image in the making: what one stage's instructions have made of its configuration so far.

Pure values; every word of an instruction is expanded already.  The instructions that make files
(RUN, COPY, ADD, WORKDIR's directory) are the work of `runtime.builder.steps`: they come here with
the layer they made.  History reads as BuildKit writes it.
"""

from __future__ import annotations

import posixpath

from runtime.dockerfile import commands
from runtime.model.errors import RuntimeFailure
from runtime.model.image import image_config as model
from runtime.model.image.image_config import History, ImageConfig
from supervise.model.record import Record
from supervise.model.signals import signal_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runtime.dockerfile.commands import Command, CommandLine

SHELL = ("/bin/sh", "-c")
_SECOND = 1_000_000_000  # a Dockerfile's durations are nanoseconds, a configuration's seconds
_PROTOCOLS = frozenset({"tcp", "udp", "sctp"})
_LAST_PORT = 65535


class StageImage(Record):
    """One stage so far."""

    config: ImageConfig
    is_host: bool = False  # its lowest layer is this machine's own root
    # ARGs declared so far, as (name, value), None without one: for the history.
    args: tuple[tuple[str, str | None], ...] = ()
    # What ARGs are worth, as (name, value): until an ENV of the name; stages from this one have it.
    scope: tuple[tuple[str, str], ...] = ()
    has_cmd: bool = False  # CMD came in this stage: ENTRYPOINT does not drop it

    @property
    def layers(self) -> tuple[str, ...]:
        """Return the diff ids, lowest first."""
        return self.config.diff_ids

    def environment(self) -> dict[str, str]:
        """Return what variables are worth: of ENV and ARG with one name, the later counts."""
        return {**model.environment(self.config), **dict(self.scope)}

    def shell(self) -> tuple[str, ...]:
        """Return what SHELL says, or its default."""
        return self.config.shell or SHELL


def scratch(architecture: str) -> StageImage:
    """Return the stage of ``FROM scratch``, or of anything that has no configuration yet."""
    return StageImage(ImageConfig(architecture=architecture, env=(f"PATH={model.DEFAULT_PATH}",)))


def begin(base: StageImage) -> StageImage:
    """Return the stage ``FROM`` *base*, an image or a stage, without what was for us.

    A stage's ARGs go on in the stages from it, unless its configuration has the variable.
    """
    config = base.config
    if not any(entry.startswith("PATH=") for entry in config.env):
        config = config.replace(env=(*config.env, f"PATH={model.DEFAULT_PATH}"))
    known = model.environment(config)
    scope = tuple((name, value) for name, value in base.scope if name not in known)
    return StageImage(config.replace(onbuild=()), base.is_host, args=scope, scope=scope)


def with_history(image: StageImage, text: str, created: str, *, layer: str = "") -> StageImage:
    """Return *image* after a step that made the layer *layer*, or none."""
    config = image.config
    step = History(created=created, created_by=text, empty_layer=not layer)
    if layer:
        config = config.replace(diff_ids=(*config.diff_ids, layer))
    return image.replace(config=config.replace(history=(*config.history, step), created=created))


def declare(image: StageImage, pairs: Iterable[tuple[str, str | None]]) -> StageImage:
    """Return *image* with the ARGs *pairs* in scope; one without a value keeps what it had."""
    pairs = list(pairs)
    scope = {**dict(image.scope), **{name: value for name, value in pairs if value is not None}}
    args = {**dict(image.args), **dict(pairs)}
    return image.replace(args=tuple(args.items()), scope=tuple(scope.items()))


def apply(image: StageImage, command: Command) -> tuple[StageImage, str]:
    """Return what *command*, which makes no files, makes of *image*, and what history says.

    Raises:
        RuntimeFailure: a port, a signal or a volume that is none.
    """
    return _CHANGES[type(command)](image, command)


def absolute(image: StageImage, path: str) -> str:
    """Return *path* as WORKDIR means it: below the working directory unless it is absolute."""
    joined = posixpath.normpath(posixpath.join("/", image.config.working_dir, path))
    return "/" + joined.lstrip("/")


def with_working_dir(image: StageImage, path: str) -> tuple[StageImage, str]:
    """Return *image* with WORKDIR *path*, and what history says."""
    directory = absolute(image, path)
    if path.endswith("/") and directory != "/":
        directory += "/"  # BuildKit keeps it
    config = image.config.replace(working_dir=directory)
    return image.replace(config=config), f"WORKDIR {directory}"


def argv(image: StageImage, line: CommandLine) -> tuple[str, ...]:
    """Return what CMD, ENTRYPOINT or RUN executes."""
    return (*image.shell(), *line.words) if line.shell else line.words


def quoted(words: Iterable[str]) -> str:
    """Return *words* as Go's %q prints a list: ``["a" "b"]``."""
    escaped = (word.replace("\\", "\\\\").replace('"', '\\"') for word in words)
    return "[" + " ".join(f'"{word}"' for word in escaped) + "]"


def _cmd(image: StageImage, command: commands.Cmd) -> tuple[StageImage, str]:
    words = argv(image, command.line)
    config = image.config.replace(cmd=words)
    return image.replace(config=config, has_cmd=True), f"CMD {quoted(words)}"


def _entrypoint(image: StageImage, command: commands.Entrypoint) -> tuple[StageImage, str]:
    words = argv(image, command.line)
    config = image.config.replace(entrypoint=words)
    if not image.has_cmd:
        config = config.replace(cmd=None)  # the base's CMD was made for the base's ENTRYPOINT
    return image.replace(config=config), f"ENTRYPOINT {quoted(words)}"


def _env(image: StageImage, command: commands.Env) -> tuple[StageImage, str]:
    entries = {entry.partition("=")[0]: entry for entry in image.config.env}
    entries.update((pair.key, f"{pair.key}={pair.value or ''}") for pair in command.pairs)
    config = image.config.replace(env=tuple(entries.values()))
    names = {pair.key for pair in command.pairs}
    scope = tuple((name, value) for name, value in image.scope if name not in names)
    return image.replace(config=config, scope=scope), f"ENV {_pairs(command.pairs)}"


def _label(image: StageImage, command: commands.Label) -> tuple[StageImage, str]:
    labels = {**image.config.labels, **{pair.key: pair.value or "" for pair in command.pairs}}
    return image.replace(config=image.config.replace(labels=labels)), (
        f"LABEL {_pairs(command.pairs)}"
    )


def _pairs(pairs: Iterable[commands.Pair]) -> str:
    return " ".join(f"{pair.key}={pair.value or ''}" for pair in pairs)


def _maintainer(image: StageImage, command: commands.Maintainer) -> tuple[StageImage, str]:
    config = image.config.replace(author=command.name)
    return image.replace(config=config), f"MAINTAINER {command.name}"


def _expose(image: StageImage, command: commands.Expose) -> tuple[StageImage, str]:
    ports = [port for text in command.ports for port in _ports(text)]
    config = image.config.replace(
        exposed_ports=tuple(dict.fromkeys((*image.config.exposed_ports, *ports)))
    )
    return image.replace(config=config), f"EXPOSE [{' '.join(ports)}]"


def _ports(text: str) -> list[str]:
    """Return ``PORT/PROTOCOL`` of each port in one word of EXPOSE."""
    numbers, _, protocol = text.partition("/")
    numbers = numbers.rpartition(":")[2]  # docker takes what -p takes, and keeps the container's
    protocol = protocol.lower() or "tcp"
    first, dash, last = numbers.partition("-")
    valid = all(part.isascii() and part.isdecimal() for part in (first, last or first))
    if not valid or (dash and not last) or protocol not in _PROTOCOLS:
        raise RuntimeFailure(
            f"'{text}' is no port to expose", "write 80, 80/udp or 8000-8010", code=1
        )
    low, high = int(first), int(last or first)
    if not 0 < low <= high <= _LAST_PORT:
        raise RuntimeFailure(f"'{text}' is no port to expose: 1 to {_LAST_PORT}", code=1)
    return [f"{number}/{protocol}" for number in range(low, high + 1)]


def _volume(image: StageImage, command: commands.VolumeInstruction) -> tuple[StageImage, str]:
    if any(not path.strip() for path in command.paths):
        raise RuntimeFailure("VOLUME has an empty path", code=1)
    volumes = tuple(dict.fromkeys((*image.config.volumes, *command.paths)))
    config = image.config.replace(volumes=volumes)
    return image.replace(config=config), f"VOLUME [{' '.join(command.paths)}]"


def _user(image: StageImage, command: commands.User) -> tuple[StageImage, str]:
    return image.replace(config=image.config.replace(user=command.user)), f"USER {command.user}"


def _shell(image: StageImage, command: commands.Shell) -> tuple[StageImage, str]:
    config = image.config.replace(shell=command.words)
    return image.replace(config=config), f"SHELL [{' '.join(command.words)}]"


def _stop_signal(image: StageImage, command: commands.StopSignal) -> tuple[StageImage, str]:
    if signal_number(command.signal) is None:
        raise RuntimeFailure(
            f"'{command.signal}' is no signal", "such as TERM, SIGINT or 15", code=1
        )
    config = image.config.replace(stop_signal=command.signal)
    return image.replace(config=config), f"STOPSIGNAL {command.signal}"


def _healthcheck(
    image: StageImage, command: commands.HealthcheckInstruction
) -> tuple[StageImage, str]:
    check = model.Healthcheck(
        test=command.test,
        interval=command.interval / _SECOND,
        timeout=command.timeout / _SECOND,
        start_period=command.start_period / _SECOND,
        start_interval=command.start_interval / _SECOND,
        retries=command.retries,
    )
    config = image.config.replace(healthcheck=check)
    return image.replace(config=config), f"HEALTHCHECK {quoted(command.test)}"


def _onbuild(image: StageImage, command: commands.Onbuild) -> tuple[StageImage, str]:
    onbuild = (*image.config.onbuild, command.expression)
    config = image.config.replace(onbuild=onbuild)
    return image.replace(config=config), f"ONBUILD {command.expression}"


_CHANGES: dict[type, Callable[..., tuple[StageImage, str]]] = {
    commands.Cmd: _cmd,
    commands.Entrypoint: _entrypoint,
    commands.Env: _env,
    commands.Expose: _expose,
    commands.HealthcheckInstruction: _healthcheck,
    commands.Label: _label,
    commands.Maintainer: _maintainer,
    commands.Onbuild: _onbuild,
    commands.Shell: _shell,
    commands.StopSignal: _stop_signal,
    commands.User: _user,
    commands.VolumeInstruction: _volume,
}
