"""How much a container has written, and how large what it is made from is."""

from __future__ import annotations

import os
import stat

from runtime.model import units
from runtime.store.images import Images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.container.spec import Spec
    from runtime.store.layout import Layout


def of_tree(path: str) -> int:
    """Return the bytes of all regular files below *path*, those with several names once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    waiting = [path]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except (FileNotFoundError, NotADirectoryError):
            continue  # removed meanwhile
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISDIR(status.st_mode):
                waiting.append(entry.path)
            elif stat.S_ISREG(status.st_mode):
                identity = (status.st_dev, status.st_ino)
                if status.st_nlink == 1 or identity not in seen:
                    total += status.st_size
                    seen.add(identity)
    return total


def written(layout: Layout, spec: Spec) -> int:
    """Return the bytes of the container's own files."""
    return of_tree(f"{layout.container(spec.id)}/upper")


def whole(layout: Layout, spec: Spec) -> int:
    """Return the bytes of its own files and its image's."""
    image = Images(layout).look(spec.image_id) if spec.image_id else None
    return written(layout, spec) + (image.size if image else 0)


def shown(layout: Layout, spec: Spec) -> str:
    """Return the SIZE column of ``ps -s``."""
    own = units.human_size(written(layout, spec), 3)
    return f"{own} (virtual {units.human_size(whole(layout, spec), 3)})"
