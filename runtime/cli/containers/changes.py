"""`diff`, `commit`, `export`: what a container has made of its image."""

from __future__ import annotations

import os
import sys
import time

from runtime.cli import output, printing
from runtime.cli.containers import life, lookup
from runtime.container.files import file_view, upper_changes
from runtime.language import commit_change as instructions
from runtime.language.commandline import Verb
from runtime.model import timestamp
from runtime.model.container import idmap, statuses
from runtime.model.errors import RuntimeFailure
from runtime.model.image import image_config as model
from runtime.store import events
from runtime.store.images import Images
from runtime.store.layers import Pin
from runtime.store.pack import Packer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.language.commandline import Arguments
    from runtime.model.container.spec import Spec
    from runtime.store.images import Image
    from runtime.store.layout import Layout

DIFF = Verb(
    "diff",
    "CONTAINER",
    "Show which files a container has added (A), changed (C) and deleted (D)",
    least=1,
    most=1,
)
COMMIT = Verb(
    "commit",
    "CONTAINER [REPOSITORY[:TAG]]",
    "Make an image of a container's files",
    """
  -a, --author string    Who made it
  -c, --change list      A Dockerfile instruction for it: CMD, ENV, USER, …
  -m, --message string   What its history says
  -p, --pause            Pause the container meanwhile (default true)
""",
    least=1,
    most=2,
)
EXPORT = Verb(
    "export",
    "CONTAINER",
    "Write a container's files, without its mounts, as a tar archive",
    """
  -o, --output string   Write to this file, not stdout
""",
    least=1,
    most=1,
)


def diff(layout: Layout, words: Arguments) -> int:
    """Show what has changed."""
    spec, _ = lookup.one(layout, words.operands[0])
    image = _image(layout, spec)
    for each in _changes(layout, spec, image):
        sys.stdout.write(f"{each.kind} {printing.screen(each.path, keep='')}\n")
    return 0


def _image(layout: Layout, spec: Spec) -> Image:
    image = Images(layout).get(spec.image_id)
    if image is None:
        raise RuntimeFailure(
            f"cannot read '{spec.name}': its image {spec.image} was removed", code=1
        )
    return image


def _changes(layout: Layout, spec: Spec, image: Image) -> list[upper_changes.Change]:
    return upper_changes.changes(
        f"{layout.container(spec.id)}/upper",
        Images(layout).lowers(image),
        [mount.target for mount in spec.mounts],
    )


def commit(layout: Layout, words: Arguments) -> int:
    """Make an image and print its id."""
    spec, state = lookup.one(layout, words.operands[0])
    image = _image(layout, spec)
    freezes = state.status == statuses.RUNNING and words.flag("pause", default=True)
    if freezes:
        life.ask(layout, spec, "pause")
    try:
        made = _commit(layout, words, spec, image)
    finally:
        if freezes:
            life.ask(layout, spec, "unpause")
    events.of_container(layout, spec, "commit", imageID=made.id)
    output.say(made.id)
    return 0


def _commit(layout: Layout, words: Arguments, spec: Spec, image: Image) -> Image:
    images = Images(layout)
    kept = {os.fsencode(each.path[1:]) for each in _changes(layout, spec, image)}
    with Pin() as pin:
        images.hold(image, pin)
        upper = f"{layout.container(spec.id)}/upper"
        unnameable: list[bytes] = []
        meta = images.layers.copy(
            upper,
            pin,
            skip=lambda path: path not in kept,
            id_shift=idmap.shift_of(spec),
            unnameable=unnameable,
        )
        _remark(unnameable)
        now = time.time()
        created = timestamp.render(now)
        step = model.History(
            created=created,
            created_by=" ".join(spec.argv),
            author=words.text("author"),
            comment=words.text("message"),
        )
        config = _configuration(spec, image.config).replace(
            created=created,
            author=words.text("author"),
            comment=words.text("message"),
            history=(*image.config.history, step),
            diff_ids=(*image.config.diff_ids, meta.diff_id),
        )
        config = instructions.apply(config, words.many("change"))
        names = words.operands[1:]
        return images.add(
            model.to_json(config), names, now=now, is_host=image.is_host, parent=image.id
        )


def _configuration(spec: Spec, config: model.ImageConfig) -> model.ImageConfig:
    """Return the image's configuration with what the container was started with."""
    entrypoint, command = split_command(spec, config)
    return config.replace(
        env=environment(spec),
        cmd=command or None,
        entrypoint=entrypoint,
        working_dir="" if spec.working_dir == "/" and not config.working_dir else spec.working_dir,
        user=spec.user,
        labels=dict(spec.labels),
        healthcheck=spec.healthcheck,
        exposed_ports=tuple(f"{port}/{protocol}" for port, protocol in spec.exposed),
    )


def split_command(
    spec: Spec, config: model.ImageConfig
) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Return (ENTRYPOINT, CMD) of a container."""
    count = spec.entrypoint_words
    if count is None:  # a record of before that was kept: the image's, while it fits
        entrypoint = config.entrypoint or ()
        count = len(entrypoint) if spec.argv[: len(entrypoint)] == entrypoint else 0
    return spec.argv[:count] or None, spec.argv[count:]


def environment(spec: Spec) -> tuple[str, ...]:
    """Return the variables that were asked for, without those that a start adds."""
    added = {"HOSTNAME": spec.hostname or spec.id[:12]}
    if spec.tty:
        added["TERM"] = "xterm"
    return tuple(
        f"{name}={value}" for name, value in spec.environment.items() if added.get(name) != value
    )


def export(layout: Layout, words: Arguments) -> int:
    """Write a container's files."""
    path = words.text("output")
    if not path and os.isatty(1):
        raise RuntimeFailure(
            "cannot write an archive to a terminal", "runtime export -o FILE, or > FILE", code=1
        )
    spec, _ = lookup.one(layout, words.operands[0])
    if path:
        try:
            # Before the mount namespace is left: it is the caller's file.
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise RuntimeFailure(f"cannot write '{path}': {error.strerror}", code=1) from error
    else:
        fd = 1
    root_fd = file_view.open_files(layout, spec)
    write = writer(fd)
    packer = Packer(f"/proc/self/fd/{root_fd}", id_shift=idmap.shift_of(spec))
    for piece in packer.stream():
        write(piece)
    _remark(packer.unnameable)
    return 0


def _remark(unnameable: list[bytes]) -> None:
    """Name what a layer cannot hold."""
    for path in unnameable:
        shown = printing.screen(os.fsdecode(path), keep="")
        sys.stderr.write(
            f"runtime: left out '{shown}': in a layer, a name that begins with '.wh.' hides a file\n"
        )


def writer(fd: int) -> Callable[[bytes], None]:
    """Return a function that writes all of what it is given to *fd*."""

    def write(data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]

    return write
