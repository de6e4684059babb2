"""What a container has written is measured, however it nests and moves its directories."""

from __future__ import annotations

from pathlib import Path

from runtime.cli.containers import sizes
from runtime.store import files
from tests.support.deep import make_deep


def test_names_deeper_than_a_path_may_be_are_measured(tmp_path: Path) -> None:
    make_deep(tmp_path, 1500)
    (tmp_path / "beside").write_bytes(b"12345")

    assert sizes.of_tree(str(tmp_path)) == 3 + 5
    files.remove_tree(str(tmp_path))  # pytest would open it by paths


def test_a_file_with_two_names_counts_once_and_links_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").write_bytes(b"abc")
    (tmp_path / "again").hardlink_to(tmp_path / "a/b/file")
    (tmp_path / "link").symlink_to("/usr")

    assert sizes.of_tree(str(tmp_path)) == 3


def test_what_is_not_there_has_no_size(tmp_path: Path) -> None:
    assert sizes.of_tree(str(tmp_path / "gone")) == 0
