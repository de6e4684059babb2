"""rmi and prune: what goes, what stays, and what is in the way."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from runtime.model.container.spec import Spec
from runtime.model.container.state import State
from runtime.model.errors import RuntimeFailure
from runtime.store.containers import Containers, new_id
from runtime.store.images import Image, Images
from runtime.store.removal import chain_ids, prune, remove
from tests.support.eventually import eventually
from tests.support.images import files_in, import_image, make_images

pytestmark = pytest.mark.needs("root")


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return make_images(tmp_path)


def use(images: Images, image: Image, status: str) -> str:
    """Make a container of *image* and return its id."""
    spec = Spec(new_id(), "", "x", image.id, ("sh",))
    return Containers(images.layout).create(spec, State(status=status)).id


def test_an_image_goes_with_its_last_name(images: Images) -> None:
    image = import_image(images, "a:1")
    images.tag(image, "b:2")

    first = remove(images, "a:1")
    second = remove(images, "b:2")

    assert first == ["Untagged: a:1"]
    assert second == ["Untagged: b:2", f"Deleted: {image.id}", f"Deleted: {image.layers[0]}"]
    assert files_in(images) == []


def test_an_id_with_names_in_several_repositories_needs_force(images: Images) -> None:
    image = import_image(images, "a:1")
    images.tag(image, "b:2")

    with pytest.raises(RuntimeFailure, match=r"'a:1' \(must be forced\): it has names in several"):
        remove(images, image.id)

    assert remove(images, image.id, force=True)[:2] == ["Untagged: a:1", "Untagged: b:2"]
    assert images.list() == ()


def test_an_id_with_several_tags_of_one_repository_does_not(images: Images) -> None:
    image = import_image(images, "a:1")
    images.tag(image, "a:2")

    assert remove(images, image.id[7:19])[:2] == ["Untagged: a:1", "Untagged: a:2"]


def test_a_layer_stays_while_another_image_has_it(images: Images) -> None:
    one = import_image(images, "a")
    config = images.config_bytes(one).replace(b'"os"', b'"author":"me","os"')
    images.add(config, ["b"], now=0.0)

    assert remove(images, "a") == ["Untagged: a:latest", f"Deleted: {one.id}"]
    assert os.path.isdir(images.lowers(images.resolve("b"))[0])


def test_a_running_container_keeps_its_image_even_by_force(images: Images) -> None:
    image = import_image(images, "a")
    container = use(images, image, "running")

    for force in (False, True):
        with pytest.raises(RuntimeFailure, match="cannot be forced") as refused:
            remove(images, "a", force=force)
        assert container[:12] in refused.value.message
        assert refused.value.code == 1
    assert images.resolve("a") == image


def test_a_stopped_container_keeps_its_image_until_force(images: Images) -> None:
    image = import_image(images, "a")
    container = use(images, image, "exited")

    with pytest.raises(RuntimeFailure, match="must be forced") as refused:
        remove(images, "a")
    lines = remove(images, "a", force=True)

    assert refused.value.hint == f"runtime rm {container[:12]}, or runtime rmi -f"
    assert lines == ["Untagged: a:latest", f"Deleted: {image.id}"]
    assert images.list() == ()


def test_a_stopped_container_can_start_without_its_image(images: Images) -> None:
    image = import_image(images, "a")
    container = use(images, image, "exited")
    remove(images, "a", force=True)

    kept = images.get(image.id)

    assert kept is not None
    assert os.path.isdir(images.lowers(kept)[0])
    images.tidy()
    assert images.get(image.id) is not None
    Containers(images.layout).remove(container)
    images.tidy()
    assert files_in(images) == []


def test_a_container_in_the_making_keeps_its_image(images: Images) -> None:
    image = import_image(images, "a")

    with images.pinned(image), pytest.raises(RuntimeFailure, match="is being made from it"):
        remove(images, "a")

    assert images.resolve(image.id).layers
    assert os.path.isdir(images.lowers(image)[0])


def test_an_image_that_has_gone_cannot_be_pinned(images: Images) -> None:
    image = import_image(images, "a")
    remove(images, "a")

    with pytest.raises(RuntimeFailure, match="no such image"), images.pinned(image):
        pass


def test_the_host_cannot_be_removed(images: Images) -> None:
    with pytest.raises(RuntimeFailure, match="cannot remove 'host': it is this machine"):
        remove(images, "host")


def test_a_missing_image_is_docker_s_exit_code(images: Images) -> None:
    with pytest.raises(RuntimeFailure, match="no such image: x") as refused:
        remove(images, "x")

    assert refused.value.code == 1


def test_pruning_takes_what_has_no_name(images: Images) -> None:
    old = import_image(images, "a")
    import_image(images, "b")
    images.tag(images.resolve("b"), "a")

    lines, freed = prune(images)

    assert lines[0] == f"Deleted: {old.id}"
    assert freed == old.size
    assert [image.names for image in images.list()] == [("a:latest", "b:latest")]


def test_pruning_everything_keeps_what_containers_use(images: Images) -> None:
    used = import_image(images, "used")
    import_image(images, "idle")
    use(images, used, "exited")

    prune(images, everything=True)

    assert images.list() == (images.resolve("used"),)


def test_pruning_obeys_its_filter(images: Images) -> None:
    import_image(images, "a")

    assert prune(images, everything=True, wanted=lambda image: image.size > 10) == ([], 0)


def test_chain_ids_are_oci_s() -> None:
    # image-spec, config.md: ChainID(A|B) = Digest(ChainID(A) + " " + DiffID(B)); by sha256sum.
    one, two = "sha256:" + "1" * 64, "sha256:" + "2" * 64

    assert chain_ids((one, two)) == [
        *(one, "sha256:9932074217c35353d2e03a3f5a86549f7c67bfeb0ba53e23d69f4d4c8f7958f5"),
    ]


def test_pruning_waits_for_an_image_to_have_its_names(images: Images) -> None:
    image = import_image(images, "x")
    lock = os.stat(images.layout.lock("images")).st_ino
    pruning = threading.Thread(target=prune, args=(images,))

    with images.changing():  # half-way of `Images.add`: the record is there, the name is not
        tags = images.tags()
        images.write_tags({})
        pruning.start()
        eventually(lambda: any("->" in line and f":{lock} " in line for line in kernel_locks()))
        images.write_tags(tags)
    pruning.join()

    assert images.find("x") == image


def kernel_locks() -> list[str]:
    return Path("/proc/locks").read_text().splitlines()
