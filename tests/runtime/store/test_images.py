"""The images there are: names, ids, prefixes, the host."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from runtime.language.commit_change import apply
from runtime.model.errors import RuntimeFailure
from runtime.model.image import image_config as model
from runtime.store import inspection
from runtime.store.images import Images
from runtime.store.rootfs import import_rootfs
from tests.support.images import NOW, config_of, digest, files_in, import_image, make_images
from tests.support.tars import file, make_tar

pytestmark = pytest.mark.needs("root")


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return make_images(tmp_path)


def test_an_image_is_found_by_name_id_and_start_of_id(images: Images) -> None:
    made = import_image(images, "debian:12")
    digits = made.id.removeprefix("sha256:")

    for name in ("debian:12", "docker.io/library/debian:12", made.id, digits, digits[:12], digits[:4], f"sha256:{digits[:6]}"):  # fmt: skip
        assert images.resolve(name) == made


def test_a_name_comes_before_the_start_of_an_id(images: Images) -> None:
    one = import_image(images, "one")
    other = import_image(images, one.id[7:11])

    assert images.resolve(one.id[7:11]) == other


def test_a_start_that_several_ids_have_is_refused(images: Images) -> None:
    made = [import_image(images, f"i{n}") for n in range(17)]  # two of them start alike

    starts = [image.id[7] for image in made]
    double = next(start for start in starts if starts.count(start) > 1)
    with pytest.raises(RuntimeFailure, match="is the start of several image ids"):
        images.resolve(double)


def test_a_missing_image_is_answered_with_what_is_meant(images: Images) -> None:
    import_image(images, "centos")

    with pytest.raises(RuntimeFailure, match='no tag "lastest" of centos') as missing:
        images.resolve("centos:lastest")

    assert missing.value.hint == 'did you mean "latest"?'


def test_the_id_is_the_hash_of_the_document(images: Images) -> None:
    image = import_image(images, "a")

    document = images.config_bytes(image)

    assert image.id == digest(document)
    assert model.from_json(document).diff_ids == image.layers


def test_an_import_says_what_it_was_asked_to(images: Images) -> None:
    image = import_rootfs(
        images,
        io.BytesIO(make_tar(file("f", b"12345"))),
        "a",
        now=NOW,
        message="from a tar",
        change=lambda config: apply(config, ['CMD ["sh"]', "ENV A=b"]),
    )

    shown = inspection.inspect(images, image)
    [step] = inspection.history(image)
    assert (shown["Config"]["Cmd"], shown["Config"]["Env"]) == (["sh"], ["A=b"])
    assert (shown["Comment"], shown["Created"], shown["Size"]) == (
        *("from a tar", "2023-11-14T22:13:20Z", 5),
    )
    assert (step.id, step.comment, step.size, step.created) == (image.id, "from a tar", 5, NOW)


def test_history_gives_each_layer_to_its_step(images: Images) -> None:
    layers = [make_tar(file("f", b"x" * size)) for size in (1, 2)]
    for layer in layers:
        import_rootfs(images, io.BytesIO(layer), "", now=NOW)
    steps = [
        {"created_by": "one"},
        {"created_by": "env", "empty_layer": True},
        {"created_by": "two"},
    ]

    image = images.add(config_of(*layers, history=steps), ["x"], now=NOW)

    rows = [(step.created_by, step.size, step.id == image.id) for step in inspection.history(image)]
    assert rows == [("two", 2, True), ("env", 0, False), ("one", 1, False)]


def test_a_name_given_again_moves(images: Images) -> None:
    one, other = import_image(images, "a"), import_image(images, "b")

    images.tag(images.resolve("a"), "b")

    assert images.resolve("b").id == one.id
    assert images.resolve(other.id).names == ()


def test_names_from_a_registry_lead_to_the_image(images: Images) -> None:
    layer = make_tar(file("f"))
    import_rootfs(images, io.BytesIO(layer), "", now=NOW)
    name = "quay.io/x@sha256:" + "a" * 64

    image = images.add(config_of(layer), ["quay.io/x:1", name], now=NOW, manifest=b"{}")

    assert images.resolve(name).id == image.id
    assert (image.names, image.digests) == (("quay.io/x:1",), (name,))
    assert image.manifest == digest(b"{}")


def test_an_image_whose_layer_is_missing_is_not_added(images: Images) -> None:
    with pytest.raises(RuntimeFailure, match=r"its layer sha256:.* is not there"):
        images.add(config_of(b"?"), ["x"], now=NOW)

    assert files_in(images) == []


def test_a_document_cannot_say_that_it_is_the_host(images: Images) -> None:
    layer = make_tar(file("f"))
    import_rootfs(images, io.BytesIO(layer), "", now=NOW)
    labels = {"config": {"Labels": {"org.supervise.host": "true"}}, "is_host": True}

    image = images.add(config_of(layer, **labels), ["x"], now=NOW)

    assert not image.is_host
    assert "/" not in images.lowers(image)


def test_the_host_is_always_there_and_always_the_same(images: Images, tmp_path: Path) -> None:
    host = images.resolve("host")

    assert host == images.resolve("host:latest") == images.resolve(host.id)
    assert host.id == make_images(tmp_path / "other").host().id
    assert host.config.cmd in (("bash",), ("sh",))
    assert images.lowers(host) == ("/",)
    assert images.list() == ()


def test_an_image_built_on_the_host_is_marked(images: Images) -> None:
    layer = make_tar(file("f"))
    import_rootfs(images, io.BytesIO(layer), "", now=NOW)

    image = images.add(config_of(layer), ["x"], now=NOW, is_host=True)

    assert image.is_host
    assert images.lowers(image)[-1] == "/"


@pytest.mark.parametrize("name", ["host", "host:1", "docker.io/library/host"])
def test_nothing_else_can_be_called_host(images: Images, name: str) -> None:
    image = import_image(images, "a")

    with pytest.raises(RuntimeFailure, match="'host' always means this machine"):
        images.tag(image, name)


def test_the_host_cannot_be_tagged(images: Images) -> None:
    with pytest.raises(RuntimeFailure, match="cannot tag 'host': it is this machine"):
        images.tag(images.host(), "mine")


def test_the_newest_image_is_listed_first(images: Images) -> None:
    layer = make_tar(file("f"))
    import_rootfs(images, io.BytesIO(layer), "new", now=NOW)
    for year in (2001, 2003, 2002):
        images.add(config_of(layer, created=f"{year}-01-01T00:00:00Z"), [f"y{year}"], now=NOW)

    assert [image.names[0] for image in images.list()] == [
        *("new:latest", "y2003:latest", "y2002:latest", "y2001:latest"),
    ]


def test_a_name_that_is_wrong_leaves_nothing(images: Images) -> None:
    with pytest.raises(RuntimeFailure, match="lower case"):
        import_image(images, "Wrong")

    assert files_in(images) == []


def test_an_import_whose_change_is_wrong_leaves_nothing(images: Images) -> None:
    import_image(images, "kept")
    before = files_in(images)

    with pytest.raises(RuntimeFailure, match="'RUN' is not one of them"):
        import_rootfs(
            images,
            io.BytesIO(make_tar(file("f", b"other"))),
            "a",
            now=NOW,
            change=lambda config: apply(config, ["RUN x"]),
        )

    assert files_in(images) == before


def test_an_import_clears_what_a_killed_one_left(images: Images) -> None:
    os.makedirs(f"{images.layout.layers}/.tmp-1-2/diff/x")

    image = import_image(images, "a")

    assert os.listdir(images.layout.layers) == [image.layers[0][7:]]


def test_no_file_of_the_store_is_for_others(images: Images) -> None:
    import_image(images, "a")

    open_to_others = [
        path
        for path in Path(images.layout.root).rglob("*")
        if path.stat().st_mode & 0o077 and "diff" not in path.parts
    ]
    assert open_to_others == []
    assert os.stat(images.layout.root).st_mode & 0o077 == 0
