"""``RUN --mount=type=bind`` of the build context: a copy of the files that are not ignored.

A mount of the directory itself would show what .dockerignore hides, and could change while it is
used.
"""

from __future__ import annotations

import os

from runtime.builder.files import copier, selection
from runtime.dockerfile.commands import Copy, Place
from runtime.model.errors import RuntimeFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.builder.files.tree import Tree
    from runtime.builder.steps.sandbox import Sandbox


def materialize(
    source: str, context: Tree | None, sandbox: Sandbox, *, epoch: int | None
) -> tuple[str, str]:
    """Copy *source* of the context into a directory of *sandbox*; return (where, its digest).

    The result is a directory that has what is called *source* under that name.

    Raises:
        RuntimeFailure: it is not there.
    """
    path = source.strip("/")
    if path in ("", "."):
        path, destination = ".", "/"
    else:
        destination = f"/{path}"
    place = Place(0, 0, f"--mount source={source}")
    command = Copy(place, (path,), (), destination)
    try:
        with selection.select(command, context) as selected:
            digest = selected.digest
            directory = sandbox.keep()
            root_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                copier.apply(selected, destination, root_fd, epoch=epoch)
            finally:
                os.close(root_fd)
    except RuntimeFailure as failure:
        raise RuntimeFailure(
            failure.message.replace("cannot copy", "cannot mount"), failure.hint, 1
        ) from failure
    return directory, digest
