"""Images from the store to registries: the way out, as `runtime.exchange.pulling` is the way in."""

from __future__ import annotations

from runtime.model.errors import RuntimeFailure
from runtime.model.image import reference as names
from runtime.registry import configuration, credentials, documents
from runtime.registry import push as sending
from runtime.registry.client import PUSH
from runtime.registry.documents import Descriptor
from runtime.registry.problems import RegistryError
from runtime.registry.push import Outgoing, PushedLayer
from runtime.registry.source import ImageSource
from runtime.store.archive import unnamed_file
from runtime.store.layers import Blob, Pin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.image.reference import Reference
    from runtime.registry.pull import TransferProgress
    from runtime.registry.push import Pushed
    from runtime.registry.settings import Settings
    from runtime.store.images import Image, Images


def push(
    images: Images, reference: str, *, progress: TransferProgress, settings: Settings | None = None
) -> Pushed:
    """Send the image that *reference* names to the registry in that name.

    Raises:
        RuntimeFailure: there is no such image, it is this machine's own, or the registry does not
            take it.
    """
    name = names.parse_tagged(reference)
    image = images.resolve(reference)
    if image.is_host:
        raise RuntimeFailure(
            f"cannot push '{reference}': its lowest layer is this machine's own root, "
            "which is not in the store",
            "build it FROM an image that was pulled, loaded or imported",
            code=1,
        )
    chosen = settings or configuration.load()
    with Pin() as pin, ImageSource(chosen, name, credentials.find, PUSH) as source:
        sent = outgoing(images, image, name, pin)
        pushed = source.first(
            lambda client: sending.push(
                client,
                name.tag,
                sent,
                _Packer(images),
                progress,
                parallel=chosen.parallel,
                chunk=chosen.chunk,
            )
        )
    images.tag(image, f"{name.name}@{pushed.digest}")
    progress.say(f"{name.tag}: digest: {pushed.digest} size: {pushed.size}")
    return pushed


def outgoing(images: Images, image: Image, name: Reference, pin: Pin) -> Outgoing:
    """Return what goes out of *image* under *name*; its layers are in *pin*."""
    manifest = images.manifest_bytes(image) or b""
    received = _received(manifest, len(image.layers))
    layers = []
    held = images.hold(image, pin)
    for position, (diff_id, meta) in enumerate(zip(image.layers, held, strict=True)):
        known = [Descriptor(_kind(blob), blob.digest, blob.size) for blob in meta.blobs]
        if received:
            known.insert(0, received[position])
        unique = {descriptor.digest: descriptor for descriptor in reversed(known)}
        layers.append(PushedLayer(diff_id, tuple(reversed(unique.values())), meta.tar_size))
    others = [names.parse(digest) for digest in image.digests]
    repositories = [o.path for o in others if o.domain == name.domain and o.path != name.path]
    return Outgoing(
        images.config_bytes(image), tuple(layers), manifest, tuple(dict.fromkeys(repositories))
    )


def _received(manifest: bytes, count: int) -> tuple[Descriptor, ...]:
    """Return the layers as the manifest that came with the image names them."""
    if not manifest:
        return ()
    try:
        found = documents.manifest(documents.check(manifest, "", "")).layers
    except RegistryError:
        return ()  # an archive's, of another kind
    return found if len(found) == count else ()


def _kind(blob: Blob) -> str:
    return documents.layer_type(blob.compression)


class _Packer:
    """The store as where `runtime.registry.push` gets layers from."""

    def __init__(self, images: Images) -> None:
        self._images = images

    def pack(self, diff_id: str) -> tuple[int, Descriptor]:
        """Return (a file without a name, the compressed layer that is in it)."""
        fd = unnamed_file(self._images.layout.images)
        blob = self._images.layers.compress(diff_id, fd)
        return fd, Descriptor(_kind(blob), blob.digest, blob.size)
