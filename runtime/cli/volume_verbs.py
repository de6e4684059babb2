"""`volume create`, `ls`, `rm`, `prune`."""

from __future__ import annotations

import sys
import time

from runtime.cli import output
from runtime.cli.containers import sizes
from runtime.language import columns, filters
from runtime.language.commandline import Verb
from runtime.model import units
from runtime.model.errors import RuntimeFailure
from runtime.store.volumes import Volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.language.commandline import Arguments
    from runtime.store.layout import Layout

CREATE = Verb(
    "volume create",
    "[VOLUME]",
    "Make a volume; without a name it gets one",
    """
  -d, --driver string   local is the only one
      --label list      A label: KEY[=VALUE]
""",
    most=1,
)
LS = Verb(
    "volume ls",
    "",
    "List volumes",
    """
  -f, --filter filter   dangling=BOOL, driver=NAME, label=KEY[=VALUE], name=PART
"""
    + output.FORMAT
    + """
  -q, --quiet           Show names alone
""",
    most=0,
)
RM = Verb(
    "volume rm",
    "VOLUME [VOLUME...]",
    "Remove volumes that no container uses",
    """
  -f, --force   No volume of that name is fine
""",
    least=1,
)
PRUNE = Verb(
    "volume prune",
    "",
    "Remove anonymous volumes that no container uses",
    """
  -a, --all             Those with names too
      --filter filter   label=KEY[=VALUE]
  -f, --force           Do not ask
""",
    most=0,
)


def create(layout: Layout, words: Arguments) -> int:
    """Make a volume and print its name."""
    if words.text("driver", "local") != "local":
        raise RuntimeFailure(f"there is no volume driver '{words.text('driver')}'", code=1)
    labels = labels_of(words.many("label"))
    name = words.operands[0] if words.operands else ""
    volume, _ = Volumes(layout).ensure(name, now=time.time(), labels=labels)
    output.say(volume.name)
    return 0


def labels_of(given: Iterable[str]) -> dict[str, str]:
    """Return the labels that ``--label`` options say."""
    pairs = (text.partition("=") for text in given)
    return {key: value for key, _, value in pairs}


def ls(layout: Layout, words: Arguments) -> int:
    """List volumes."""
    given = filters.parse(words.many("filter"), filters.VOLUME)
    volumes = Volumes(layout)
    dangling = filters.truth(given, "dangling")
    found = [
        volume
        for volume in volumes.list()
        if filters.named(given, volume.name)
        and filters.has_labels(given.get("label", ()), volume.labels)
        and ("driver" not in given or "local" in given["driver"])
        and (dangling is None or dangling != bool(volumes.users(volume.name)))
    ]
    if words.flag("quiet"):
        sys.stdout.write("".join(f"{volume.name}\n" for volume in found))
        return 0
    rows = [
        {
            "Name": volume.name,
            "Driver": "local",
            "Scope": "local",
            "Mountpoint": volumes.path(volume.name),
            "Links": "N/A",
            "Size": "N/A",
            **columns.label_fields(volume.labels),
        }
        for volume in found
    ]
    output.show(words, rows, columns.VOLUME, columns.VOLUME_TABLE)
    return 0


def rm(layout: Layout, words: Arguments) -> int:
    """Remove volumes."""
    volumes = Volumes(layout)

    def remove(name: str) -> None:
        if not (words.flag("force") and volumes.find(name) is None):
            volumes.remove(name)
        output.say(name)

    return output.each(words.operands, remove)


def prune(layout: Layout, words: Arguments) -> int:
    """Remove volumes that nobody uses."""
    kind = "" if words.flag("all") else "anonymous "
    warning = f"This will remove {kind}local volumes not used by at least one container."
    if not output.agrees(words, warning):
        return 0
    removed, freed = remove_unused(layout, words, everything=words.flag("all"))
    if removed:
        sys.stdout.write("Deleted Volumes:\n" + "".join(f"{name}\n" for name in removed) + "\n")
    sys.stdout.write(f"Total reclaimed space: {units.human_size(freed)}\n")
    return 0


def remove_unused(layout: Layout, words: Arguments, *, everything: bool) -> tuple[list[str], int]:
    """Remove unused volumes that the filters let through; return (names, bytes freed)."""
    given = filters.parse(words.many("filter"), filters.PRUNE)
    volumes = Volumes(layout)
    removed, freed = [], 0
    for volume in volumes.unused():
        if not (everything or volume.anonymous):
            continue
        if not filters.has_labels(given.get("label", ()), volume.labels):
            continue
        if any(filters.has_labels([text], volume.labels) for text in given.get("label!", ())):
            continue
        size = sizes.of_tree(volumes.path(volume.name))
        volumes.remove(volume.name)
        freed += size
        removed.append(volume.name)
    return removed, freed
