"""`runtime push`: an image, or all tags of a repository, to a registry."""

from __future__ import annotations

import os
import sys

from runtime.cli.images import transfer_progress
from runtime.language.commandline import Verb
from runtime.model.errors import RuntimeFailure
from runtime.model.image import reference as names
from runtime.store.images import Images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.language.commandline import Arguments
    from runtime.registry.pull import TransferProgress
    from runtime.store.layout import Layout

PUSH = Verb(
    "push",
    "NAME[:TAG]",
    "Send an image to a registry",
    """
  -a, --all-tags            Send every tag of the repository
      --progress string     auto (default), plain, json, quiet
  -q, --quiet               Print the name alone
      --registries string   Read this file, not /etc/runtime/registries.yaml
""",
    least=1,
    most=1,
)


def push(layout: Layout, words: Arguments) -> int:
    """Send one image or several."""
    from runtime.exchange import pushing

    text = words.operands[0]
    shown = transfer_progress.choose(
        words.text("progress", "auto"), sys.stdout, quiet=words.flag("quiet")
    )
    if path := words.text("registries"):
        os.environ["RUNTIME_REGISTRIES"] = path
    images = Images(layout)
    try:
        wanted = _all_tags(layout, text) if words.flag("all-tags") else [_tagged(text, shown)]
        shown.say(f"The push refers to repository [{names.parse(text).name}]")
        for name in wanted:
            pushing.push(images, name, progress=shown)
            if words.flag("quiet"):
                sys.stdout.write(f"{names.parse(name)}\n")
    except RuntimeFailure as failure:
        failure.code = 1
        raise
    return 0


def _tagged(text: str, shown: TransferProgress) -> str:
    name = names.parse_tagged(text)
    if ":" not in text.rpartition("/")[2]:
        shown.say(f"Using default tag: {names.DEFAULT_TAG}")
    return name.familiar


def _all_tags(layout: Layout, text: str) -> list[str]:
    """Return the names of all images in the repository *text*.

    Raises:
        RuntimeFailure: *text* has a tag, or there is none.
    """
    if ":" in text.rpartition("/")[2] or "@" in text:
        raise RuntimeFailure("--all-tags: the name has a tag already", "leave out one of them")
    wanted = names.parse(text)
    known = [names.parse(name) for name in Images(layout).tags() if "@" not in name]
    found = [name.familiar for name in known if name.name == wanted.name]
    if not found:
        raise names.unknown_image(text, Images(layout).tags())
    return found
