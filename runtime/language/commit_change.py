"""``--change``: one Dockerfile instruction applied to an image's configuration, without a build.

What docker's import and commit take: CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD
STOPSIGNAL USER VOLUME WORKDIR.  Building from a Dockerfile is another matter and has a parser of
its own.
"""

from __future__ import annotations

import json
import posixpath
import shlex

from runtime.model.container import limits, option_values
from runtime.model.errors import RuntimeFailure
from runtime.model.image.image_config import Healthcheck, ImageConfig
from supervise.model.numerals import whole
from supervise.model.suggest import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_SHELL = ("/bin/sh", "-c")
_HEALTH_DURATIONS = ("interval", "timeout", "start-period", "start-interval")


def apply(config: ImageConfig, changes: Iterable[str]) -> ImageConfig:
    """Return *config* with each of *changes* made, in order.

    Raises:
        RuntimeFailure: one is not an instruction that can be given here, or lacks its arguments.
    """
    for text in changes:
        word, _, rest = text.strip().partition(" ")
        change = _CHANGES.get(word.upper())
        if change is None:
            near = closest(word.upper(), _CHANGES)
            hint = f"did you mean '{near}'?" if near else f"known are {', '.join(_CHANGES)}"
            raise RuntimeFailure(f"cannot apply '{text}': '{word}' is not one of them", hint)
        if not rest.strip():
            raise RuntimeFailure(f"cannot apply '{text}': {word.upper()} needs an argument")
        try:
            config = change(config, rest.strip())
        except ValueError as error:
            raise RuntimeFailure(f"cannot apply '{text}': {error}") from error
    return config


def _command(text: str, shell: tuple[str, ...]) -> tuple[str, ...]:
    """Return the argv of the exec form (a JSON array) or the shell form."""
    if text.startswith("["):
        try:
            words = json.loads(text)
        except ValueError:
            words = None  # docker: what is no JSON is the shell's
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return tuple(words)
    return (*(shell or _SHELL), text)


def _pairs(text: str) -> list[tuple[str, str]]:
    """Return the (name, value) pairs of ``a=b c="d e"``, or of the old form ``a all the rest``."""
    first = text.split(None, 1)[0]
    if "=" not in first:
        name, _, value = text.partition(" ")
        if not value.strip():
            raise ValueError(f"'{name}' has no value: write {name}=VALUE")
        return [(name, value.strip())]
    found = []
    for word in shlex.split(text):
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise ValueError(f"'{word}' is not NAME=VALUE")
        found.append((name, value))
    return found


def _words(text: str) -> list[str]:
    if text.startswith("["):
        words = json.loads(text)
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return words
        raise ValueError("it is not a JSON array of strings")
    return text.split()


def _cmd(config: ImageConfig, text: str) -> ImageConfig:
    return config.replace(cmd=_command(text, config.shell))


def _entrypoint(config: ImageConfig, text: str) -> ImageConfig:
    return config.replace(entrypoint=_command(text, config.shell))


def _env(config: ImageConfig, text: str) -> ImageConfig:
    found = {entry.partition("=")[0]: entry for entry in config.env}
    found.update((name, f"{name}={value}") for name, value in _pairs(text))
    return config.replace(env=tuple(found.values()))


def _label(config: ImageConfig, text: str) -> ImageConfig:
    return config.replace(labels={**config.labels, **dict(_pairs(text))})


def _expose(config: ImageConfig, text: str) -> ImageConfig:
    found = dict.fromkeys(config.exposed_ports)
    for word in text.split():
        port, _, protocol = word.partition("/")
        first, _, last = port.partition("-")
        protocol = protocol.lower() or "tcp"
        low, high = whole(first), whole(last or first)
        if protocol not in {"tcp", "udp", "sctp"} or low is None:
            raise ValueError(f"'{word}' is not PORT or PORT/PROTOCOL")
        if high is None or not 0 < low <= high < 65536:
            raise ValueError(f"'{port}' is not a port")
        found.update((f"{n}/{protocol}", None) for n in range(low, high + 1))
    return config.replace(exposed_ports=tuple(sorted(found)))


def _volume(config: ImageConfig, text: str) -> ImageConfig:
    return config.replace(volumes=tuple(sorted({*config.volumes, *_words(text)})))


def _workdir(config: ImageConfig, text: str) -> ImageConfig:
    path = posixpath.normpath(posixpath.join("/", config.working_dir, text))
    return config.replace(working_dir=path.replace("//", "/"))


def _user(config: ImageConfig, text: str) -> ImageConfig:
    return config.replace(user=text)


def _stopsignal(config: ImageConfig, text: str) -> ImageConfig:
    return config.replace(stop_signal=text)


def _onbuild(config: ImageConfig, text: str) -> ImageConfig:
    return config.replace(onbuild=(*config.onbuild, text))


def _healthcheck(config: ImageConfig, text: str) -> ImageConfig:
    check = Healthcheck()
    while text.startswith("--"):
        option, _, text = text.partition(" ")
        text = text.strip()
        check = check.replace(**_health_option(option))
    word, _, command = text.partition(" ")
    command = command.strip()
    if word.upper() == "NONE" and not command:
        return config.replace(healthcheck=Healthcheck(test=("NONE",)))
    if word.upper() != "CMD" or not command:
        raise ValueError("write HEALTHCHECK [--interval=30s …] CMD COMMAND, or HEALTHCHECK NONE")
    test = ("CMD", *_words(command)) if command.startswith("[") else ("CMD-SHELL", command)
    return config.replace(healthcheck=check.replace(test=test))


def _health_option(text: str) -> dict[str, float | int]:
    name, _, value = text[2:].partition("=")
    if name == "retries":
        return {"retries": limits.whole(value, 1)}
    if name not in _HEALTH_DURATIONS:
        known = ", ".join(f"--{each}" for each in (*_HEALTH_DURATIONS, "retries"))
        raise ValueError(f"'{text}' is none of {known}")
    return {name.replace("-", "_"): option_values.pause(value)}


_CHANGES: dict[str, Callable[[ImageConfig, str], ImageConfig]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
