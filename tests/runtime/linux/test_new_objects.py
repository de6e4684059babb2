"""Links and nodes are decorated by what is held, whatever has their names."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from runtime.linux import new_objects

pytestmark = pytest.mark.needs("root")


def test_a_node_gets_its_owner_mode_and_times_by_what_is_held(tmp_path: Path) -> None:
    (tmp_path / "victim").touch(mode=0o600)
    directory_fd = os.open(tmp_path, os.O_RDONLY)

    with new_objects.make_node(directory_fd, b"f", stat.S_IFIFO) as fd:
        (tmp_path / "f").rename(tmp_path / "moved")
        (tmp_path / "f").symlink_to("victim")
        new_objects.decorate(fd, (5, 6), 0o4666, (1000, 2000))

    os.close(directory_fd)
    made = (tmp_path / "moved").lstat()
    assert (made.st_mode, made.st_uid, made.st_gid) == (stat.S_IFIFO | 0o4666, 5, 6)
    assert made.st_mtime_ns == 2000
    assert (tmp_path / "victim").stat().st_mode == stat.S_IFREG | 0o600


def test_a_link_is_decorated_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "victim").touch(mode=0o600)
    directory_fd = os.open(tmp_path, os.O_RDONLY)

    with new_objects.make_link(directory_fd, b"l", b"victim") as fd:
        new_objects.decorate(fd, (5, 6), times=(1000, 2000))

    os.close(directory_fd)
    made = (tmp_path / "l").lstat()
    assert (made.st_uid, made.st_gid, made.st_mtime_ns) == (5, 6, 2000)
    assert (tmp_path / "victim").stat().st_uid == 0
