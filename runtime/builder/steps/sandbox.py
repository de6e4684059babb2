"""What one stage's worker makes outside of itself, and how it is undone.

A worker is to the rest of the runtime like a container's monitor: a run directory with the lock
``alive``, made first and removed last, named by an id that its cgroup, its leases and its work
directory carry too.  So `runtime.container.heal` clears up after one that was killed.  Mounts are
made in a mount namespace of the worker's own and go with it.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress

from runtime.container import remains
from runtime.container.heal import ALIVE
from runtime.linux import locks, mounts, namespaces, overlay
from runtime.model.errors import RuntimeFailure
from runtime.store import files
from runtime.store.containers import Containers, new_id
from runtime.store.layout import Layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime.builder.stage_image import StageImage
    from runtime.store.images import Images

_ROOT_MODE = 0o755


class StepLayout(Layout):
    """The layout as a launch sees it: its container's directory is the step's."""

    __slots__ = ("_id", "step")

    def __init__(self, layout: Layout, worker_id: str) -> None:
        super().__init__(layout.root, layout.run)
        self._id = worker_id
        self.step = ""

    def container(self, container_id: str) -> str:
        """Return the directory of the step for the worker's own id."""
        return self.step if container_id == self._id else super().container(container_id)


class Sandbox:
    """One worker's run directory, work directory and mounts; `close` removes all."""

    def __init__(self, layout: Layout, images: Images) -> None:
        self.id = new_id()
        self.layout = StepLayout(layout, self.id)
        self.run = layout.container_run(self.id)
        self._images = images
        self._work = work_directory(layout, self.id)
        self._empty = f"{layout.root}/build/empty"
        self._count = 0
        self._alive: locks.Lock | None = None

    def open(self) -> None:
        """Make the directories and the mount namespace."""
        if self._alive is not None:
            return
        containers = Containers(self.layout)
        with containers.lock(self.id):  # no other command takes the fresh directory for remains
            files.make_directories(self.run)
            self._alive = locks.try_lock(f"{self.run}/{ALIVE}")
        files.make_directories(self._work)
        with suppress(FileExistsError):
            os.mkdir(self._empty, _ROOT_MODE)
        try:
            namespaces.unshare(namespaces.CLONE_NEWNS)
            mounts.mount("", "/", "", mounts.MS_REC | mounts.MS_PRIVATE)
        except OSError as error:
            raise RuntimeFailure(
                f"cannot make a mount namespace: {error.strerror}", "that needs CAP_SYS_ADMIN"
            ) from error

    def close(self) -> None:
        """Remove everything. Idempotent."""
        if self._alive is None:
            return
        files.remove_tree(self._work)
        remains.remove_run_directory(self.layout, self.id)
        with suppress(FileNotFoundError):
            os.unlink(self.layout.lock(f"container-{self.id}"))
        self._alive.release()
        self._alive = None

    def lowers(self, image: StageImage) -> tuple[str, ...]:
        """Return the directories below a step, top first."""
        layers = self._images.layers
        # overlayfs refuses one directory twice; of equal layers only the topmost shows anyway.
        own = [layers.path(d) for d in dict.fromkeys(reversed(image.layers))]
        if image.is_host:
            return (*own, "/")
        return tuple(own) or (self._empty,)

    def hidden(self) -> tuple[str, ...]:
        """Return what must not show of ``/`` where that is the lowest layer."""
        return self._images.hidden()

    @contextmanager
    def step(self, lowers: Sequence[str]) -> Iterator[str]:
        """Give a directory with an empty ``upper`` and ``work``; it goes in the end."""
        with self.aside(lowers) as directory:
            self.layout.step = directory
            yield directory

    @contextmanager
    def aside(self, lowers: Sequence[str]) -> Iterator[str]:
        """Give such a directory beside the step's."""
        self.open()
        self._count += 1
        directory = f"{self._work}/{self._count}"
        os.mkdir(directory, 0o700)
        try:
            os.mkdir(f"{directory}/work", 0o700)
            os.mkdir(upper := f"{directory}/upper")
            # The upper directory is what "/" looks like: it takes over what is below.
            top = os.stat(lowers[0])
            os.chown(upper, top.st_uid, top.st_gid)
            os.chmod(upper, stat.S_IMODE(top.st_mode))
            yield directory
        finally:
            files.remove_tree(directory)

    def keep(self) -> str:
        """Return a fresh directory that is there as long as the sandbox is."""
        self.open()
        self._count += 1
        directory = f"{self._work}/{self._count}"
        os.mkdir(directory, _ROOT_MODE)
        return directory

    @contextmanager
    def writable(self, lowers: Sequence[str], directory: str) -> Iterator[int]:
        """Mount *lowers* under the ``upper`` of the step *directory*; give its root's descriptor."""
        upper, work = f"{directory}/upper", f"{directory}/work"
        with self._mounted(lowers, upper, work) as root_fd:
            yield root_fd

    @contextmanager
    def readable(self, lowers: Sequence[str]) -> Iterator[int]:
        """Mount *lowers* read-only; give the descriptor of the root."""
        self.open()
        with self._mounted(lowers, "", f"{self._work}/work") as root_fd:
            yield root_fd

    @contextmanager
    def _mounted(self, lowers: Sequence[str], upper: str, work: str) -> Iterator[int]:
        self._count += 1
        place = f"{self.run}/{self._count}"
        os.mkdir(place, 0o700)
        overlay.mount(lowers, upper, work, place, hidden=self.hidden(), volatile=bool(upper))
        try:
            fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                yield fd
            finally:
                os.close(fd)
        finally:
            overlay.umount(place)


def work_directory(layout: Layout, worker_id: str) -> str:
    """Return where a worker's steps have their upper directories: beside the layers, on one disk."""
    return f"{layout.root}/build/work/{worker_id}"
