from __future__ import annotations

import hashlib
import os
from pathlib import Path

from runtime.build.digests import DigestCache


def digest_of(cache: DigestCache, path: Path) -> bytes:
    fd = os.open(path, os.O_RDONLY)
    try:
        return cache.of(fd, os.fstat(fd))
    finally:
        os.close(fd)


def settled(path: Path, contents: bytes) -> os.stat_result:
    """Return the state of a new file as if it had changed long ago: its ctime cannot be set."""
    path.write_bytes(contents)
    fields = list(path.stat())
    return os.stat_result(
        fields, {"st_mtime_ns": 10**18, "st_ctime_ns": 10**18, "st_atime_ns": 10**18}
    )


def test_an_unchanged_file_is_read_once(tmp_path: Path) -> None:
    status = settled(tmp_path / "f", b"contents")
    fd = os.open(tmp_path / "f", os.O_RDONLY)

    with DigestCache(f"{tmp_path}/known/digests") as cache:
        first = cache.of(fd, status)
    with DigestCache(f"{tmp_path}/known/digests") as again:
        second = again.of(fd, status)
    os.close(fd)

    assert first == second == hashlib.sha256(b"contents").hexdigest().encode()
    assert (cache.read_files, again.read_files) == (1, 0)


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"a")

    with DigestCache(f"{tmp_path}/digests") as cache:
        digest_of(cache, tmp_path / "f")
    with DigestCache(f"{tmp_path}/digests") as again:
        digest_of(again, tmp_path / "f")

    assert again.read_files == 1


def test_what_is_not_asked_for_any_more_is_forgotten(tmp_path: Path) -> None:
    status = settled(tmp_path / "f", b"contents")
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    with DigestCache(f"{tmp_path}/digests") as cache:
        cache.of(fd, status)

    with DigestCache(f"{tmp_path}/digests"):
        pass

    with DigestCache(f"{tmp_path}/digests") as last:
        last.of(fd, status)
    os.close(fd)
    assert last.read_files == 1


def test_a_damaged_file_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "digests").write_bytes(b"something else\n1 2 3 4 5 abc\n")
    (tmp_path / "f").write_bytes(b"a")

    with DigestCache(f"{tmp_path}/digests") as cache:
        assert digest_of(cache, tmp_path / "f") == hashlib.sha256(b"a").hexdigest().encode()
