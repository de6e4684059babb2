"""`system df`, `system prune`: how much lies in the store, and away with what nobody uses."""

from __future__ import annotations

import sys

from runtime.builder import pruning
from runtime.cli import network_verbs, output, volume_verbs
from runtime.cli.containers import lookup as found
from runtime.cli.containers import removing, sizes
from runtime.cli.images import image_verbs
from runtime.language import columns
from runtime.language.commandline import Arguments, Verb
from runtime.model import units
from runtime.model.container import statuses
from runtime.store.build_cache import BuildCache
from runtime.store.images import Images
from runtime.store.volumes import Volumes
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.store.layout import Layout

DF = Verb(
    "system df", "", "Show what images, containers and volumes take on disk", output.FORMAT, most=0
)
PRUNE = Verb(
    "system prune",
    "",
    "Remove stopped containers, unused networks, nameless images and unused build cache",
    """
  -a, --all             All images that no container uses
      --filter filter   label=KEY[=VALUE], until=TIME
  -f, --force           Do not ask
      --volumes         And anonymous volumes that no container uses
""",
    most=0,
)


class _Kind(Record):
    """One row of `system df`.  Sizes in bytes."""

    name: str
    total: int
    active: int
    size: int
    reclaimable: int


def df(layout: Layout, words: Arguments) -> int:
    """Show sizes."""
    kinds = (
        _images(layout),
        _containers(layout),
        _volumes(layout),
        _build_cache(layout),
    )
    rows = [
        {
            "Type": kind.name,
            "TotalCount": str(kind.total),
            "Active": str(kind.active),
            "Size": units.human_size(kind.size),
            "Reclaimable": _reclaimable(kind),
        }
        for kind in kinds
    ]
    output.show(words, rows, columns.DISK, columns.DISK_TABLE)
    return 0


def _reclaimable(kind: _Kind) -> str:
    text = units.human_size(kind.reclaimable)
    return f"{text} ({kind.reclaimable * 100 // kind.size}%)" if kind.size else text


def _images(layout: Layout) -> _Kind:
    """Count layers once, however many images have them."""
    known = Images(layout).list()
    used = {spec.image_id for spec, _ in found.every(layout)}
    layers: dict[str, int] = {}
    needed: set[str] = set()
    for image in known:
        layers.update(zip(image.layers, image.sizes, strict=True))
        if image.id in used:
            needed.update(image.layers)
    free = sum(size for diff_id, size in layers.items() if diff_id not in needed)
    active = sum(image.id in used for image in known)
    return _Kind("Images", len(known), active, sum(layers.values()), free)


def _containers(layout: Layout) -> _Kind:
    total = free = active = 0
    everyone = found.every(layout)
    for spec, state in everyone:
        size = sizes.written(layout, spec)
        total += size
        if state.status in statuses.ALIVE:
            active += 1
        else:
            free += size
    return _Kind("Containers", len(everyone), active, total, free)


def _volumes(layout: Layout) -> _Kind:
    store = Volumes(layout)
    total = free = active = 0
    known = store.list()
    for volume in known:
        size = sizes.of_tree(store.path(volume.name))
        total += size
        if store.users(volume.name):
            active += 1
        else:
            free += size
    return _Kind("Local Volumes", len(known), active, total, free)


def _build_cache(layout: Layout) -> _Kind:
    cached = pruning.measure(Images(layout), BuildCache(layout))
    return _Kind("Build Cache", cached.records, cached.active, cached.size, cached.reclaimable)


def prune(layout: Layout, words: Arguments) -> int:
    """Remove what nobody uses."""
    if not output.agrees(words, _warning(words)):
        return 0
    containers, freed = removing.remove_unused(layout, words)
    _report("Containers", containers)
    _report("Networks", network_verbs.remove_unused(layout, _labels_alone(words)))
    if words.flag("volumes"):
        removed, size = volume_verbs.remove_unused(layout, words, everything=False)
        freed += size
        _report("Volumes", removed)
    lines, size = image_verbs.remove_unused(layout, words, everything=words.flag("all"))
    freed += size
    _report("Images", [line[:1].lower() + line[1:] for line in lines])
    if not words.many("filter"):
        keys, size = pruning.prune(Images(layout), BuildCache(layout), everything=words.flag("all"))
        freed += size
        _report("Build cache", keys)
    sys.stdout.write(f"Total reclaimed space: {units.human_size(freed)}\n")
    return 0


def _labels_alone(words: Arguments) -> Arguments:
    """Return *words* without the filters that networks do not have."""
    kept = tuple(text for text in words.many("filter") if text.startswith("label="))
    return Arguments({**words.values, "filter": kept}, ())


def _warning(words: Arguments) -> str:
    what = ["all stopped containers", "all networks not used by at least one container"]
    if words.flag("volumes"):
        what.append("all anonymous volumes not used by at least one container")
    everything = words.flag("all")
    if not words.many("filter"):
        what.append("all build cache" if everything else "unused build cache")
    what.append("all images without a container" if everything else "all dangling images")
    return "This will remove:\n" + "".join(f"  - {each}\n" for each in what)


def _report(kind: str, lines: list[str] | tuple[str, ...]) -> None:
    if lines:
        sys.stdout.write(f"Deleted {kind}:\n" + "".join(f"{line}\n" for line in lines) + "\n")
