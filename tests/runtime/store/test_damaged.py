"""One damaged record of the store: the others are listed, nothing that may be needed is removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.linux import record_files
from runtime.model.container.spec import Mount, Spec
from runtime.model.container.state import State
from runtime.model.container.statuses import DAMAGED
from runtime.model.errors import DamagedFailure, RuntimeFailure
from runtime.store import removal
from runtime.store.containers import Containers, new_id
from runtime.store.layout import Layout
from runtime.store.volumes import Volumes
from tests.support.images import import_image, make_images
from tests.support.tars import file


def made(containers: Containers, name: str, *mounts: Mount) -> Spec:
    image_id = "sha256:" + "1" * 64
    return containers.create(Spec(new_id(), name, "image", image_id, ("true",), mounts=mounts))


def test_a_container_without_its_record_keeps_id_and_name(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path))
    containers = Containers(layout)
    spec = made(containers, "web")
    Path(layout.container(spec.id), "spec.json").write_bytes(b"")

    found, state = containers.look(spec.id)

    assert (found.id, found.name, state.status) == (spec.id, "web", DAMAGED)
    assert "spec.json': it is empty" in state.error
    with pytest.raises(DamagedFailure, match="it is empty"):
        containers.spec(spec.id)
    containers.remove(spec.id)
    assert containers.list() == ()


def test_a_record_of_another_container_is_not_taken(tmp_path: Path) -> None:
    """`rm` of the one would remove the other."""
    layout = Layout(str(tmp_path))
    containers = Containers(layout)
    one, two = made(containers, "one"), made(containers, "two")
    record = Path(layout.container(one.id), "spec.json")
    record.write_bytes(Path(layout.container(two.id), "spec.json").read_bytes())

    assert containers.look(one.id)[0].id == one.id


def test_the_end_is_written_over_a_longer_state(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(b"x" * 3000)

    from runtime.store import files

    files.overwrite(str(path), b'{"status": "exited"}\n')

    found = record_files.read_record(State, str(path))
    assert found is not None
    assert found.status == "exited"
    with pytest.raises(OSError, match="No space left"):
        files.overwrite(str(path), bytes(1 << 20))


def test_no_volume_is_unused_while_a_container_is_damaged(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path))
    containers, volumes = Containers(layout), Volumes(layout)
    volumes.ensure("data", now=1.0)
    spec = made(containers, "web", Mount("volume", "data", "/data"))
    Path(layout.container(spec.id), "spec.json").write_bytes(b"{")

    assert volumes.unused() == ()
    containers.remove(spec.id)
    assert [volume.name for volume in volumes.unused()] == ["data"]


def test_a_volume_without_its_record_is_used_all_the_same(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path))
    volumes = Volumes(layout)
    volumes.ensure("data", now=1.0, anonymous=True)
    Path(layout.volumes, "data", "meta.json").write_bytes(b"\0\0")

    found, fresh = volumes.ensure("data", now=2.0)

    assert (found.name, found.anonymous, fresh) == ("data", False, False)
    volumes.remove("data")
    assert volumes.list() == ()


def test_a_damaged_image_is_listed_keeps_all_layers_and_goes_by_force(tmp_path: Path) -> None:
    images = make_images(tmp_path)
    good = import_image(images, "good", file("good"))
    bad = import_image(images, "bad", file("bad"))
    Path(images.layout.records, f"{bad.id.removeprefix('sha256:')}.json").write_bytes(b"")

    listed = {image.names: image.damage for image in images.list()}
    images.tidy()

    assert listed[good.names] == ""
    assert "it is empty" in listed[bad.names]
    assert all(Path(images.layers.path(layer)).is_dir() for layer in (*good.layers, *bad.layers))
    with pytest.raises(DamagedFailure):
        images.resolve("bad")
    with pytest.raises(RuntimeFailure, match="must be forced"):
        removal.remove(images, "bad")
    removal.remove(images, "bad", force=True)
    assert [image.names for image in images.list()] == [good.names]
    assert not Path(images.layers.path(bad.layers[0])).exists()


def test_images_whose_names_were_lost_do_not_dangle(tmp_path: Path) -> None:
    images = make_images(tmp_path)
    one = import_image(images, "one", file("one"))
    two = import_image(images, "two", file("two"))
    Path(images.layout.tags).write_bytes(b"{")

    assert removal.prune(images) == ([], 0)
    images.tag(one, "again")
    assert removal.prune(images) == ([], 0)
    assert {image.id for image in images.list()} == {one.id, two.id}
    assert Path(images.layout.tags + ".damaged").read_bytes() == b"{"
    removal.prune(images, everything=True)
    assert images.list() == ()
    assert not Path(images.layout.tags + ".damaged").exists()
