"""Archives come into the store as a whole or not at all, in every shape others write."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.model.errors import RuntimeFailure
from runtime.store.archive import open_archive, open_stream
from runtime.store.images import Images
from runtime.store.load import Loaded, load
from tests.support.eventually import eventually
from tests.support.images import (
    NOW,
    Oci,
    config_of,
    digest,
    docker_archive,
    files_in,
    import_image,
    make_images,
    named,
)
from tests.support.tars import Member, file, hard_link, make_tar, symlink

pytestmark = pytest.mark.needs("root")

BASE = make_tar(file("base", b"b" * 5000))
TOP = make_tar(file("top", b"t"))
CONFIG = config_of(BASE, TOP, mystery={"kept": [1]})


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return make_images(tmp_path)


def load_file(images: Images, data: bytes) -> list[Loaded]:
    """Load *data* from a file."""
    path = Path(images.layout.root).parent / "archive"
    path.write_bytes(data)
    with open_archive(str(path), images.layout.images) as archive:
        return list(load(images, archive, now=NOW))


def load_pipe(images: Images, data: bytes) -> list[Loaded]:
    """Load *data* from a pipe."""
    read_fd, write_fd = os.pipe()

    def write() -> None:
        with open(write_fd, "wb") as out:
            out.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with open_stream(read_fd, images.layout.images, "the standard input") as archive:
            return list(load(images, archive, now=NOW))
    finally:
        writer.join()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("source", [load_file, load_pipe])
def test_docker_s_archive_is_loaded_from_anything(
    images: Images, packed: bool, source: Callable[[Images, bytes], list[Loaded]]
) -> None:
    data = docker_archive((CONFIG, [BASE, TOP], ["a:1", "quay.io/b:2"]))

    [loaded] = source(images, gzip.compress(data) if packed else data)

    assert loaded.image.id == digest(CONFIG)
    assert loaded.names == ("a:1", "quay.io/b:2")
    assert images.resolve("a:1").layers == (digest(BASE), digest(TOP))
    assert images.config_bytes(loaded.image) == CONFIG


def test_an_oci_layout_is_loaded_from_a_directory_and_a_tar(images: Images, tmp_path: Path) -> None:
    oci = Oci()
    entry = oci.image(CONFIG, [BASE, TOP], annotations=named("x:1"))

    with open_archive(str(oci.write(tmp_path / "layout", entry)), images.layout.images) as archive:
        [from_directory] = load(images, archive, now=NOW)
    [from_tar] = load_file(images, oci.archive(entry))

    assert from_directory.image.id == from_tar.image.id == digest(CONFIG)
    assert images.resolve("x:1").manifest == entry["digest"]
    meta = images.layers.meta(digest(BASE))
    assert meta is not None
    assert meta.blobs[0].compression == "gzip"


def test_several_images_share_layers(images: Images) -> None:
    other = config_of(BASE)

    loaded = load_file(images, docker_archive((CONFIG, [BASE, TOP], ["a"]), (other, [BASE], ["b"])))

    assert [each.names for each in loaded] == [("a:latest",), ("b:latest",)]
    assert len(os.listdir(images.layout.layers)) == 2


@pytest.mark.parametrize(
    "link",
    [symlink("two/layer.tar", "../one/layer.tar"), hard_link("two/layer.tar", "one/layer.tar")],
)
def test_a_layer_may_be_a_link_in_the_archive(images: Images, link: Member) -> None:
    config = config_of(BASE, BASE)
    layers = ["one/layer.tar", "two/layer.tar"]
    manifest = [{"Config": "c.json", "RepoTags": None, "Layers": layers}]

    [loaded] = load_file(
        images,
        make_tar(
            file("one/layer.tar", BASE),
            link,
            file("c.json", config),
            file("manifest.json", json.dumps(manifest).encode()),
        ),
    )

    assert loaded.names == ()
    assert images.lowers(loaded.image) == (images.layers.path(digest(BASE)),)


def test_the_image_for_this_machine_is_taken_from_an_index(images: Images) -> None:
    oci = Oci()
    arm, amd = config_of(TOP, architecture="arm64"), config_of(BASE)
    index = oci.index(
        oci.image(arm, [TOP], platform={"os": "linux", "architecture": "mips"}),
        oci.image(amd, [BASE], platform={"os": "linux", "architecture": os.uname().machine.replace("x86_64", "amd64").replace("aarch64", "arm64")}),
        oci.image(amd, [TOP], annotations={"vnd.docker.reference.type": "attestation-manifest"}),
    )  # fmt: skip
    entry = oci.blob(index, "application/vnd.oci.image.index.v1+json", annotations=named("m:1"))

    [loaded] = load_file(images, oci.archive(entry))

    assert loaded.image.id == digest(amd)
    assert loaded.names == ("m:1",)


@pytest.mark.parametrize(
    ("annotation", "names"),
    [("latest", ()), ("v1.2", ()), ("12", ()), ("web", ("web:latest",)), ("quay.io/a:1", ("quay.io/a:1",))],
)  # fmt: skip
def test_a_bare_tag_in_an_index_is_no_name(
    images: Images, annotation: str, names: tuple[str, ...]
) -> None:
    oci = Oci()

    [loaded] = load_file(
        images, oci.archive(oci.image(CONFIG, [BASE, TOP], annotations=named(annotation)))
    )

    assert loaded.names == names


def test_a_name_that_moves_on_is_reported(images: Images) -> None:
    old = import_image(images, "a:1")

    [loaded] = load_file(images, docker_archive((CONFIG, [BASE, TOP], ["a:1"])))

    assert loaded.replaced == (("a:1", old.id),)
    assert images.resolve(old.id).names == ()


GOOD = docker_archive((CONFIG, [BASE, TOP], ["a:1"]))
OCI = Oci()
ENTRY = OCI.image(CONFIG, [BASE, TOP])
BAD_OCI = Oci()
BAD_ENTRY = BAD_OCI.image(CONFIG, [BASE, TOP])
BAD_BLOB = next(name for name, data in BAD_OCI.files.items() if data[:2] == b"\x1f\x8b")
BAD_OCI.files[BAD_BLOB] = gzip.compress(BASE, 1, mtime=1)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "neither manifest.json nor index.json"),
        (b"rubbish" * 200, "there is no tar header"),
        (make_tar(file("etc/passwd")), "neither manifest.json nor index.json"),
        (make_tar(file("repositories", b"{}")), "Docker before 1.10 made it"),
        (make_tar(file("manifest.json", b"[]")), "manifest.json names no image"),
        (make_tar(file("manifest.json", b"{")), "manifest.json is not JSON"),
        (make_tar(file("manifest.json", b"[{}]")), "lacks Config or Layers"),
        (GOOD[: GOOD.index(b"t" * 1) + 9000], "cut off in the middle of"),
        (gzip.compress(GOOD, mtime=1)[:-500], "the gzip stream ends too early"),
        (docker_archive((CONFIG, [BASE], ["a"])), "configuration has 2 layers, its manifest 1"),
        (docker_archive((CONFIG, [TOP, BASE], ["a"])), "its contents have the digest"),
        (docker_archive((CONFIG, [BASE, b"x" * 512], ["a"])), "no tar header"),
        (docker_archive((CONFIG, [BASE, TOP[:700]], ["a"])), "in the padding of a file"),
        (docker_archive((b"{}[", [], ["a"])), "its configuration"),
        (docker_archive((CONFIG, [BASE, TOP], ["A"])), "repository names are lower case"),
        (docker_archive((CONFIG, [BASE, TOP], ["host"])), "'host' always means this machine"),
        (make_tar(file("manifest.json", b'[{"Config":"../x","Layers":[]}]')), r"\.\./x"),
        (OCI.archive({**ENTRY, "digest": digest(b"?")}), "is missing from it"),
        (OCI.archive({**ENTRY, "digest": "sha256:../../x"}), "is not a sha256 digest"),
        (OCI.archive(), "has no image for linux/"),
        (BAD_OCI.archive(BAD_ENTRY), f"'{BAD_BLOB}' of .* its digest is sha256:"),
    ],
)
def test_a_damaged_archive_leaves_nothing(images: Images, data: bytes, reason: str) -> None:
    kept = import_image(images, "kept")
    before = files_in(images)

    with pytest.raises(RuntimeFailure, match=reason):
        load_file(images, data)

    assert files_in(images) == before
    assert list(images.tags().values()) == [kept.id]


def test_layers_that_are_there_are_not_read_again(images: Images) -> None:
    load_file(images, GOOD)
    # The second layer cannot be read; it need not.
    manifest = [{"Config": "c", "RepoTags": ["b"], "Layers": ["none", "nothing"]}]

    [loaded] = load_file(
        images,
        make_tar(file("c", CONFIG), file("manifest.json", json.dumps(manifest).encode())),
    )

    assert loaded.image.names == ("a:1", "b:latest")


_LOAD = """\
import sys, time
from runtime.store.layout import Layout
from runtime.store.images import Images
from runtime.store.archive import open_stream
from runtime.store.load import load
images = Images(Layout(sys.argv[1]))
with open_stream(0, images.layout.images, "standard input") as archive:
    for loaded in load(images, archive, now=time.time()):
        print(loaded.image.id, flush=True)
"""


def start_load(images: Images, archive: Path) -> subprocess.Popen[bytes]:
    with archive.open("rb") as source:
        return subprocess.Popen(
            [sys.executable, "-c", _LOAD, images.layout.root],
            stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip


def big_archive(path: Path) -> Path:
    layers = [make_tar(*(file(f"{n}-{i}", b"x" * 2000) for i in range(3000))) for n in range(2)]
    path.write_bytes(docker_archive((config_of(*layers), layers, ["big"])))
    return path


def test_two_loads_at_once_give_one_image(images: Images, tmp_path: Path) -> None:
    archive = big_archive(tmp_path / "big.tar")

    loads = [start_load(images, archive) for _ in range(3)]

    answers = [load.communicate(timeout=60) for load in loads]
    assert [load.returncode for load in loads] == [0, 0, 0], answers
    assert len({out for out, _ in answers}) == 1
    image = images.resolve("big")
    assert len(os.listdir(images.layout.layers)) == 2
    for diff_id in image.layers:
        for _ in images.layers.stream(diff_id):
            pass


def test_a_killed_load_is_healed_by_the_next_command(images: Images, tmp_path: Path) -> None:
    archive = big_archive(tmp_path / "big.tar")
    load = start_load(images, archive)
    layers = Path(images.layout.layers)
    eventually(lambda: any(layers.glob(".tmp-*/diff/*-5*")), timeout=30.0)

    load.send_signal(signal.SIGKILL)
    load.communicate()

    assert list(layers.glob(".tmp-*"))
    image = import_image(images, "other")
    assert os.listdir(layers) == [image.layers[0].removeprefix("sha256:")]


def test_removal_waits_for_no_load_and_takes_nothing_from_it(
    images: Images, tmp_path: Path
) -> None:
    """Tidying while others load never removes a layer that a load counts on."""
    archive = big_archive(tmp_path / "big.tar")
    load = start_load(images, archive)

    while load.poll() is None:
        images.tidy()

    assert load.returncode == 0, load.communicate()
    assert all(os.path.isdir(path) for path in images.lowers(images.resolve("big")))
    load.communicate()


def test_a_member_that_is_a_fifo_does_not_hang(images: Images, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    layout.mkdir()
    os.mkfifo(layout / "manifest.json")

    with (
        open_archive(str(layout), images.layout.images) as archive,
        pytest.raises(RuntimeFailure, match="neither"),
    ):
        list(load(images, archive, now=NOW))


def test_a_layout_s_links_stay_inside(images: Images, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("[]")
    layout = tmp_path / "layout"
    layout.mkdir()
    (layout / "manifest.json").symlink_to("../secret")

    with (
        open_archive(str(layout), images.layout.images) as archive,
        pytest.raises(RuntimeFailure, match="neither"),
    ):
        list(load(images, archive, now=NOW))


def test_an_archive_that_is_not_there_is_said(images: Images) -> None:
    with pytest.raises(RuntimeFailure, match=r"cannot open '/nowhere': No such file"):
        open_archive("/nowhere", images.layout.images)


def test_a_document_that_is_too_large_is_refused(images: Images) -> None:
    stream = io.BytesIO(make_tar(file("manifest.json", b" " * (5 << 20))))

    with pytest.raises(RuntimeFailure, match=r"'manifest\.json' is too large"):
        load_file(images, stream.getvalue())
