"""A name that goes is noticed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from supervise.linux.dnotify import DirectoryWatch
from tests.support import descriptors
from tests.support.eventually import eventually


@pytest.fixture
def news() -> Iterator[list[int]]:
    received: list[int] = []
    before = signal.signal(signal.SIGIO, lambda number, _frame: received.append(number))
    yield received
    signal.signal(signal.SIGIO, before)


def watch(directory: Path) -> DirectoryWatch:
    return DirectoryWatch(os.open(directory, os.O_RDONLY))


@pytest.mark.parametrize(
    "change",
    [
        os.unlink,
        lambda path: os.rename(path, f"{path}.old"),
        lambda path: os.replace(f"{path}.new", path),
    ],
    ids=["removed", "renamed", "replaced"],
)
def test_the_end_of_a_name_is_noticed(
    tmp_path: Path, news: list[int], change: Callable[[str], None]
) -> None:
    for name in ("file", "file.new"):
        (tmp_path / name).touch()
    with closing(watch(tmp_path)):
        change(f"{tmp_path}/file")

        eventually(lambda: signal.SIGIO in news)


def test_nothing_is_noticed_after_the_end(tmp_path: Path, news: list[int]) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "other").mkdir()
    watch(tmp_path).close()

    (tmp_path / "file").unlink()

    with closing(watch(tmp_path / "other")):
        (tmp_path / "other" / "later").touch()
        (tmp_path / "other" / "later").unlink()
        eventually(lambda: bool(news))
    assert len(news) == 1


def test_what_is_no_directory_cannot_be_watched_and_is_closed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with descriptors.none_left(), pytest.raises(NotADirectoryError):
        DirectoryWatch(os.open(tmp_path / "file", os.O_RDONLY))
