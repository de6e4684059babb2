"""`ps`: which containers there are."""

from __future__ import annotations

import sys
import time

from runtime.cli import output
from runtime.cli.containers import lookup
from runtime.language import columns, filters
from runtime.language.commandline import Verb
from runtime.model.container import statuses
from runtime.model.image import digest as digests
from runtime.store.images import Images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.language.commandline import Arguments
    from runtime.model.container.spec import Spec
    from runtime.model.container.state import State
    from runtime.store.layout import Layout

LS = Verb(
    "ps",
    "",
    "List containers",
    """
  -a, --all             All, not only those that run
  -f, --filter filter   ancestor=IMAGE, before=C, since=C, exited=N, expose=PORT, health=H,
                        id=ID, label=KEY[=VALUE], name=REGEX, network=N, publish=PORT,
                        status=STATE, volume=NAME|PATH
"""
    + output.FORMAT
    + """
  -n, --last int        The last N made, whatever their state
  -l, --latest          The last one made, whatever its state
      --no-trunc        Show whole ids, commands and mounts
  -q, --quiet           Show ids alone
  -s, --size            Show how much each has written
""",
    most=0,
)


def ls(layout: Layout, words: Arguments) -> int:
    """List containers."""
    chosen = _chosen(layout, words)
    truncate = not words.flag("no-trunc")
    if words.flag("quiet"):
        ids = [digests.short(spec.id) if truncate else spec.id for spec, _ in chosen]
        sys.stdout.write("".join(f"{each}\n" for each in ids))
        return 0
    with_size = words.flag("size")
    table = (*columns.CONTAINER_TABLE, "Size") if with_size else columns.CONTAINER_TABLE
    wants_size = with_size or "Size" in output.fields(words, table)
    now = time.time()
    rows = [
        columns.container(
            spec,
            state,
            now=now,
            truncate=truncate,
            size=_size(layout, spec) if wants_size else "0B",
        )
        for spec, state in chosen
    ]
    output.show(words, rows, columns.CONTAINER, table)
    return 0


def _size(layout: Layout, spec: Spec) -> str:
    from runtime.cli.containers import sizes

    return sizes.shown(layout, spec)


def _chosen(layout: Layout, words: Arguments) -> list[tuple[Spec, State]]:
    given = filters.parse(words.many("filter"), filters.CONTAINER)
    last = 1 if words.flag("latest") else words.number("last", -1)
    everything = words.flag("all") or last > 0 or "status" in given or "exited" in given
    known = lookup.every(layout)
    rows = [pair for pair in known if everything or pair[1].status in statuses.ALIVE]
    if given:
        rows = filters.containers(
            given,
            rows,
            ancestors=lambda name: _descendants(layout, name),
            find=lambda reference: lookup.one(layout, reference)[0],
        )
    return rows[:last] if last > 0 else rows


def _descendants(layout: Layout, name: str) -> set[str]:
    """Return the ids of the image and of all that have its layers below their own."""
    images = Images(layout)
    wanted = images.find(name)
    if wanted is None:
        return set()
    layers = wanted.layers
    below = {
        image.id for image in images.list() if layers and image.layers[: len(layers)] == layers
    }
    return {wanted.id, *below}
