"""Archives that are written: complete, verified, the same every time, and read again."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from runtime.model.errors import RuntimeFailure
from runtime.store import save
from runtime.store.archive import open_archive
from runtime.store.images import Images
from runtime.store.load import load
from runtime.store.rootfs import import_rootfs
from tests.support.images import NOW, config_of, digest, import_image, make_images
from tests.support.tars import file, make_tar

pytestmark = pytest.mark.needs("root")


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return make_images(tmp_path)


def saved(images: Images, *names: str, form: str = "docker", compress: bool = False) -> bytes:
    out = io.BytesIO()
    save.write_tar(images, save.choose(images, names), out.write, form=form, compress=compress)
    return out.getvalue()


def members(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive if m.isreg()}  # type: ignore[union-attr]


@pytest.mark.parametrize("form", ["docker", "oci"])
@pytest.mark.parametrize("compress", [False, True])
def test_what_is_saved_can_be_loaded(
    images: Images, tmp_path: Path, form: str, compress: bool
) -> None:
    image = import_image(images, "a:1", file("f", b"x" * 100_000))
    images.tag(image, "quay.io/b:2")
    (tmp_path / "saved").write_bytes(
        saved(images, "a:1", "quay.io/b:2", form=form, compress=compress)
    )
    other = make_images(tmp_path / "other")

    with open_archive(str(tmp_path / "saved"), other.layout.images) as archive:
        [loaded] = load(other, archive, now=NOW)

    assert loaded.image.replace(manifest="") == images.resolve("a:1")
    assert loaded.names == ("a:1", "quay.io/b:2")


def test_a_layout_in_a_directory_can_be_loaded(images: Images, tmp_path: Path) -> None:
    image = import_image(images, "a:1")
    save.write_directory(images, save.choose(images, ["a:1"]), str(tmp_path / "out"))
    other = make_images(tmp_path / "other")

    with open_archive(str(tmp_path / "out"), other.layout.images) as archive:
        [loaded] = load(other, archive, now=NOW)

    assert loaded.image.id == image.id
    with pytest.raises(RuntimeFailure, match="it is not empty"):
        save.write_directory(images, save.choose(images, ["a:1"]), str(tmp_path / "out"))


def test_every_blob_is_what_its_name_says(images: Images) -> None:
    import_image(images, "a")

    for compress in (False, True):
        found = members(saved(images, "a", compress=compress))
        blobs = {n: data for n, data in found.items() if n.startswith("blobs/")}
        assert len(blobs) == 3
        assert all(f"blobs/sha256/{digest(data)[7:]}" == name for name, data in blobs.items())


def test_equal_images_give_equal_archives(images: Images) -> None:
    import_image(images, "a")

    assert saved(images, "a") == saved(images, "a")
    assert saved(images, "a", compress=True) == saved(images, "a", compress=True)


def test_several_images_share_their_layers(images: Images) -> None:
    layer = make_tar(file("f"))
    import_rootfs(images, io.BytesIO(layer), "a", now=NOW)
    images.add(config_of(layer), ["b"], now=NOW)

    found = members(saved(images, "a", "b"))

    entries = json.loads(found["manifest.json"])
    assert [entry["RepoTags"] for entry in entries] == [["a:latest"], ["b:latest"]]
    assert entries[0]["Layers"] == entries[1]["Layers"] == [f"blobs/sha256/{digest(layer)[7:]}"]
    assert found[entries[0]["Layers"][0]] == layer


def test_a_repository_means_all_its_tags_and_an_id_none(images: Images) -> None:
    image = import_image(images, "a:1")
    images.tag(image, "a:2")
    images.tag(image, "b:3")

    by_repository = json.loads(members(saved(images, "a"))["manifest.json"])
    by_id = json.loads(members(saved(images, image.id))["manifest.json"])

    assert by_repository[0]["RepoTags"] == ["a:1", "a:2"]
    assert by_id[0]["RepoTags"] is None


def test_this_machine_cannot_be_saved(images: Images) -> None:
    layer = make_tar(file("f"))
    import_rootfs(images, io.BytesIO(layer), "", now=NOW)
    images.add(config_of(layer), ["built"], now=NOW, is_host=True)

    for name in ("host", "built"):
        with pytest.raises(RuntimeFailure, match="its lowest layer is this machine's own root"):
            saved(images, name)


def test_a_layer_that_was_tampered_with_is_not_saved(images: Images) -> None:
    image = import_image(images, "a", file("f", b"true"))
    place = Path(images.layers.path(image.layers[0]), "f")

    place.write_bytes(b"evil")
    with pytest.raises(RuntimeFailure, match="its contents have another hash"):
        saved(images, "a")
    place.write_bytes(b"x")
    with pytest.raises(RuntimeFailure, match="'f' has become shorter"):
        saved(images, "a")
    place.unlink()
    with pytest.raises(RuntimeFailure, match="'f': No such file") as refused:
        saved(images, "a")

    assert "somebody wrote to" in refused.value.hint


def test_a_missing_image_is_said_before_anything_is_written(images: Images) -> None:
    import_image(images, "a")

    with pytest.raises(RuntimeFailure, match="no such image: b"):
        save.choose(images, ["a", "b"])
