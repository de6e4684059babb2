from __future__ import annotations

import hashlib
import os
from pathlib import Path

from runtime.builder.files.content_digests import DigestCache


def settled(path: Path, contents: bytes) -> os.stat_result:
    """Return the state of a new file as if it had changed long ago: its ctime cannot be set."""
    path.write_bytes(contents)
    fields = list(path.stat())
    return os.stat_result(
        fields, {"st_mtime_ns": 10**18, "st_ctime_ns": 10**18, "st_atime_ns": 10**18}
    )


def asked(path: Path, status: os.stat_result, known: Path) -> tuple[bytes, int]:
    """Return (digest, files read) of one process that asks for *path*."""
    cache = DigestCache(str(known))
    fd = os.open(path, os.O_RDONLY)
    try:
        digits = cache.of(fd, status)
    finally:
        os.close(fd)
    cache.save()
    return digits, cache.read_files


def hexdigest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


def test_an_unchanged_file_is_read_once(tmp_path: Path) -> None:
    status = settled(tmp_path / "f", b"contents")
    known = tmp_path / "in" / "known"

    assert asked(tmp_path / "f", status, known) == (hexdigest(b"contents"), 1)
    assert asked(tmp_path / "f", status, known) == (hexdigest(b"contents"), 0)


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"a")
    status = (tmp_path / "f").stat()

    asked(tmp_path / "f", status, tmp_path / "known")

    assert asked(tmp_path / "f", status, tmp_path / "known")[1] == 1


def test_a_changed_file_is_read_again_and_the_last_state_counts(tmp_path: Path) -> None:
    known = tmp_path / "known"
    first = settled(tmp_path / "f", b"a")
    asked(tmp_path / "f", first, known)

    with (tmp_path / "f").open("wb") as file:
        file.write(b"longer")
    second = settled(tmp_path / "f", b"longer")

    assert asked(tmp_path / "f", second, known) == (hexdigest(b"longer"), 1)
    assert asked(tmp_path / "f", second, known) == (hexdigest(b"longer"), 0)


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    known = tmp_path / "known"
    states = {name: settled(tmp_path / name, name.encode()) for name in ("a", "b")}
    caches = {name: DigestCache(str(known)) for name in states}

    for name, status in states.items():
        fd = os.open(tmp_path / name, os.O_RDONLY)
        caches[name].of(fd, status)
        os.close(fd)
    for cache in caches.values():
        cache.save()

    assert [asked(tmp_path / name, states[name], known)[1] for name in states] == [0, 0]


def test_damaged_lines_count_as_none(tmp_path: Path) -> None:
    status = settled(tmp_path / "f", b"a")
    asked(tmp_path / "f", status, tmp_path / "known")
    whole = (tmp_path / "known").read_bytes()

    (tmp_path / "known").write_bytes(b"something else\n" + whole[:-20])

    assert asked(tmp_path / "f", status, tmp_path / "known") == (hexdigest(b"a"), 1)
