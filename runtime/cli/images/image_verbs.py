"""`images`, `tag`, `rmi`, `history`, `image prune`: what is in the image store."""

from __future__ import annotations

import sys
import time

from runtime.cli import output
from runtime.exchange import pulling
from runtime.language import columns, filters
from runtime.language.commandline import Verb
from runtime.model import units
from runtime.model.errors import RuntimeFailure
from runtime.model.image import digest as digests
from runtime.model.image import reference
from runtime.store import inspection, removal
from runtime.store.images import Images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from runtime.language.commandline import Arguments
    from runtime.store.images import Image
    from runtime.store.layout import Layout

_NONE = "<none>"
_CREATED_BY = 45  # characters

LS = Verb(
    "images",
    "[REPOSITORY[:TAG]]",
    "List images",
    """
  -a, --all             Also `host`, this machine's own root file system
      --digests         Show digests
  -f, --filter filter   before=IMAGE, since=IMAGE, dangling=BOOL, label=KEY[=VALUE],
                        reference=PATTERN, until=TIME
"""
    + output.FORMAT
    + """
      --no-trunc        Show whole ids
  -q, --quiet           Show ids alone
""",
    most=1,
    about="SIZE ends in '+host' where this machine's own root is below the image's layers.",
)
TAG = Verb("tag", "IMAGE[:TAG] NAME[:TAG]", "Give an image one more name", least=2, most=2)
RM = Verb(
    "rmi",
    "IMAGE [IMAGE...]",
    "Remove names, and with its last name the image",
    """
  -f, --force   Also an image with several names, or with stopped containers
""",
    least=1,
)
HISTORY = Verb(
    "history",
    "IMAGE",
    "Show the steps an image was made in",
    output.FORMAT
    + """
  -H, --human           Sizes and times for people (default true)
      --no-trunc        Show whole ids and commands
  -q, --quiet           Show ids alone
""",
    least=1,
    most=1,
)
PRUNE = Verb(
    "image prune",
    "",
    "Remove images that have no name",
    """
  -a, --all             All that no container uses
      --filter filter   label=KEY[=VALUE], until=TIME
  -f, --force           Do not ask
""",
    most=0,
)


def ls(layout: Layout, words: Arguments) -> int:
    """List images, one row a name."""
    images = Images(layout)
    found = list(_chosen(images, words))
    no_trunc = words.flag("no-trunc")
    if words.flag("quiet"):
        ids = dict.fromkeys(image.id for image, _ in found)
        sys.stdout.write("".join(f"{_id(i, no_trunc=no_trunc)}\n" for i in ids))
        return 0
    now = time.time()
    rows = [_row(image, name, now, no_trunc=no_trunc) for image, name in found]
    table: tuple[str, ...] = columns.IMAGE_TABLE
    if words.flag("digests"):
        table = (*table[:2], "Digest", *table[2:])
    output.show(words, rows, columns.IMAGE, table)
    return 0


def _chosen(images: Images, words: Arguments) -> Iterator[tuple[Image, str]]:
    """Yield (image, one of its names or nothing) of what is asked for."""
    given = filters.parse(words.many("filter"), filters.IMAGE)
    now = time.time()
    limits = [images.resolve(name).created for name in given.get("before", ())]
    limits += [limit for limit in (filters.until(given, now),) if limit is not None]
    after = [images.resolve(name).created for name in given.get("since", ())]
    dangling = filters.truth(given, "dangling")
    hosts = [images.host()] if words.flag("all") else []
    for image in (*images.list(), *hosts):
        if any(image.created >= limit for limit in limits):
            continue
        if any(image.created <= limit for limit in after):
            continue
        if dangling is not None and dangling == bool(image.names):
            continue
        if not filters.has_labels(given.get("label", ()), image.config.labels):
            continue
        for name in image.names or ("",):
            if filters.references(given, (name,)) and _is_wanted(name, words.operands):
                yield image, name


def _is_wanted(name: str, operands: tuple[str, ...]) -> bool:
    """Return whether the operand, a repository with or without a tag, means *name*."""
    if not operands:
        return True
    if "*" in operands[0] or "?" in operands[0]:
        return bool(name) and filters.references({"reference": [operands[0]]}, (name,))
    wanted = reference.parse(operands[0])
    if not name:
        return False
    has_tag = ":" in operands[0].rpartition("/")[2]
    found = reference.parse(name)
    return found == wanted if has_tag else found.name == wanted.name


def _row(image: Image, name: str, now: float, *, no_trunc: bool) -> dict[str, Any]:
    repository, _, tag = name.rpartition(":") if name else (_NONE, "", _NONE)
    digest = next((d.partition("@")[2] for d in image.digests if d.startswith(repository)), _NONE)
    size = units.human_size(image.size, 3) + ("+host" if image.is_host else "")
    return {
        "ID": _id(image.id, no_trunc=no_trunc),
        "Repository": repository,
        "Tag": tag,
        "Digest": digest,
        "CreatedSince": _age(image, now),
        "CreatedAt": units.wall(image.created),
        "Size": size,
        "VirtualSize": size,
        "UniqueSize": "N/A",
        "SharedSize": "N/A",
        "Containers": "N/A",
    }


def _age(image: Image, now: float) -> str:
    if image.damage:
        return "Damaged"
    return units.ago(now - image.created) if image.created else "N/A"


def _id(image_id: str, *, no_trunc: bool) -> str:
    return image_id if no_trunc else digests.short(image_id)


def tag(layout: Layout, words: Arguments) -> int:
    """Give an image one more name."""
    images = Images(layout)
    images.tag(_resolve(images, words.operands[0]), words.operands[1])
    return 0


def _resolve(images: Images, name: str) -> Image:
    """Return the image; not to find it is 1 where no container was to run."""
    try:
        return images.resolve(name)
    except RuntimeFailure as failure:
        failure.code = 1
        raise


def rm(layout: Layout, words: Arguments) -> int:
    """Remove images."""
    images = Images(layout)

    def remove(name: str) -> None:
        for line in removal.remove(images, name, force=words.flag("force")):
            output.say(line)

    return output.each(words.operands, remove)


def history(layout: Layout, words: Arguments) -> int:
    """Show the steps of an image."""
    image = _resolve(Images(layout), words.operands[0])
    now = time.time()
    human = words.flag("human", default=True)
    no_trunc = words.flag("no-trunc")
    rows = [
        {
            "ID": step.id if step.id == "<missing>" else _id(step.id, no_trunc=no_trunc),
            "CreatedSince": _since(now, step.created, human=human),
            "CreatedAt": units.wall(step.created) if step.created else "N/A",
            "CreatedBy": columns.shorten(
                step.created_by.replace("\t", " "), _CREATED_BY, truncate=not no_trunc
            ),
            "Size": units.human_size(step.size, 3) if human else str(step.size),
            "Comment": step.comment,
        }
        for step in inspection.history(image)
    ]
    if words.flag("quiet"):
        sys.stdout.write("".join(f"{row['ID']}\n" for row in rows))
        return 0
    output.show(words, rows, columns.HISTORY, columns.HISTORY_TABLE)
    return 0


def _since(now: float, created: float, *, human: bool) -> str:
    if not created:
        return "N/A"
    return units.ago(now - created) if human else units.wall(created)


def prune(layout: Layout, words: Arguments) -> int:
    """Remove images without a name, or without a container."""
    everything = words.flag("all")
    what = "images without at least one container associated to them" if everything else (
        "dangling images"
    )  # fmt: skip
    if not output.agrees(words, f"This will remove all {what}."):
        return 0
    lines, freed = remove_unused(layout, words, everything=everything)
    if lines:
        sys.stdout.write("Deleted Images:\n" + "".join(f"{line.lower()}\n" for line in lines))
    sys.stdout.write(f"\nTotal reclaimed space: {units.human_size(freed)}\n")
    return 0


def remove_unused(layout: Layout, words: Arguments, *, everything: bool) -> tuple[list[str], int]:
    """Remove what the filters of *words* let through; return (docker's lines, bytes freed)."""
    given = filters.parse(words.many("filter"), filters.PRUNE)
    limit = filters.until(given, time.time())

    def is_wanted(image: Image) -> bool:
        labels = image.config.labels
        return (
            (limit is None or image.created < limit)
            and filters.has_labels(given.get("label", ()), labels)
            and not any(filters.has_labels([text], labels) for text in given.get("label!", ()))
        )

    images = Images(layout)
    lines, freed = removal.prune(images, everything=everything, wanted=is_wanted)
    if not given:
        freed += pulling.forget(images)
    return lines, freed
