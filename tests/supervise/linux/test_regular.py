from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from supervise.linux import regular


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _directory(path: Path) -> None:
    path.mkdir()


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


OTHERS = pytest.mark.parametrize(
    ("make", "said"),
    [
        (_fifo, "a FIFO"),
        (_directory, "a directory"),
        (_device, "a character device"),
        (_socket, "a socket"),
    ],
)


@OTHERS
def test_what_is_no_regular_file_is_neither_waited_for_nor_read(
    make: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    make(tmp_path / "it")

    with pytest.raises(regular.NotRegularError, match=f"it is {said}, not a regular file"):
        regular.read_path(str(tmp_path / "it"))


def test_a_link_is_followed_by_read_path_and_by_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to("file")
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        assert regular.read_path(str(tmp_path / "link")) == b"text"
        with pytest.raises(regular.NotRegularError, match="a symbolic link"):
            regular.open_at(here, "link")
    finally:
        os.close(here)


def test_an_object_is_opened_whatever_has_its_name_by_then(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    held = os.open(tmp_path / "file", os.O_PATH)
    (tmp_path / "file").unlink()
    os.mkfifo(tmp_path / "file")

    fd = regular.reopen(held, os.O_RDONLY)

    assert regular.read(fd) == b"text"
    os.close(fd)
    os.close(held)


def test_a_device_that_is_held_is_never_opened(tmp_path: Path) -> None:
    held = os.open("/dev/zero", os.O_PATH)
    try:
        with pytest.raises(regular.NotRegularError, match="a character device"):
            regular.reopen(held, os.O_WRONLY)
        assert stat.S_ISCHR(os.fstat(held).st_mode)
    finally:
        os.close(held)


@pytest.mark.parametrize("more", [0, 1])
def test_a_file_is_read_whole_or_not_at_all(more: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * (1000 + more))

    if more:
        with pytest.raises(regular.TooLargeError):
            regular.read_path(str(tmp_path / "file"), most=1000)
    else:
        assert len(regular.read_path(str(tmp_path / "file"), most=1000)) == 1000


def test_what_a_person_names_may_be_a_pipe_and_has_an_end(tmp_path: Path) -> None:
    read_fd, write_fd = os.pipe()
    os.write(write_fd, b"piped")
    os.close(write_fd)
    assert regular.read_given(f"/dev/fd/{read_fd}") == b"piped"
    os.close(read_fd)

    with pytest.raises(regular.TooLargeError, match="larger than 4 MiB"):
        regular.read_given("/dev/zero")
