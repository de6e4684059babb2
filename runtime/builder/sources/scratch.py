"""Directories and files that a build needs for a while, and what killed builds left of theirs.

Each is locked as long as a process of the build lives; what nobody holds may go.  Contexts and
checkouts of git lie in such directories, downloads under way are such files.
"""

from __future__ import annotations

import os
from functools import partial

from runtime.linux import locks
from runtime.store import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

DOWNLOADS = "downloads"  # below the store


def directory(store: str, undo: list[Callable[[], None]]) -> str:
    """Return a new directory below *store*, empty: the system's; *undo* learns to remove it."""
    if not store:
        import tempfile  # 8 ms, which few builds need

        place = tempfile.mkdtemp(prefix="runtime-build-")
        undo.append(partial(files.remove_tree, place))
        return place
    files.make_directories(store)
    while True:
        place = _name(store)
        os.mkdir(place, 0o700)
        try:
            lock = locks.lock_existing(place)
        except FileNotFoundError:  # `sweep` was faster
            continue
        assert lock is not None  # it waited
        undo.append(lock.release)
        undo.append(partial(files.remove_tree, place))
        return place


def file(store: str) -> locks.Lock:
    """Return a new file below *store*, open to be written; the caller renames or removes it."""
    files.make_directories(store)
    return locks.lock(_name(store))


def sweep(store: str) -> None:
    """Remove what processes that are gone have left below *store*."""
    for place in (store, f"{store}/{DOWNLOADS}"):
        try:
            names = os.listdir(place)
        except FileNotFoundError:
            continue
        for name in names:
            if name.startswith(files.TEMPORARY):
                _remove_if_left(f"{place}/{name}")


def _remove_if_left(path: str) -> None:
    try:
        lock = locks.lock_existing(path, wait=False)
    except FileNotFoundError:
        return
    if lock is not None:
        with lock:
            files.remove_tree(path)


def _name(store: str) -> str:
    return f"{store}/{files.TEMPORARY}{os.getpid()}-{os.urandom(6).hex()}"
