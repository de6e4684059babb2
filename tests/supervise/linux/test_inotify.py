"""A file that loses its name is noticed."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from supervise.linux.inotify import NameWatch


def is_readable(watch: NameWatch) -> bool:
    return select.select([watch], [], [], 0)[0] == [watch]


@pytest.mark.parametrize(
    "change",
    [
        os.unlink,
        lambda path: os.rename(path, f"{path}.old"),
        lambda path: os.replace(f"{path}.new", path),
    ],
    ids=["removed", "renamed", "replaced"],
)
def test_the_end_of_a_name_is_noticed(tmp_path: Path, change: Callable[[str], None]) -> None:
    path = f"{tmp_path}/file"
    for name in (path, f"{path}.new"):
        Path(name).touch()
    with closing(NameWatch(path)) as watch, open(path):
        change(path)

        assert is_readable(watch)
        watch.drain()
        assert not is_readable(watch)


def test_neighbours_wake_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with closing(NameWatch(f"{tmp_path}/file")) as watch:
        (tmp_path / "other").touch()
        (tmp_path / "other").unlink()

        assert not is_readable(watch)


def test_what_is_not_there_cannot_be_watched(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        NameWatch(f"{tmp_path}/none")
