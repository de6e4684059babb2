"""`runtime build`: an image from a Dockerfile; `runtime builder prune`: away with its cache."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import sys
import time

from runtime.container import heal
from runtime.language.commandline import Verb
from runtime.model.container import option_values
from runtime.model.errors import RuntimeFailure
from runtime.model.image import reference
from supervise.linux import regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.builder.build_progress import BuildProgress
    from runtime.builder.job import BuildRequest, Given
    from runtime.language.commandline import Arguments
    from runtime.store.layout import Layout

_EPOCH = "SOURCE_DATE_EPOCH"
_REFUSED = {
    "cache-from": "the cache is the store's own and always used; --no-cache leaves it out",
    "cache-to": "the cache is the store's own; an image's layers travel with `runtime push`",
    "output": "the result is an image in the store; `runtime save` and `runtime export` write it",
    "load": "the result is always in the store",
    "push": "push it afterwards: runtime push NAME",
    "squash": "every step is a layer; a last stage with COPY --from=… / / has one",
    "rm": "a step leaves no container",
    "force-rm": "a step leaves no container",
    "isolation": "that is for Windows",
    "memory": "the steps of a build have no limits; run the command in a container that has",
    "build-context": "copy what is needed into the context, or build it as an image",
}
BUILD = Verb(
    "build",
    "PATH|URL|-",
    "Make an image from a Dockerfile",
    """
      --add-host list          A line for /etc/hosts of RUN: NAME:ADDRESS
      --allow list             Let the Dockerfile have more: network.host for RUN --network=host,
                               host for FROM host of a context from elsewhere
      --build-arg list         A value for an ARG: NAME=VALUE, or NAME for the variable here
  -f, --file string            The Dockerfile (default PATH/Dockerfile); - reads it from stdin
      --iidfile string         Write the image's id to this file
      --label list             A label for the image: KEY=VALUE
      --net, --network string  Of RUN: default, none, host, or a network's name (default "default")
      --no-cache               Carry out every step, whatever the cache has
      --platform string        What to build for; this machine's platform is the only one
      --progress string        auto, plain, tty, json (default "auto")
      --pull                   Look for newer base images first
  -q, --quiet                  Print the image's id and nothing else
      --secret list            A file for RUN --mount=type=secret: id=ID,src=FILE or id=ID,env=NAME
      --ssh list               An agent for RUN --mount=type=ssh: default or ID=SOCKET
  -t, --tag list               A name for the image; may be given several times
      --target string          Stop after this stage
""",
    least=1,
    most=1,
    refused=_REFUSED,
)
PRUNE = Verb(
    "builder prune",
    "",
    "Remove the build cache: what no image is made of",
    """
  -a, --all             All of it, and the directories of RUN --mount=type=cache
      --filter filter   until=TIME: only what has not been used since
  -f, --force           Do not ask
""",
    most=0,
)


def build(layout: Layout, words: Arguments) -> int:
    """Build an image."""
    from runtime.builder import building as builder

    request = _request(words)
    for name in request.tags:
        reference.parse_tagged(name)
    heal.heal(layout)
    for number in (_signal.SIGTERM, _signal.SIGHUP):
        _signal.signal(number, _interrupt)
    progress = _progress(words)
    try:
        image = builder.build(layout, request, progress)
    finally:
        progress.close()
    _write_id(words.text("iidfile"), image.id)
    if words.flag("quiet"):
        sys.stdout.write(f"{image.id}\n")
    return 0


def prune(layout: Layout, words: Arguments) -> int:
    """Remove the build cache."""
    from runtime.builder import pruning
    from runtime.cli import output  # with what lists and templates take
    from runtime.language import filters
    from runtime.model import units
    from runtime.store.build_cache import BuildCache
    from runtime.store.images import Images

    everything = words.flag("all")
    what = "all of the build cache" if everything else "the build cache that no image is made of"
    before = filters.until(filters.parse(words.many("filter"), ("until",)), time.time())
    if not output.agrees(words, f"This will remove {what}."):
        return 0
    images, cache = Images(layout), BuildCache(layout)
    removed, freed = pruning.prune(images, cache, everything=everything, before=before)
    for key in removed:
        output.say(key)
    output.say(f"Total reclaimed space: {units.human_size(freed)}")
    return 0


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _request(words: Arguments) -> BuildRequest:
    from runtime.builder import entitlements
    from runtime.builder.job import BuildRequest

    build_args = _build_args(words)
    return BuildRequest(
        where=words.operands[0],
        dockerfile=words.text("file"),
        tags=words.many("tag"),
        target=words.text("target"),
        build_args=build_args,
        labels=dict(_pair(text, "--label") for text in words.many("label")),
        network=_network(words.text("network", "default")),
        allowed=entitlements.parse(words.many("allow")),
        hosts=tuple(_host(text) for text in words.many("add-host")),
        no_cache=words.flag("no-cache"),
        pull=words.flag("pull"),
        platform=words.text("platform"),
        given=_given(words),
        epoch=_epoch(build_args),
    )


def _build_args(words: Arguments) -> dict[str, str]:
    found = {}
    for text in words.many("build-arg"):
        name, equals, value = text.partition("=")
        if not name:
            raise RuntimeFailure(f"--build-arg: '{text}' has no name", "NAME=VALUE", code=1)
        if equals:
            found[name] = _text(value)
        elif name in os.environ:
            found[name] = _text(os.environ[name])
    return found


def _pair(text: str, option: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not name:
        raise RuntimeFailure(f"{option}: '{text}' has no key", "KEY=VALUE", code=1)
    return name, _text(value)


def _text(word: str) -> str:
    """Return *word* as a JSON document can have it: bytes that are no UTF-8 are replaced."""
    return os.fsencode(word).decode(errors="replace")


def _network(text: str) -> str:
    return "bridge" if text == "default" else text


def _host(text: str) -> tuple[str, str]:
    try:
        return option_values.add_host(text)
    except ValueError as error:
        raise RuntimeFailure(f"--add-host: {error}", code=1) from None


def _epoch(given: Mapping[str, str]) -> int | None:
    """Return SOURCE_DATE_EPOCH, which may be a --build-arg; see reproducible-builds.org."""
    text = given.get(_EPOCH, os.environ.get(_EPOCH, ""))
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 12):
        raise RuntimeFailure(
            f"SOURCE_DATE_EPOCH: '{text}' is no number of seconds since 1970", code=1
        )
    return int(text)


def _given(words: Arguments) -> Given:
    from runtime.builder.job import Given

    return Given(
        secrets=dict(_secret(text) for text in words.many("secret")),
        agents=dict(_agent(text) for text in words.many("ssh")),
    )


def _secret(text: str) -> tuple[str, bytes]:
    """Return (id, value) of ``id=ID,src=FILE`` or ``id=ID,env=NAME``; docker's own shorthands too."""
    fields = dict(part.partition("=")[::2] for part in text.split(","))
    name = fields.pop("id", "")
    kind = fields.pop("type", "")
    variable = fields.pop("env", "")
    path = fields.pop("src", "") or fields.pop("source", "")
    if fields or kind not in ("", "file", "env") or not name:
        raise RuntimeFailure(f"--secret: cannot read '{text}'", "id=ID,src=FILE, or env=NAME", 1)
    if variable or kind == "env" or (not path and not kind and name in os.environ):
        value = os.environ.get(variable or path or name)
        if value is None:
            raise RuntimeFailure(f"--secret: there is no variable '{variable or name}'", code=1)
        return name, os.fsencode(value)
    try:
        return name, regular.read_given(path or name)
    except OSError as error:
        raise RuntimeFailure(
            f"--secret: cannot read '{path or name}': {error.strerror}", code=1
        ) from None


def _agent(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    path = path or os.environ.get("SSH_AUTH_SOCK", "")
    if not path or not os.path.exists(path):
        raise RuntimeFailure(
            f"--ssh: there is no agent's socket for '{name}'", "start ssh-agent, or ID=SOCKET", 1
        )
    return name, os.path.abspath(path)


def _progress(words: Arguments) -> BuildProgress:
    from runtime.builder import build_progress as progress

    kind = words.text("progress", "auto")
    if kind not in ("auto", "plain", "tty", "json"):
        raise RuntimeFailure(f"--progress: '{kind}' is none of auto, plain, tty, json", code=1)
    if words.flag("quiet"):
        return progress.QuietBuildProgress(2)
    if kind == "json":
        return progress.JsonBuildProgress(2)
    if kind == "tty" or (kind == "auto" and os.isatty(2)):
        from runtime.builder.live_view import View

        return View(2)
    return progress.PlainBuildProgress(2)


def _write_id(path: str, image_id: str) -> None:
    if not path:
        return
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(image_id)
    except OSError as error:
        raise RuntimeFailure(
            f"--iidfile: cannot write '{path}': {error.strerror}", code=1
        ) from None
