"""The one reader of records: what is no record is one sentence with the file's name."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.linux import record_files
from runtime.model.container.state import State
from runtime.model.errors import DamagedFailure


def _make_huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda p: p.write_bytes(b""), "it is empty"),
        (lambda p: p.write_bytes(bytes(100)), "it is empty"),
        (lambda p: p.write_bytes(b'{"status": "exi'), "it is not JSON"),
        (lambda p: p.write_bytes(b"[" * 100_000), "it is not JSON"),
        (lambda p: p.write_bytes(b'{"pid": ' + b"1" * 9999 + b"}"), "it is not JSON"),
        (lambda p: p.write_bytes(b"null"), "is not an object"),
        (lambda p: p.write_bytes(b"[]"), "is not an object"),
        (lambda p: p.write_bytes(b'{"pid": "1"}'), "has 'pid' as '1'"),
        (lambda p: p.write_bytes(b'{"pid": true}'), "has 'pid' as True"),
        (lambda p: p.write_bytes(b'{"started": Infinity}'), "has 'started' as inf"),
        (lambda p: p.write_bytes(b'{"endpoints": {}}'), "has 'endpoints' as an object"),
        (lambda p: p.write_bytes(b'{"status": null}'), "has 'status' as null"),
        (lambda p: p.write_bytes(b'{"colour": 1}'), "another version wrote it"),
        (lambda p: p.mkdir(), "it is a directory"),
        (os.mkfifo, "it is a FIFO"),
        (lambda p: p.symlink_to("/dev/zero"), "it is a symbolic link"),
        (_make_huge, "it is larger than 16 MiB"),
    ],
)
def test_what_is_no_record_is_said_with_its_name(
    tmp_path: Path, make: Callable[[Path], object], reason: str
) -> None:
    path = tmp_path / "state.json"
    make(path)

    with pytest.raises(DamagedFailure) as caught:
        record_files.read_record(State, str(path), "the way out")

    assert caught.value.message.startswith(f"cannot read '{path}': ")
    assert reason in caught.value.message
    assert len(caught.value.message) < 300 + len(str(path))
    assert caught.value.hint == "the way out"


def test_no_file_is_no_record(tmp_path: Path) -> None:
    assert record_files.read_record(State, str(tmp_path / "none")) is None


def test_a_damaged_record_is_said_once(tmp_path: Path) -> None:
    said: list[str] = []
    record_files.listen(lambda failure: said.append(failure.path))

    for path in ("a", "b", "a"):
        record_files.note(DamagedFailure(path, "it is empty"))

    assert said == ["a", "b"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "record"
    record_files.write(str(path), b"old")
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, most[1]))
    try:
        with pytest.raises(OSError, match=str(path)):
            record_files.write(str(path), bytes(100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)

    assert [each.name for each in tmp_path.iterdir()] == ["record"]
    assert path.read_bytes() == b"old"
