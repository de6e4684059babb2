"""Images that are read while another process removes them: all of it, or "removed meanwhile"."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.exchange import pushing
from runtime.model.errors import RuntimeFailure
from runtime.model.image.reference import parse_tagged
from runtime.store import removal, save
from runtime.store.images import Images
from runtime.store.layers import Pin
from tests.support.attack import rounds
from tests.support.images import import_image, make_images
from tests.support.scripts import ROOT
from tests.support.tars import file

pytestmark = [pytest.mark.integration, pytest.mark.needs("root")]

_PRUNE = """
import os, sys
from runtime.store import removal
from runtime.store.images import Images
from runtime.store.layout import Layout
images = Images(Layout(sys.argv[1]))
while not os.path.exists(sys.argv[2]):
    removal.prune(images, everything=True)
"""


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return make_images(tmp_path)


@pytest.fixture
def pruned(images: Images, tmp_path: Path) -> Iterator[None]:
    """Another process that prunes as fast as it can, and must not fail."""
    stop = tmp_path / "stop"
    import_image(images, "first:1")
    process = subprocess.Popen(
        [sys.executable, "-c", _PRUNE, images.layout.root, str(stop)],
        stderr=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    yield
    stop.touch()
    _, said = process.communicate()
    assert process.returncode == 0, said


@pytest.mark.usefixtures("pruned")
def test_save_and_push_beside_prune_read_all_of_an_image_or_say_that_it_is_gone(
    images: Images,
) -> None:
    for number in rounds():
        try:
            image = import_image(images, f"a:{number}", file("f", b"%d" % number * 9999))
            out = io.BytesIO()
            save.write_tar(images, save.choose(images, [image.id]), out.write)
            with Pin() as pin:
                pushing.outgoing(images, image, parse_tagged("a/b:1"), pin)
        except RuntimeFailure as failure:
            assert any(  # noqa: PT017 - either way is right
                words in failure.message
                for words in (
                    "was removed meanwhile",
                    "no such image",
                    "No such image",
                    "unknown image",
                )
            ), failure.message
        else:
            out.seek(0)
            with tarfile.open(fileobj=out) as archive:
                assert "manifest.json" in archive.getnames()


def test_prune_in_the_middle_of_a_save_takes_nothing_away(images: Images) -> None:
    image = import_image(images, "a:1")
    pieces: list[bytes] = []

    def write(data: bytes) -> None:
        if not pieces:
            removal.prune(images, everything=True)
        pieces.append(data)

    save.write_tar(images, save.choose(images, ["a:1"]), write)

    assert images.get(image.id) is None
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
        assert len(archive.getmembers()) == 7 + 1


def test_an_image_removed_before_it_is_held_is_said(images: Images) -> None:
    import_image(images, "a:1")
    chosen = save.choose(images, ["a:1"])
    removal.remove(images, "a:1")

    with pytest.raises(RuntimeFailure, match="image 'a:1' was removed meanwhile"):
        save.write_tar(images, chosen, lambda data: None)  # noqa: ARG005 - nothing is kept


def test_prune_goes_on_where_an_image_is_needed(images: Images) -> None:
    needed = import_image(images, "a:1", file("a"))
    import_image(images, "b:1", file("b"))

    with images.pinned(needed):  # a container is being made from it
        lines, _ = removal.prune(images, everything=True)

    assert [line for line in lines if line.startswith("Untagged")] == ["Untagged: b:1"]
    assert images.get(needed.id) is not None
