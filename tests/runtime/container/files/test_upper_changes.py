"""What an overlay's upper directory changes, read beside the lower ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.container.files.upper_changes import changes
from runtime.linux.descent import Descent
from runtime.wire import whiteout
from tests.support.deep import DEEP_NAME, make_deep

pytestmark = pytest.mark.needs("root")  # whiteouts are devices, marks trusted attributes


class Overlay:
    """Directories as overlayfs would leave them."""

    def __init__(self, directory: Path) -> None:
        self.upper = directory / "upper"
        self.lowers = [directory / "middle", directory / "bottom"]
        for each in (self.upper, *self.lowers):
            each.mkdir()

    def put(self, layer: Path, path: str, text: str = "x") -> None:
        (layer / path).parent.mkdir(parents=True, exist_ok=True)
        (layer / path).write_text(text)

    def white_out(self, layer: Path, path: str) -> None:
        (layer / path).parent.mkdir(parents=True, exist_ok=True)
        os.mknod(layer / path, 0o020000, 0)

    def make_opaque(self, layer: Path, path: str) -> None:
        (layer / path).mkdir(parents=True, exist_ok=True)
        os.setxattr(layer / path, whiteout.OPAQUE_XATTR, whiteout.OPAQUE_VALUE)

    def changes(self, *mounted: str) -> list[str]:
        lowers = [str(each) for each in self.lowers]
        return [f"{c.kind} {c.path}" for c in changes(str(self.upper), lowers, mounted)]


@pytest.fixture
def overlay(tmp_path: Path) -> Overlay:
    return Overlay(tmp_path)


def test_an_untouched_container_has_no_changes(overlay: Overlay) -> None:
    overlay.put(overlay.lowers[0], "etc/passwd")

    assert overlay.changes() == []


def test_files_are_added_changed_and_deleted(overlay: Overlay) -> None:
    middle, bottom = overlay.lowers
    overlay.put(middle, "etc/passwd")
    overlay.put(bottom, "etc/gone")
    overlay.put(overlay.upper, "etc/passwd", "other")
    overlay.put(overlay.upper, "etc/new")
    overlay.white_out(overlay.upper, "etc/gone")

    assert overlay.changes() == ["C /etc", "D /etc/gone", "A /etc/new", "C /etc/passwd"]


def test_a_directory_is_added_with_all_that_is_in_it(overlay: Overlay) -> None:
    overlay.put(overlay.upper, "a/b/c")

    assert overlay.changes() == ["A /a", "A /a/b", "A /a/b/c"]


def test_what_a_layer_hid_is_not_seen_below_it(overlay: Overlay) -> None:
    middle, bottom = overlay.lowers
    overlay.put(bottom, "etc/old")
    overlay.white_out(middle, "etc/old")
    overlay.put(bottom, "opt/old")
    overlay.make_opaque(middle, "opt")
    overlay.put(overlay.upper, "etc/old")
    overlay.put(overlay.upper, "opt/old")

    assert overlay.changes() == ["C /etc", "A /etc/old", "C /opt", "A /opt/old"]


def test_a_replaced_directory_deletes_what_was_in_it(overlay: Overlay) -> None:
    overlay.put(overlay.lowers[0], "etc/old")
    overlay.put(overlay.lowers[1], "etc/kept")
    overlay.make_opaque(overlay.upper, "etc")
    overlay.put(overlay.upper, "etc/kept")

    assert overlay.changes() == ["C /etc", "A /etc/kept", "D /etc/old"]


def test_a_directory_copied_up_for_nothing_is_no_change(overlay: Overlay) -> None:
    overlay.put(overlay.lowers[0], "etc/passwd")
    (overlay.upper / "etc").mkdir()

    assert overlay.changes() == []


def test_another_mode_is_a_change(overlay: Overlay) -> None:
    overlay.put(overlay.lowers[0], "etc/passwd")
    (overlay.upper / "etc").mkdir(mode=0o700)

    assert overlay.changes() == ["C /etc"]


def test_a_file_that_became_a_directory_is_a_change(overlay: Overlay) -> None:
    overlay.put(overlay.lowers[0], "thing")
    overlay.put(overlay.upper, "thing/inside")

    assert overlay.changes() == ["C /thing", "A /thing/inside"]


def test_a_link_in_a_layer_is_not_followed(overlay: Overlay, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("x")
    (overlay.lowers[0] / "way").symlink_to(tmp_path / "outside")
    overlay.put(overlay.upper, "way/file")

    assert overlay.changes() == ["C /way", "A /way/file"]


def test_places_made_for_mounts_are_not_counted(overlay: Overlay) -> None:
    overlay.put(overlay.lowers[0], "etc/passwd")
    for path in ("etc/hosts", "etc/hostname", "etc/resolv.conf"):
        overlay.put(overlay.upper, path, "")
    for path in ("proc", "dev", "sys", "data", "mnt/deep/place"):
        (overlay.upper / path).mkdir(parents=True)

    assert overlay.changes("/data", "/mnt/deep/place") == []


def test_what_lies_beside_a_mount_is_counted(overlay: Overlay) -> None:
    (overlay.upper / "mnt/place").mkdir(parents=True)
    overlay.put(overlay.upper, "mnt/file")

    assert overlay.changes("/mnt/place") == ["A /mnt", "A /mnt/file"]


def test_names_deeper_than_a_path_may_be_are_compared(overlay: Overlay) -> None:
    for layer in (overlay.upper, overlay.lowers[0]):
        make_deep(layer, 30)
    deepest = "/".join([DEEP_NAME] * 30)

    found = overlay.changes()

    assert found[-1] == f"C /{deepest}/file"
    assert len(found) == 30 + 1


def test_a_directory_that_becomes_a_link_is_not_followed(overlay: Overlay, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").touch()
    walk_fd = os.open(overlay.upper, os.O_RDONLY)
    walk = Descent(walk_fd)
    (overlay.upper / "d").symlink_to(tmp_path / "outside")

    assert not walk.enter(b"d")
    assert walk.names() == [b"d"]

    walk.close()
    os.close(walk_fd)
