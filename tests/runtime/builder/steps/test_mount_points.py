"""Places made for mounts go; what a command made stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.builder.steps import mount_points


class Layers:
    """An upper directory and one below it."""

    def __init__(self, place: Path) -> None:
        self.directory = place
        self.upper = place / "upper"
        self.lower = place / "lower"
        self.upper.mkdir()
        self.lower.mkdir()

    def clear(self, *targets: str) -> list[str]:
        """Clear, and return what is left in the upper directory."""
        mount_points.clear(str(self.directory), [str(self.lower)], targets)
        return sorted(str(path.relative_to(self.upper)) for path in self.upper.rglob("*"))


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return Layers(tmp_path)


def test_kernel_directories_and_files_for_etc_go(layers: Layers) -> None:
    for name in ("dev", "proc", "sys", "etc"):
        (layers.upper / name).mkdir()
    for name in ("hosts", "hostname", "resolv.conf"):
        (layers.upper / "etc" / name).touch()

    assert layers.clear() == []


def test_what_the_command_put_beside_them_stays(layers: Layers) -> None:
    (layers.upper / "etc").mkdir()
    (layers.upper / "etc/hosts").touch()
    (layers.upper / "etc/passwd").write_text("x")

    assert layers.clear() == ["etc", "etc/passwd"]


def test_a_directory_that_was_there_is_not_copied_up_for_a_mount(layers: Layers) -> None:
    (layers.lower / "etc").mkdir()
    (layers.upper / "etc").mkdir()
    (layers.upper / "etc/hosts").touch()

    assert layers.clear() == []


def test_a_directory_with_another_mode_stays(layers: Layers) -> None:
    (layers.lower / "etc").mkdir(0o755)
    (layers.upper / "etc").mkdir(0o700)
    (layers.upper / "etc/hosts").touch()

    assert layers.clear() == ["etc"]


def test_an_empty_file_of_the_image_stays(layers: Layers) -> None:
    for each in (layers.lower, layers.upper):
        (each / "etc").mkdir()
        (each / "etc/hosts").touch()

    assert layers.clear() == ["etc", "etc/hosts"]


def test_targets_go_with_the_directories_made_for_them(layers: Layers) -> None:
    (layers.upper / "a/b/c").mkdir(parents=True)
    (layers.upper / "a/kept").touch()

    assert layers.clear("/a/b/c") == ["a", "a/kept"]


def test_links_lead_to_places_in_the_image(layers: Layers) -> None:
    (layers.lower / "real").mkdir()
    (layers.lower / "link").symlink_to("/real")
    (layers.upper / "real/x").mkdir(parents=True)

    assert layers.clear("/link/x") == []


def test_links_that_go_round_in_circles_end(layers: Layers) -> None:
    (layers.lower / "a").symlink_to("b")
    (layers.lower / "b").symlink_to("a")

    assert layers.clear("/a/x") == []


def test_links_never_lead_out(layers: Layers, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "etc").mkdir()
    (layers.upper / "etc").symlink_to(outside / "etc")
    (outside / "etc/hosts").touch()

    layers.clear()

    assert os.listdir(outside / "etc") == ["hosts"]
