"""`load`: the images of an archive come into the store, each as a whole or not at all."""

from __future__ import annotations

from runtime.model.errors import RuntimeFailure
from runtime.model.image import digest as digests
from runtime.model.image import image_config as model
from runtime.model.image import reference
from runtime.store import host, manifests
from runtime.store.layers import Pin
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runtime.store.archive import ArchiveFile
    from runtime.store.images import Image, Images
    from runtime.store.manifests import Packed


class Loaded(Record):
    """One image that is in the store now."""

    image: Image
    names: tuple[str, ...]  # familiar; empty when the archive gave it none
    replaced: tuple[tuple[str, str], ...] = ()  # (name, id of the image that had it before)


def load(
    images: Images,
    archive: ArchiveFile,
    *,
    now: float,
    progress: Callable[[str], None] = lambda layer: None,  # noqa: ARG005 - what it is called with
) -> Iterator[Loaded]:
    """Yield the images of *archive* as they come into the store.

    Layers that are there already are not read; *progress* is told the diff id of each other one
    before it is unpacked.

    Raises:
        RuntimeFailure: the archive is damaged; images yielded before stay, others are not added.
    """
    packed = manifests.images_in(archive, host.architecture())
    try:
        for image in packed:
            yield _load_one(images, archive, image, now, progress)
    finally:
        # What a failure left; nothing else has the layers of an image that was not added.
        images.tidy()


def _load_one(
    images: Images,
    archive: ArchiveFile,
    packed: Packed,
    now: float,
    progress: Callable[[str], None],
) -> Loaded:
    config = _configuration(archive, packed)
    references = [reference.parse_tagged(name) for name in packed.names]
    with Pin() as pin:
        for layer, diff_id in zip(packed.layers, config.diff_ids, strict=True):
            if images.layers.hold(diff_id, pin) is not None:
                continue
            member = archive.find(layer.member)
            if member is None:
                raise RuntimeFailure(
                    f"cannot load {archive.what}: '{layer.member}' is missing from it"
                )
            progress(diff_id)
            images.layers.unpack(
                member,
                pin,
                diff_id=diff_id,
                blob_digest=layer.digest,
                what=f"'{layer.member}' of {archive.what}",
            )
        before = images.tags()
        image = images.add(
            packed.config, [str(name) for name in references], now=now, manifest=packed.manifest
        )
    replaced = tuple(
        (name.familiar, before[str(name)])
        for name in references
        if before.get(str(name), image.id) != image.id
    )
    return Loaded(image, tuple(name.familiar for name in references), replaced)


def _configuration(archive: ArchiveFile, packed: Packed) -> model.ImageConfig:
    try:
        config = model.from_json(packed.config)
    except ValueError as error:
        raise RuntimeFailure(f"cannot load {archive.what}: its configuration: {error}") from error
    for diff_id in config.diff_ids:
        if not digests.is_digest(diff_id):
            raise RuntimeFailure(f"cannot load {archive.what}: '{diff_id}' is not a sha256 digest")
    if len(config.diff_ids) != len(packed.layers):
        raise RuntimeFailure(
            f"cannot load {archive.what}: its configuration has {len(config.diff_ids)} layers, "
            f"its manifest {len(packed.layers)}"
        )
    return config
