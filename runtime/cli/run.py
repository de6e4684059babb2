"""`runtime run`: a container from an image, started, and this terminal attached to it."""

from __future__ import annotations

import os
import sys

from runtime.cli import options, run_options
from runtime.cli.options import FLAG, Option
from runtime.container import attach, create, heal, monitor
from runtime.model.errors import RuntimeFailure
from runtime.store.containers import Containers
from runtime.store.images import Images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.cli.options import Words
    from runtime.model.spec import Spec
    from runtime.store.layout import Layout

VERB = options.Verb(
    "run",
    "IMAGE [COMMAND] [ARGUMENT]…",
    "Make a container from IMAGE and start it.  `host` is this machine's own root file system.",
    run_options.table(
        Option(("-d", "--detach"), FLAG, "", "leave it running in the background, print its id"),
        Option(("--sig-proxy",), FLAG, "", "pass signals on to it (the default)"),
    ),
    mixed=False,
)


def run(layout: Layout, words: Words) -> int:
    """Run a container; returns its exit code, or 125, 126, 127."""
    if not words.rest:
        raise options.too_many(VERB)
    detached = words.flag("detach")
    asked = run_options.decode(words, words.rest[1:], detached=detached)
    keys = _keys(asked.detach_keys)
    if asked.tty and asked.interactive and not detached and not os.isatty(0):
        raise RuntimeFailure("the input is not a terminal", "leave out -t to read it as it is")
    heal.heal(layout)
    image = Images(layout).resolve(words.rest[0])
    spec = create.create(layout, words.rest[0], image, asked)
    _write_id(layout, words.value("cidfile"), spec)
    sock = monitor.spawn(layout, spec)
    if detached:
        attach.await_start(sock)
        sys.stdout.write(f"{spec.id}\n")
        return 0
    ended = attach.Client(
        sock,
        tty=spec.tty,
        stdin=spec.interactive,
        keys=keys,
        pass_signals=words.flag("sig-proxy", default=True),
    ).run()
    return 0 if ended.code == attach.DETACHED else ended.code


def _keys(text: str) -> bytes:
    try:
        return attach.parse_keys(text)
    except ValueError as error:
        raise RuntimeFailure(f"--detach-keys: {error}") from None


def _write_id(layout: Layout, path: str, spec: Spec) -> None:
    if not path:
        return
    try:
        with open(path, "x", encoding="ascii") as file:
            file.write(spec.id)
    except OSError as error:
        Containers(layout).remove(spec.id)
        raise RuntimeFailure(f"cannot write '{path}': {error.strerror}") from None
