"""``RUN --mount=type=bind`` of the build context: a copy of the files that are not ignored.

A mount of the directory itself would show what .dockerignore hides, and could change while it is
used.
"""

from __future__ import annotations

import os

from runtime.builder.files import copier
from runtime.builder.files import selection as select
from runtime.dockerfile.commands import Copy, Place
from runtime.model.errors import RuntimeFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.builder.worker import Worker


def materialize(worker: Worker, source: str) -> tuple[str, str]:
    """Copy *source* of the context into the worker's own directory; return (where, its digest).

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
        with select.select(command, worker.job.context.tree) as selection:
            digest = selection.digest
            directory = worker.sandbox.keep()
            root_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                epoch = worker.job.request.epoch
                copier.apply(selection, destination, root_fd, epoch=epoch)
            finally:
                os.close(root_fd)
    except RuntimeFailure as failure:
        raise RuntimeFailure(
            failure.message.replace("cannot copy", "cannot mount"), failure.hint, 1
        ) from failure
    return directory, digest
