"""Paths that must not leave a directory: by openat2(2), and by the walk that stands in for it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.linux import beneath


@pytest.fixture(params=["openat2", "walk"])
def root(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:  # fmt: skip
    """Return an open directory full of tricks, looked into by either way."""
    monkeypatch.setattr(beneath, "_missing", request.param == "walk")
    (tmp_path / "secret").write_text("outside")
    inside = tmp_path / "root"
    (inside / "d/e").mkdir(parents=True)
    (inside / "d/f").write_text("inside")
    for name, target in {
        "absolute": "/d",
        "up": "../../../../d",
        "chain": "absolute/e/../f",
        "dangling": "/nowhere",
        "loop": "loop",
        "out": str(tmp_path / "secret"),
    }.items():
        (inside / name).symlink_to(target)
    fd = os.open(inside, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (b"d/f", "d/f"),
        (b"/d/f", "d/f"),
        (b"../../d/f", "d/f"),
        (b"absolute/f", "d/f"),
        (b"up/f", "d/f"),
        (b"chain", "d/f"),
        (b"absolute/../d/./e", "d/e"),
        (b"", "."),
    ],
)
def test_links_and_dots_stay_inside(root: int, path: bytes, found: str, tmp_path: Path) -> None:
    fd = beneath.open_in_root(root, path, os.O_PATH)

    assert os.path.samefile(fd, tmp_path / "root" / found)
    os.close(fd)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (b"out", FileNotFoundError),
        (b"dangling", FileNotFoundError),
        (b"d/f/x", NotADirectoryError),
        (b"loop/x", OSError),
        (b"nothing", FileNotFoundError),
    ],
)
def test_what_is_not_inside_is_not_there(root: int, path: bytes, error: type[OSError]) -> None:
    with pytest.raises(error):
        beneath.open_in_root(root, path, os.O_RDONLY)


def test_the_last_link_is_not_followed_when_it_must_not_be(root: int) -> None:
    with pytest.raises(OSError, match="symbolic links"):
        beneath.open_in_root(root, b"chain", os.O_RDONLY | os.O_NOFOLLOW)


def test_a_file_is_made_where_the_links_lead(root: int, tmp_path: Path) -> None:
    fd = beneath.open_in_root(root, b"up/new", os.O_WRONLY | os.O_CREAT, 0o600)

    os.close(fd)
    assert (tmp_path / "root/d/new").exists()


@pytest.mark.usefixtures("root")
def test_a_mount_point_is_not_entered() -> None:
    proc = os.open("/", os.O_PATH)

    with pytest.raises(OSError, match="cross-device"):
        beneath.open_child_directory(proc, b"proc")

    os.close(proc)


@pytest.mark.needs("root")
def test_an_immutable_file_does_not_change_how_paths_are_resolved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beneath, "_missing", None)
    (tmp_path / "f").touch()
    subprocess.run(["chattr", "+i", tmp_path / "f"], check=True)
    root_fd = os.open(tmp_path, os.O_PATH)

    try:
        with pytest.raises(PermissionError, match="not permitted"):
            beneath.open_in_root(root_fd, b"f", os.O_WRONLY)
    finally:
        subprocess.run(["chattr", "-i", tmp_path / "f"], check=True)
        os.close(root_fd)

    assert beneath._missing is False


def test_a_real_path_is_opened_whatever_its_length_and_no_link_is(root: int) -> None:
    fd = beneath.open_real(root, b"d/e", os.O_PATH)
    os.close(fd)

    with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
        beneath.open_real(root, b"absolute/e", os.O_PATH)
