"""Images between our store, Docker as Debian ships it, and skopeo: same ids, same files."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.linux import overlay
from runtime.store import inspection, removal, save
from runtime.store.archive import open_archive
from runtime.store.images import Image, Images
from runtime.store.layers import Pin
from runtime.store.layout import Layout
from runtime.store.load import load
from runtime.store.rootfs import import_rootfs
from tests.support.docker import Docker
from tests.support.trees import Node, tree

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "docker", "busybox", "skopeo")]

_DOCKERFILE = """\
FROM test/busybox
RUN mkdir -p /d/e && echo one > /d/one && echo two > /d/two && chmod 4755 /d/one && ln /d/one /hard
RUN rm /d/two && rm -r /d/e && mkdir /d/e && touch /d/e/new && ln -s /d /link && mkfifo /pipe
RUN chown 1000:1001 /d/one && rm /bin/vi && mv /tmp /moved
ENV A="b <c> & d"
EXPOSE 80 53/udp
VOLUME /data
LABEL z=1 a="ü"
USER 1000
WORKDIR /d
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5s --retries=2 CMD ["true"]
ONBUILD RUN true
SHELL ["/bin/sh", "-ec"]
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["echo $A"]
"""


@pytest.fixture(scope="module")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a root file system with busybox alone, as a tar."""
    root = tmp_path_factory.mktemp("busybox")
    for name in ("bin", "etc", "tmp"):
        (root / name).mkdir()
    subprocess.run(["cp", "/bin/busybox", str(root / "bin")], check=True)
    listed = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True)
    for applet in {*listed.stdout.split(), "sh"} - {"busybox"}:
        (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    archive = root.with_suffix(".tar")
    subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], check=True)
    return archive


@pytest.fixture(scope="module")
def built(docker: Docker, busybox: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return an image that docker built, with everything a layer or a configuration can have."""
    docker("import", str(busybox), "test/busybox")
    context = tmp_path_factory.mktemp("context")
    (context / "Dockerfile").write_text(_DOCKERFILE)
    return docker.build("test/built:1", context)


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(Layout(str(tmp_path / "root")))


def load_from(images: Images, place: Path) -> Image:
    """Load an archive with one image and return it."""
    with open_archive(str(place), images.layout.images) as archive:
        [loaded] = load(images, archive, now=time.time())
    return loaded.image


def save_to(images: Images, place: Path, *names: str, form: str = "docker") -> Path:
    with place.open("wb") as out:
        save.write_tar(images, save.choose(images, names), out.write, form=form)
    return place


@pytest.fixture
def merged(tmp_path: Path) -> Iterator[Path]:
    """Return a directory to mount an image at."""
    target = tmp_path / "merged"
    target.mkdir()
    yield target
    if os.path.ismount(target):
        overlay.umount(str(target))


def view(images: Images, image: Image, target: Path) -> dict[str, Node]:
    """Return what a container made from *image* sees."""
    overlay.mount(images.lowers(image), "", f"{target.parent}/work", str(target))
    found = tree(target)
    overlay.umount(str(target))
    return found


def exported(docker: Docker, name: str, place: Path) -> dict[str, Node]:
    """Return what docker's containers made from *name* see, by docker export and GNU tar."""
    container = docker("create", name).stdout.strip()
    place.mkdir()
    docker("export", "-o", f"{place}.tar", container)
    docker("rm", container)
    subprocess.run(["tar", "-C", str(place), "-xpf", f"{place}.tar"], check=True)
    return tree(place)


def test_what_docker_saves_has_docker_s_id_files_and_words(
    docker: Docker, built: str, images: Images, tmp_path: Path, merged: Path
) -> None:
    docker("save", "-o", str(tmp_path / "saved.tar"), built)

    image = load_from(images, tmp_path / "saved.tar")

    theirs = json.loads(docker("image", "inspect", built).stdout)[0]
    ours = inspection.inspect(images, image)
    for key in ("Id", "RepoTags", "Created", "Config", "Architecture", "Os", "RootFS", "Size"):
        assert ours[key] == theirs[key], key
    expected = exported(docker, built, tmp_path / "theirs")
    # docker export shows what it bind-mounts over every container's /etc, /dev, /proc, /sys.
    added = {p for p in expected if p.split("/")[0] in ("dev", "proc", "sys", "etc", "data", ".dockerenv")}  # fmt: skip
    seen = view(images, image, merged)
    assert {p: n for p, n in expected.items() if p not in added} == {
        p: n for p, n in seen.items() if p not in added
    }


def test_docker_loads_what_we_save(
    docker: Docker, built: str, images: Images, tmp_path: Path
) -> None:
    docker("save", "-o", str(tmp_path / "saved.tar"), built)
    image = load_from(images, tmp_path / "saved.tar")
    archive = save_to(images, tmp_path / "ours.tar", built)
    docker("tag", built, "test/keep")
    docker("rmi", built)

    docker("load", "-i", str(archive))

    loaded = json.loads(docker("image", "inspect", built).stdout)[0]
    assert loaded["Id"] == image.id
    said = docker("run", "--rm", "--network=none", built, "echo $A").stdout
    assert said == "b <c> & d\n"


def test_docker_runs_what_we_import(
    docker: Docker, busybox: Path, images: Images, tmp_path: Path
) -> None:
    with busybox.open("rb") as source:
        image = import_rootfs(images, source, "ours/busybox:9", now=time.time(), message="hello")
    archive = save_to(images, tmp_path / "ours.tar", "ours/busybox:9")

    docker("load", "-i", str(archive))

    shown = json.loads(docker("image", "inspect", "ours/busybox:9").stdout)[0]
    assert (shown["Id"], shown["Comment"], shown["Size"]) == (image.id, "hello", image.size)
    said = docker("run", "--rm", "--network=none", "ours/busybox:9", "/bin/echo", "hi").stdout
    assert said == "hi\n"


def test_docker_and_we_agree_on_an_imported_layer(
    docker: Docker, busybox: Path, images: Images
) -> None:
    docker("import", str(busybox), "test/busybox")
    theirs = json.loads(docker("image", "inspect", "test/busybox").stdout)[0]

    with busybox.open("rb") as source:
        image = import_rootfs(images, source, "x", now=time.time())

    assert list(image.layers) == theirs["RootFS"]["Layers"]
    assert image.size == theirs["Size"]


def test_a_layer_of_ours_gives_docker_the_same_files(
    docker: Docker, busybox: Path, images: Images, tmp_path: Path, merged: Path
) -> None:
    """What a container changed, committed by us, looks the same to docker's containers."""
    with busybox.open("rb") as source:
        base = import_rootfs(images, source, "base", now=time.time())
    upper, work = tmp_path / "upper", tmp_path / "work"
    upper.mkdir()
    work.mkdir()
    overlay.mount(images.lowers(base), str(upper), str(work), str(merged))
    script = """
        rm bin/vi; rm -r etc; mkdir etc; echo x > etc/new; echo y > tmp/f; ln tmp/f tmp/g
        mkdir tmp/d; chmod 1777 tmp/d; chown 5:6 tmp/f; ln -s /nowhere s; touch -d @12345 tmp/f
    """
    subprocess.run(["sh", "-ec", script], cwd=merged, check=True)
    seen = tree(merged)
    overlay.umount(str(merged))
    with Pin() as pin:
        layer = images.layers.adopt(str(upper), pin)
        document = json.loads(images.config_bytes(base))
        document["rootfs"]["diff_ids"].append(layer.diff_id)
        document["history"].append({"created_by": "test"})
        document["config"] = {"Cmd": ["sh"]}
        images.add(json.dumps(document).encode(), ["changed"], now=time.time())

    docker("load", "-i", str(save_to(images, tmp_path / "ours.tar", "changed")))

    theirs = exported(docker, "changed", tmp_path / "theirs")
    added = {p for p in theirs if p.split("/")[0] in ("dev", "proc", "sys", ".dockerenv")}
    added |= {"etc", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab"}
    assert {p: n for p, n in theirs.items() if p not in added} == {
        p: n for p, n in seen.items() if p not in added
    }


@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive", "oci"])
def test_skopeo_reads_what_we_save_and_we_what_it_writes(
    docker: Docker, built: str, images: Images, tmp_path: Path, transport: str
) -> None:
    docker("save", "-o", str(tmp_path / "saved.tar"), built)
    image = load_from(images, tmp_path / "saved.tar")
    form = "docker" if transport == "docker-archive" else "oci"
    ours = tmp_path / "ours"
    if transport == "oci":
        save.write_directory(images, save.choose(images, [built]), str(ours))
    else:
        save_to(images, ours, built, form=form)

    skopeo("copy", f"{transport}:{ours}", f"{transport}:{tmp_path}/theirs:test/built:1")

    other = Images(Layout(str(tmp_path / "other")))
    again = load_from(other, tmp_path / "theirs")
    assert again.id == image.id
    assert again.names == ("test/built:1",)
    assert again.layers == image.layers


def test_an_oci_layout_of_skopeo_s_is_read(
    docker: Docker, built: str, images: Images, tmp_path: Path
) -> None:
    docker("save", "-o", str(tmp_path / "saved.tar"), built)
    theirs = json.loads(docker("image", "inspect", built).stdout)[0]

    skopeo("copy", f"docker-archive:{tmp_path}/saved.tar", f"oci:{tmp_path}/layout:test/built:1")
    image = load_from(images, tmp_path / "layout")

    # Its configuration is another one: skopeo drops what OCI does not know, like HEALTHCHECK.
    assert list(image.layers) == theirs["RootFS"]["Layers"]
    assert image.size == theirs["Size"]
    metas = [images.layers.meta(diff_id) for diff_id in image.layers]
    assert all(meta is not None and meta.blobs[0].compression == "gzip" for meta in metas)


def test_several_images_go_both_ways_in_one_archive(
    docker: Docker, built: str, images: Images, tmp_path: Path
) -> None:
    docker("save", "-o", str(tmp_path / "both.tar"), built, "test/busybox")

    with open_archive(str(tmp_path / "both.tar"), images.layout.images) as archive:
        loaded = list(load(images, archive, now=time.time()))
    archive_of_ours = save_to(images, tmp_path / "ours.tar", built, "test/busybox:latest")
    said = docker("load", "-i", str(archive_of_ours)).stdout

    assert sorted(name for each in loaded for name in each.names) == [
        *("test/built:1", "test/busybox:latest"),
    ]
    assert said.count("Loaded image: ") == 2


def test_removal_says_what_docker_says(
    docker: Docker, busybox: Path, images: Images, tmp_path: Path
) -> None:
    with busybox.open("rb") as source:
        import_rootfs(images, source, "gone:1", now=time.time(), message=str(tmp_path))
    docker("load", "-i", str(save_to(images, tmp_path / "ours.tar", "gone:1")))

    theirs = docker("rmi", "gone:1").stdout.splitlines()
    ours = removal.remove(images, "gone:1")

    # Docker keeps the layer where another of its images has it.
    assert ours[: len(theirs)] == theirs


def skopeo(*arguments: str) -> None:
    done = subprocess.run(
        ["skopeo", "--insecure-policy", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
