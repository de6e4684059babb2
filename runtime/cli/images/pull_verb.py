"""`runtime pull`: an image, or all tags of a repository, from a registry."""

from __future__ import annotations

import os
import sys

from runtime.cli import output
from runtime.cli.images import transfer_progress
from runtime.exchange import pulling
from runtime.language.commandline import Verb
from runtime.model.errors import RuntimeFailure
from runtime.model.image import reference as names
from runtime.store.images import Images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.language.commandline import Arguments
    from runtime.store.layout import Layout

PULL = Verb(
    "pull",
    "NAME[:TAG|@DIGEST]",
    "Get an image from a registry",
    """
  -a, --all-tags            Get every tag of the repository
      --platform string     Of an image for several machines the one for this: linux/arm64
      --progress string     auto (default), plain, json, quiet
  -q, --quiet               Print the name alone
      --registries string   Read this file, not /etc/runtime/registries.yaml
""",
    least=1,
    most=1,
)


def pull(layout: Layout, words: Arguments) -> int:
    """Get one image or several, and print the full name of each."""
    try:
        _pull(layout, words)
    except RuntimeFailure as failure:
        failure.code = 1  # no container was to run
        raise
    return 0


def _pull(layout: Layout, words: Arguments) -> None:
    text = words.operands[0]
    names.parse(text)  # whether it is a name is told before all else
    shown = transfer_progress.choose(
        words.text("progress", "auto"), sys.stdout, quiet=words.flag("quiet")
    )
    if path := words.text("registries"):
        os.environ["RUNTIME_REGISTRIES"] = path
    is_whole = ":" not in text.rpartition("/")[2] and "@" not in text  # the repository alone
    every = words.flag("all-tags")
    if every and not is_whole:
        raise RuntimeFailure("--all-tags: the name has a tag already", "leave out one of them")
    if is_whole and not every:
        shown.say(f"Using default tag: {names.DEFAULT_TAG}")
    images = Images(layout)
    for one in pulling.tags(text) if every else [text]:
        name = names.parse(one)
        shown.say(f"{name.digest or name.tag}: Pulling from {name.path}")
        pulling.pull(images, one, platform=words.text("platform"), progress=shown)
        if not isinstance(shown, transfer_progress.JsonTransferProgress):
            output.say(str(name))
