"""What the build cache holds: one small record a step, under the key of all it depends on.

``build/steps/KEY.json`` says which layer the step made; the layer lies among all others and is
kept for as long as a record names it (`runtime.store.images.Images.collect`).  The time of the
record's file is when it was last used.
"""

from __future__ import annotations

import os

from runtime.linux import locks, record_files
from runtime.model.errors import DamagedFailure
from runtime.model.image import digest as digests
from runtime.store import files
from supervise.model import plain
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.store.layout import Layout


class CachedStep(Record):
    """One step that was carried out."""

    layer: str = ""  # diff id of what it made; empty: the step changed no file
    created: str = ""  # RFC 3339: what the image's history says
    text: str = ""  # the instruction, for a person
    seconds: float = 0.0  # that it took
    size: int = 0  # bytes of its layer
    version: int = 1


class BuildCache:
    """The records below one layout, and the places of what else builds keep."""

    def __init__(self, layout: Layout) -> None:
        self.downloads = f"{layout.root}/build/context"  # fetched for ADD, or as a context
        self.mounts = f"{layout.root}/build/cache-mounts"  # of RUN --mount=type=cache
        self._directory = f"{layout.root}/build/steps"
        self._lock = layout.lock("steps")

    def find(self, key: str) -> CachedStep | None:
        """Return what the step with *key* made, and note that it was used."""
        path = f"{self._directory}/{key}.json"
        step = self._read(path)
        if step is not None:
            _touch(path)
        return step

    def keep(self, key: str, step: CachedStep) -> None:
        """Remember what the step with *key* made; the caller holds its layer."""
        files.make_directories(self._directory)
        with locks.lock(self._lock):
            path = f"{self._directory}/{key}.json"
            if self._read(path) is None:
                files.remove_tree(path)  # a directory, say
            files.write_json(path, plain.to_plain(step), sync=False)

    def all(self) -> list[tuple[str, CachedStep, float]]:
        """Return (key, step, wall clock seconds of its last use) of every record."""
        records = []
        for name in self._listed():
            path = f"{self._directory}/{name}"
            if name.endswith(".json") and digests.is_hex(name[:-5]):
                step = self._read(path)
                if step is not None:
                    records.append((name[:-5], step, _used(path)))
        return records

    def layers(self) -> set[str]:
        """Return the diff ids that the records name."""
        return {step.layer for _, step, _ in self.all() if step.layer}

    def forget(self, key: str) -> None:
        """Remove the record; the caller lets `Images.collect` remove the layer."""
        try:
            os.unlink(f"{self._directory}/{key}.json")
        except FileNotFoundError:  # another was faster
            return

    def tidy(self) -> None:
        """Remove what killed processes left half-written, and what cannot be read."""
        with locks.lock(self._lock):
            for name in self._listed():
                path = f"{self._directory}/{name}"
                if name.startswith(files.TEMPORARY) or self._read(path) is None:
                    files.remove_tree(path)

    def _read(self, path: str) -> CachedStep | None:
        """Return the record, or None if a power failure tore it: then the step runs again."""
        hint = "its step runs again; runtime builder prune removes it"
        try:
            return record_files.read_record(CachedStep, path, hint, problem=_impossible)
        except DamagedFailure as failure:
            record_files.note(failure)
            return None

    def _listed(self) -> list[str]:
        try:
            return sorted(os.listdir(self._directory))
        except (FileNotFoundError, NotADirectoryError):
            return []


def _impossible(step: CachedStep) -> str:
    """Return why *step* cannot be valid: an empty record would mean "changed no file"."""
    return "it says nothing of a step" if step == CachedStep() else ""


def _touch(path: str) -> None:
    try:
        os.utime(path)
    except OSError:  # removed meanwhile, or a file system that is read-only
        return


def _used(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except FileNotFoundError:  # forgotten meanwhile
        return 0.0
