"""Layers mounted, by the new mount API and by mount(2); the machine's own root as a layer."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from runtime.linux import overlay
from runtime.model.errors import RuntimeFailure
from runtime.store.images import Images
from runtime.store.layers import Pin
from tests.support.images import NOW, config_of, import_image, make_images
from tests.support.tars import directory, file, make_tar

pytestmark = [pytest.mark.integration, pytest.mark.needs("root")]


class Place(NamedTuple):
    """Where one container's file system goes."""

    upper: str
    work: str
    target: str


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return make_images(tmp_path)


@pytest.fixture(params=["new", "old"])
def place(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:  # fmt: skip
    """Give upper, work and target for either way; nothing stays mounted."""
    monkeypatch.setattr(overlay, "_old_kernel", request.param == "old")
    made = Place(*(str(tmp_path / "c" / name) for name in ("upper", "work", "merged")))
    for path in made:
        os.makedirs(path)
    yield made
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


def layered(images: Images, *layers: bytes) -> tuple[str, ...]:
    """Put the layers into the store and return the directories to mount."""
    with Pin() as pin:
        for layer in layers:
            images.layers.unpack(io.BytesIO(layer), pin)
        return images.lowers(images.add(config_of(*layers), ["x"], now=NOW))


def test_upper_layers_hide_what_their_whiteouts_say(images: Images, place: Place) -> None:
    lowers = layered(
        images,
        make_tar(directory("d"), file("d/old"), file("gone"), file("both", b"1")),
        make_tar(file(".wh.gone"), directory("d"), file("d/.wh..wh..opq"), file("d/new"), file("both", b"2")),
    )  # fmt: skip

    overlay.mount(lowers, *place)
    merged = Path(place.target)
    found = sorted(str(p.relative_to(merged)) for p in merged.rglob("*"))
    both = (merged / "both").read_bytes()
    overlay.umount(place.target)

    assert found == ["both", "d", "d/new"]
    assert both == b"2"


def test_what_is_written_goes_to_the_upper_directory(images: Images, place: Place) -> None:
    lowers = layered(images, make_tar(directory("d"), file("d/f", b"old")))
    before = subprocess.run(["ls", "-lR", lowers[0]], capture_output=True, check=True).stdout

    overlay.mount(lowers, *place)
    merged = Path(place.target)
    (merged / "d/f").write_text("new")
    os.rename(merged / "d/f", merged / "d/g")
    (merged / "other").write_text("1")
    overlay.umount(place.target)

    assert sorted(os.listdir(place.upper)) == ["d", "other"]
    assert Path(place.upper, "d/g").read_text() == "new"
    assert (
        subprocess.run(["ls", "-lR", lowers[0]], capture_output=True, check=True).stdout == before
    )


def test_a_directory_of_a_layer_is_never_renamed_by_reference(images: Images, place: Place) -> None:
    """An upper directory must say everything by itself: commit reads nothing else."""
    lowers = layered(images, make_tar(directory("d"), file("d/f")))

    overlay.mount(lowers, *place)
    with pytest.raises(OSError, match="cross-device"):
        os.rename(f"{place.target}/d", f"{place.target}/e")
    os.chmod(f"{place.target}/d/f", 0o600)
    overlay.umount(place.target)

    assert os.listxattr(f"{place.upper}/d/f") in ([], ["trusted.overlay.origin"])


def test_an_image_may_have_one_layer_twice(images: Images, place: Place) -> None:
    layer, other = make_tar(file("f", b"1")), make_tar(file("f", b"2"))

    overlay.mount(layered(images, layer, other, layer), *place)
    contents = Path(place.target, "f").read_bytes()
    overlay.umount(place.target)

    assert contents == b"1"


@pytest.mark.parametrize("count", [1, 2, 120])
def test_many_layers_fit(images: Images, place: Place, count: int) -> None:
    layers = [make_tar(file(f"f{n}")) for n in range(count)]

    overlay.mount(layered(images, *layers), *place)
    found = len(os.listdir(place.target))
    overlay.umount(place.target)

    assert found == count


def test_a_read_only_view_needs_no_upper_directory(images: Images, place: Place) -> None:
    lowers = layered(images, make_tar(file("f")))

    overlay.mount(lowers, "", place.work, place.target)
    with pytest.raises(OSError, match="Read-only"):
        Path(place.target, "g").touch()
    found = os.listdir(place.target)
    overlay.umount(place.target)

    assert found == ["f"]


def test_extra_layers_lie_on_top(images: Images, place: Place, tmp_path: Path) -> None:
    (tmp_path / "extra/.supervise").mkdir(parents=True)
    lowers = layered(images, make_tar(file("f")))

    overlay.mount(lowers, *place, extra_lower=[str(tmp_path / "extra")])
    found = sorted(os.listdir(place.target))
    overlay.umount(place.target)

    assert found == [".supervise", "f"]
    assert os.listdir(place.upper) == []


def test_the_host_is_this_machine_without_our_own_state(images: Images, place: Place) -> None:
    import_image(images, "a")
    host = images.host()

    overlay.mount(images.lowers(host), *place, hidden=images.hidden())
    merged = Path(place.target)
    same = (merged / "etc/passwd").read_bytes() == Path("/etc/passwd").read_bytes()
    (merged / "etc/passwd").write_text("mine")
    hidden = os.listdir(f"{place.target}{os.path.realpath(images.layout.root)}")
    modes = [os.stat(f"{root}/var/tmp").st_mode for root in ("", place.target)]
    overlay.umount(place.target)

    assert same
    assert hidden == []
    assert modes[0] == modes[1]
    assert os.listdir(place.upper) == ["etc"]
    assert Path("/etc/passwd").read_text() != "mine"


def test_layers_lie_on_top_of_the_host(images: Images, place: Place, tmp_path: Path) -> None:
    layer = make_tar(directory("etc"), file("etc/mine", b"1"), file("etc/.wh.hostname"))
    (tmp_path / "extra/.supervise").mkdir(parents=True)
    with Pin() as pin:
        images.layers.unpack(io.BytesIO(layer), pin)
        image = images.add(config_of(layer), ["built"], now=NOW, is_host=True)

    overlay.mount(
        images.lowers(image), *place, hidden=images.hidden(), extra_lower=[str(tmp_path / "extra")]
    )
    etc = os.listdir(f"{place.target}/etc")
    top = os.listdir(place.target)
    overlay.umount(place.target)

    assert {"mine", "passwd"} <= set(etc)
    assert "hostname" not in etc
    assert ".supervise" in top


def test_a_path_with_a_colon_and_a_comma_can_be_mounted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(*(str(tmp_path / "a:b,c" / name) for name in ("upper", "work", "merged")))
    lower = tmp_path / "x:y,z"
    lower.mkdir()
    (lower / "f").touch()
    for path in place:
        os.makedirs(path)

    for old in (False, True):
        monkeypatch.setattr(overlay, "_old_kernel", old)
        overlay.mount([str(lower)], *place)
        assert os.listdir(place.target) == ["f"]
        overlay.umount(place.target)


def test_what_the_kernel_refuses_is_explained(place: Place, tmp_path: Path) -> None:
    with pytest.raises(RuntimeFailure, match=r"cannot mount overlay on '.*/merged': "):
        overlay.mount([str(tmp_path / "nowhere")], *place)


def test_an_upper_directory_on_overlayfs_is_explained(images: Images, place: Place) -> None:
    lowers = layered(images, make_tar(file("f")))
    overlay.mount(lowers, *place)
    inner = Place(*(f"{place.target}/{name}" for name in ("upper", "work", "merged")))
    for path in inner:
        os.makedirs(path)

    with pytest.raises(RuntimeFailure) as refused:
        overlay.mount(lowers, *inner)
    overlay.umount(place.target)

    assert "--root" in refused.value.hint


def test_findmnt_sees_one_overlay_and_nothing_beside_it(images: Images, place: Place) -> None:
    overlay.mount(images.lowers(images.host()), *place, hidden=images.hidden())
    shown = subprocess.run(
        ["findmnt", "--json", "--list", "-o", "TARGET,FSTYPE"], capture_output=True, check=True
    ).stdout
    overlay.umount(place.target)

    mine = [row for row in json.loads(shown)["filesystems"] if str(place.target) in row["target"]]
    assert mine == [{"target": place.target, "fstype": "overlay"}]
