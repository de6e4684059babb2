"""Away with the build cache: records of steps, the layers that only they name, cache mounts."""

from __future__ import annotations

import os

from runtime.linux import locks
from runtime.store import files
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.store.build_cache import BuildCache
    from runtime.store.images import Images


class Cached(Record):
    """What the build cache has.  Bytes."""

    records: int = 0
    active: int = 0  # records whose layer an image has
    size: int = 0  # of all layers, each counted once, and of cache mounts
    reclaimable: int = 0


def measure(images: Images, cache: BuildCache) -> Cached:
    """Return how much there is."""
    needed = _in_images(images)
    records = cache.all()
    sizes = {step.layer: step.size for _, step, _ in records if step.layer}
    mounts = sum(_size_of(path) for path in _cache_mounts(cache))
    free = sum(size for layer, size in sizes.items() if layer not in needed)
    return Cached(
        records=len(records),
        active=sum(step.layer in needed for _, step, _ in records),
        size=sum(sizes.values()) + mounts,
        reclaimable=free + mounts,
    )


def prune(
    images: Images, cache: BuildCache, *, everything: bool = False, before: float | None = None
) -> tuple[list[str], int]:
    """Remove what no image is made of, or with *everything* all of it; return (keys, bytes freed).

    *before* is wall clock seconds: only what has not been used since.
    """
    needed = _in_images(images)
    removed: list[str] = []
    sizes: dict[str, int] = {}
    for key, step, used in cache.all():
        if before is not None and used >= before:
            continue
        if everything or not step.layer or step.layer not in needed:
            cache.forget(key)
            removed.append(key)
            sizes[step.layer] = step.size
    images.tidy()
    freed = sum(size for layer, size in sizes.items() if layer and not _is_there(images, layer))
    if everything and before is None:
        for path in _cache_mounts(cache):
            freed += _remove_mount(path)
        files.remove_tree(cache.downloads)
    return removed, freed


def _in_images(images: Images) -> set[str]:
    return {layer for image in images.list() for layer in image.layers}


def _is_there(images: Images, layer: str) -> bool:
    return os.path.isdir(images.layers.path(layer))


def _cache_mounts(cache: BuildCache) -> list[str]:
    return [
        f"{cache.mounts}/{name}/{number}"
        for name in _listed(cache.mounts)
        for number in _listed(f"{cache.mounts}/{name}")
    ]


def _remove_mount(path: str) -> int:
    """Remove one directory of a cache mount, unless a build is using it; return its size."""
    lock = locks.try_lock(f"{path}/lock")
    if lock is None:
        return 0
    with lock:
        size = _size_of(path)
        files.remove_tree(f"{path}/files")
    return size


def _size_of(path: str) -> int:
    size = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                size += os.lstat(f"{folder}/{name}").st_blocks * 512
            except FileNotFoundError:  # a build is at work in it
                continue
    return size


def _listed(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except FileNotFoundError:
        return []
