"""A step's layer: from the build cache, else made.

A step's files become a layer as the overlay's upper directory has them.  What is kept in the
cache is which layer the step made, under all that the step depended on (`runtime.builder.cache_keys`).
"""

from __future__ import annotations

import os
import time

from runtime.builder import stage_image
from runtime.linux.failpoints import reached
from runtime.store.build_cache import CachedStep
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.builder.stage import BuildStage
    from runtime.builder.stage_image import StageImage


class LayerStep(Record):
    """One instruction that makes files."""

    keys: Sequence[Callable[[], str]]  # asked for in order, cheapest first, until one is cached
    # Fills ``upper``; gets (directories below, top first; the step's directory).
    make: Callable[[Sequence[str], str], None]
    history: str  # for the image's history
    shown: str  # for a person who watches


def add_layer(stage: BuildStage, image: StageImage, step: LayerStep) -> StageImage:
    """Return *image* with the layer of *step*, taken from the cache or made on the stage's files.

    Raises:
        RuntimeFailure: the step cannot be done.
    """
    begun = time.monotonic()
    stage.begin_step(step.shown)
    cached, tried = _look_up(stage, step)
    result = cached
    if result is None:
        result = _make(stage, step, begun)
        reached("build-layer-made")
    for key in tried if cached is None else tried[:-1]:
        stage.cache.keep(key, result)
    changed = stage_image.with_history(image, step.history, result.created, layer=result.layer)
    stage.end_step(begun, cached=cached is not None)
    return changed


def _look_up(stage: BuildStage, step: LayerStep) -> tuple[CachedStep | None, list[str]]:
    """Return (what the cache has, with its layer held; the keys that were tried, that one last)."""
    tried = []
    for make_key in step.keys:
        tried.append(make_key())
        cached = None if stage.job.request.no_cache else stage.cache.find(tried[-1])
        if cached is None:
            continue
        if not cached.layer or stage.layers.hold(cached.layer, stage.pin) is not None:
            return cached, tried
        # Its layer was removed: as good as not cached.
    return None, tried


def _make(stage: BuildStage, step: LayerStep, begun: float) -> CachedStep:
    lowers = stage.sandbox.lowers(stage.image)
    with stage.sandbox.step(lowers) as directory:
        reached("build-step-begun")
        step.make(lowers, directory)
        reached("build-step-done")
        result = CachedStep(created=stage.now(), text=step.shown)
        upper = f"{directory}/upper"
        if os.listdir(upper):
            meta = stage.layers.adopt(upper, stage.pin, latest=stage.job.request.epoch)
            if meta.entries:
                result = result.replace(layer=meta.diff_id, size=meta.size)
        return result.replace(seconds=round(time.monotonic() - begun, 3))
