"""Records of steps: kept, found, forgotten; torn ones are none."""

from __future__ import annotations

import os
from pathlib import Path

from runtime.store.build_cache import BuildCache, CachedStep
from runtime.store.layout import Layout
from tests.support.images import import_image, make_images

KEY = "ab" * 32


def records(directory: Path) -> Path:
    return directory / "root/build/steps"


def make(directory: Path) -> BuildCache:
    return BuildCache(Layout(str(directory / "root")))


def test_what_is_kept_is_found(tmp_path: Path) -> None:
    cache = make(tmp_path)
    step = CachedStep(layer="sha256:1", created="2026-01-01T00:00:00Z", text="RUN x", seconds=1.5)

    cache.keep(KEY, step)

    assert cache.find(KEY) == step
    assert cache.layers() == {"sha256:1"}


def test_what_is_forgotten_is_gone_and_may_be_forgotten_again(tmp_path: Path) -> None:
    cache = make(tmp_path)
    cache.keep(KEY, CachedStep(text="RUN true"))

    cache.forget(KEY)
    cache.forget(KEY)

    assert cache.find(KEY) is None


def test_a_torn_record_is_none(tmp_path: Path) -> None:
    cache = make(tmp_path)
    cache.keep(KEY, CachedStep(text="RUN true"))
    (records(tmp_path) / f"{KEY}.json").write_text("")

    assert cache.find(KEY) is None
    assert cache.all() == []


def test_a_use_is_noted(tmp_path: Path) -> None:
    cache = make(tmp_path)
    cache.keep(KEY, CachedStep(text="RUN true"))
    os.utime(records(tmp_path) / f"{KEY}.json", (1, 1))

    cache.find(KEY)

    ((_, _, used),) = cache.all()
    assert used > 1


def test_tidy_removes_what_a_killed_process_left(tmp_path: Path) -> None:
    cache = make(tmp_path)
    cache.keep(KEY, CachedStep(text="RUN true"))
    (records(tmp_path) / ".tmp-x").touch()

    cache.tidy()

    assert [path.name for path in records(tmp_path).iterdir()] == [f"{KEY}.json"]


def test_a_layer_stays_as_long_as_a_record_names_it(tmp_path: Path) -> None:
    images = make_images(tmp_path)
    image = import_image(images, "x")
    (layer,) = image.layers
    cache = make(tmp_path)
    cache.keep(KEY, CachedStep(layer=layer))
    with images.changing():
        images.write_tags({})
        images.discard(image.id, retire=False)

    images.tidy()
    kept = images.layers.meta(layer)
    cache.forget(KEY)
    images.tidy()

    assert kept is not None
    assert images.layers.meta(layer) is None
