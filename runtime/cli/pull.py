"""`runtime pull`: an image, or all tags of a repository, from a registry."""

from __future__ import annotations

import os
import sys

from runtime.build import pulling
from runtime.cli import progress
from runtime.model import reference as names
from runtime.model.errors import RuntimeFailure
from runtime.model.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.options import Arguments
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
    text = words.operands[0]
    shown = progress.choose(words.text("progress", "auto"), sys.stdout, quiet=words.flag("quiet"))
    if path := words.text("registries"):
        os.environ["RUNTIME_REGISTRIES"] = path
    name = names.parse(text)
    try:
        shown_tag = name.digest or name.tag
        if ":" not in text.rpartition("/")[2] and not name.digest:
            shown.say(f"Using default tag: {names.DEFAULT_TAG}")
        shown.say(f"{shown_tag}: Pulling from {name.path}")
        pulling.pull(layout, text, platform=words.text("platform"), progress=shown)
    except RuntimeFailure as failure:
        failure.code = 1
        raise
    if not isinstance(shown, progress.Json):
        sys.stdout.write(f"{name}\n")
    return 0
