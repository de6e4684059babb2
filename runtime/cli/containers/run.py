"""`runtime run` and `create`: a container from an image; `run` starts it and attaches to it."""

from __future__ import annotations

import os
import sys

from runtime.cli.containers import attaching, run_options
from runtime.cli.containers import lookup as found
from runtime.container import attach, create
from runtime.container.monitor import forking
from runtime.language.commandline import Verb
from runtime.model.errors import RuntimeFailure
from runtime.store.containers import Containers
from runtime.store.images import Images
from runtime.store.volumes import Volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.language.commandline import Arguments
    from runtime.model.container.compose import RunOptions
    from runtime.model.container.spec import Spec
    from runtime.store.images import Image
    from runtime.store.layout import Layout

_IMAGE = "IMAGE [COMMAND] [ARG...]"
RUN = Verb(
    "run",
    _IMAGE,
    "Make a container from an image and run it",
    run_options.TABLE.rstrip()
    + """
  -a, --attach list             Only these: stdin, stdout, stderr (default all)
  -d, --detach                  Leave it running in the background, print its id
      --sig-proxy               Pass signals on to it (default true)
""",
    least=1,
    stops=True,
    refused=run_options.REFUSED,
    about="The image `host` is this machine's own root file system, read-only.",
)
CREATE = Verb(
    "create",
    _IMAGE,
    "Make a container from an image without starting it",
    run_options.TABLE,
    least=1,
    stops=True,
    refused={
        **run_options.REFUSED,
        "attach": "nothing is attached before the start; see runtime start --attach",
    },
)


def run(layout: Layout, words: Arguments) -> int:
    """Run a container; returns its exit code, or 125, 126, 127."""
    detached = words.flag("detach")
    asked = run_options.decode(words, detached=detached)
    keys = attaching.detach_keys(words, asked.detach_keys, code=125)
    attached = run_options.attached(words)
    if attached and detached:
        raise RuntimeFailure("--attach and --detach exclude each other")
    if asked.tty and asked.interactive and not detached and not os.isatty(0):
        raise RuntimeFailure("the input is not a terminal", "leave out -t to read it as it is")
    spec = _create(layout, words, asked)
    if not detached:
        attach.hold_signals()
    sock = forking.spawn(layout, spec)
    if detached:
        attach.await_start(sock)
        sys.stdout.write(f"{spec.id}\n")
        return 0
    if attached and not attached & {"stdout", "stderr"}:
        sys.stdout.write(f"{spec.id}\n")
        sys.stdout.flush()
    ended = attach.MonitorClient(
        sock,
        tty=spec.tty,
        stdin=spec.interactive and (not attached or "stdin" in attached),
        shown=attached or attach.BOTH,
        keys=keys,
        pass_signals=words.flag("sig-proxy", default=True),
    ).run()
    return 0 if ended.code == attach.DETACHED else ended.code


def create_(layout: Layout, words: Arguments) -> int:
    """Make a container's record and print its id."""
    asked = run_options.decode(words, detached=False)
    attaching.detach_keys(words, asked.detach_keys, code=125)
    spec = _create(layout, words, asked)
    # A start would make them too; until then they are there for `cp` and `volume ls`.
    volumes = Volumes(layout)
    for mount in spec.mounts:
        if mount.kind == "volume":
            anonymous = "anonymous" in mount.options
            volumes.ensure(mount.source, now=spec.created, anonymous=anonymous)
    sys.stdout.write(f"{spec.id}\n")
    return 0


def _create(layout: Layout, words: Arguments, asked: RunOptions) -> Spec:
    found.heal(layout)
    image = _find_image(layout, words)
    spec = create.create(layout, words.operands[0], image, asked)
    _write_id(layout, words.text("cidfile"), spec)
    return spec


def _find_image(layout: Layout, words: Arguments) -> Image:
    when = words.text("pull", "missing")
    if when not in ("missing", "never", "always"):
        raise RuntimeFailure(f"--pull: '{when}' is none of missing, never, always")
    name, platform = words.operands[0], words.text("platform")
    if when != "always" and not platform and (found := Images(layout).find(name)) is not None:
        return found
    from runtime.cli.images import transfer_progress
    from runtime.exchange import pulling

    shown = transfer_progress.choose("auto", sys.stderr, quiet=words.flag("quiet"))
    try:
        return pulling.get(Images(layout), name, when=when, platform=platform, progress=shown)
    except RuntimeFailure as failure:
        failure.code = 125  # nothing ran
        raise


def _write_id(layout: Layout, path: str, spec: Spec) -> None:
    if not path:
        return
    try:
        with open(path, "x", encoding="ascii") as file:
            file.write(spec.id)
    except OSError as error:
        Containers(layout).remove(spec.id)
        raise RuntimeFailure(f"cannot write '{path}': {error.strerror}") from None
