"""`import`: a root file system as a tar, with or without compression, becomes an image."""

from __future__ import annotations

from runtime.model import timestamp
from runtime.model.image import image_config as model
from runtime.model.image import reference
from runtime.model.image.image_config import History, ImageConfig
from runtime.store import host
from runtime.store.layers import Pin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.store.feed import ReadableStream
    from runtime.store.images import Image, Images


def import_rootfs(
    images: Images,
    source: ReadableStream,
    name: str,
    *,
    now: float,
    message: str = "",
    change: Callable[[ImageConfig], ImageConfig] = lambda config: config,
    what: str = "the root file system",
) -> Image:
    """Make an image with one layer of the tar stream *source* and call it *name* (may be empty).

    *change* gets the configuration, which is empty but for its layer, and returns the one to use:
    see `runtime.language.commit_change`.  *message* goes to its history; *what* names the source
    in errors.

    Raises:
        RuntimeFailure: *source* is no tar archive, or *name* is no name; nothing is left behind.
    """
    names = [str(reference.parse_tagged(name))] if name else []
    try:
        with Pin() as pin:
            meta = images.layers.unpack(source, pin, what=what)
            created = timestamp.render(now)
            config = ImageConfig(
                architecture=host.architecture(),
                created=created,
                comment=message,
                history=(History(created=created, comment=message),),
                diff_ids=(meta.diff_id,),
            )
            return images.add(model.to_json(change(config)), names, now=now)
    finally:
        images.tidy()  # the layer, if it became no image, and what killed imports left
