"""How much a container has written, and how large what it is made from is."""

from __future__ import annotations

import os
import stat

from runtime.linux.descent import Descent
from runtime.model import units
from runtime.model.contexts import suppress
from runtime.store.images import Images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.model.container.spec import Spec
    from runtime.store.layout import Layout


def of_tree(path: str) -> int:
    """Return the bytes of all regular files below *path*, those with several names once.

    What is removed meanwhile, or cannot be read, is not counted; no link is followed.
    """
    try:
        root_fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # removed meanwhile
        return 0
    try:
        return _Measurement(root_fd).total()
    finally:
        os.close(root_fd)


class _Measurement:
    """One walk over a tree that may be in use, and nested thousands deep."""

    def __init__(self, root_fd: int) -> None:
        self._walk = Descent(root_fd)
        self._seen: set[tuple[int, int]] = set()
        self._total = 0

    def total(self) -> int:
        waiting = [self._directory()]
        try:
            while waiting:
                if waiting[-1]:
                    if self._tried(self._walk.enter, waiting[-1].pop()):
                        waiting.append(self._directory())
                    continue
                waiting.pop()
                if waiting and not self._tried(self._walk.leave):
                    waiting[-1].clear()
        finally:
            self._walk.close()
        return self._total

    def _tried(self, step: Callable[..., bool], *name: bytes) -> bool:
        with suppress(OSError):  # a directory that cannot be read is no reason to count nothing
            return step(*name)
        return False

    def _directory(self) -> list[bytes]:
        """Count what is in the open directory; return the names of the directories in it."""
        inner: list[bytes] = []
        with suppress(OSError), os.scandir(self._walk.fd) as entries:
            for entry in entries:
                with suppress(OSError):  # removed meanwhile
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        inner.append(os.fsencode(entry.name))
                    elif stat.S_ISREG(status.st_mode):
                        self._file(status)
        return inner

    def _file(self, status: os.stat_result) -> None:
        identity = (status.st_dev, status.st_ino)
        if status.st_nlink == 1 or identity not in self._seen:
            self._total += status.st_size
            if status.st_nlink > 1:
                self._seen.add(identity)


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
