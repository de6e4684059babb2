"""Pulling: reference → manifest → configuration → layers, several at a time, into a sink.

Where things end up is the sink's business: `runtime.exchange.pulling` gives one on the store.  A
layer is unpacked while it arrives; what it is checked against are the digests of the manifest and
of the configuration.
"""

from __future__ import annotations

import errno
import threading

from runtime.model.errors import RuntimeFailure
from runtime.model.image import digest as digests
from runtime.model.image import image_config as images
from runtime.registry import documents
from runtime.registry.documents import Platform
from runtime.registry.download import BlobDownload
from runtime.registry.problems import CorruptError, RegistryError
from runtime.registry.workers import Workers
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from runtime.model.image.image_config import ImageConfig
    from runtime.registry.client import RegistryClient
    from runtime.registry.documents import Descriptor, Document, Manifest
    from runtime.registry.source import ImageSource

    class ByteSource(Protocol):
        """Bytes in order."""

        def read(self, size: int, /) -> bytes:
            """Return up to *size* bytes, none at the end."""

    class LayerSink(Protocol):
        """Where an image goes; its methods are called by several threads."""

        def document(self, digest: str) -> bytes | None:
            """Return a configuration that is there already."""

        def has_layer(self, diff_id: str) -> bool:
            """Return whether the layer is there already, and keep it there."""

        def layer(self, diff_id: str, blob: Descriptor, source: ByteSource) -> None:
            """Unpack a layer; raises RuntimeFailure if it is not what the digests say."""

    class TransferProgress(Protocol):
        """Who is told how it goes; its methods are called by several threads."""

        def say(self, text: str) -> None:
            """Hear one sentence about the whole."""

        def layer(self, digest: str, status: str, done: int = 0, total: int = 0) -> None:
            """Hear what happens to one layer; bytes."""


WAITING = "Pulling fs layer"
COMPLETE = "Pull complete"
PRESENT = "Already exists"
_DEEPEST = 4  # indexes of indexes
_FULL = (errno.ENOSPC, errno.EDQUOT)
_TRIES = 2  # of one blob whose bytes are wrong


class Pulled(Record):
    """What a registry said the reference is."""

    digest: str  # what the name stands for there: an index's, or the manifest's
    manifest: bytes
    config: bytes


def pull(
    source: ImageSource,
    wanted: Platform,
    sink: LayerSink,
    progress: TransferProgress,
    *,
    directory: str,
    parallel: int,
    is_explicit: bool = False,
) -> Pulled:
    """Bring the image that *source* is about to *sink*; its layers are there when this returns.

    Half-downloaded blobs lie in *directory*, which exists.  *is_explicit* says that a person asked
    for the platform *wanted*.

    Raises:
        RuntimeFailure: it is not to be had, not an image, damaged, or does not fit on the disk.
    """
    name = source.reference
    tag_or_digest = name.digest or name.tag
    top, manifest = source.first(lambda client: _manifest(client, tag_or_digest, wanted))
    config = sink.document(manifest.config.digest)
    if config is None:
        config = source.first(lambda client: client.document(manifest.config))
    parsed = _configuration(source, manifest, config)
    has = Platform(parsed.os or "linux", parsed.architecture, parsed.variant)
    if has.os != wanted.os or (is_explicit and not documents.fits(has, wanted)):
        raise RuntimeFailure(
            f"cannot pull {name.familiar}: it is not for {wanted}", f"it is for {has}", code=1
        )
    _PulledLayers(source, sink, progress, directory).run(
        list(zip(parsed.diff_ids, manifest.layers, strict=True)), parallel
    )
    return Pulled(top.digest, manifest.document.data, config)


def _manifest(client: RegistryClient, wanted: str, platform: Platform) -> tuple[Document, Manifest]:
    """Return (what the name stands for, the manifest for *platform*)."""
    top = document = client.manifest(wanted)
    for _ in range(_DEEPEST):
        if not document.is_index:
            return top, documents.manifest(document)
        document = client.manifest(documents.choose(document, platform).digest)
    raise RegistryError("its indexes are too deep")


def _configuration(source: ImageSource, manifest: Manifest, config: bytes) -> ImageConfig:
    name = source.reference.familiar
    try:
        parsed = images.from_json(config)
    except (ValueError, RecursionError) as error:
        reason = f"its configuration: {error}"
        raise RuntimeFailure(f"cannot pull {name}: {reason}", code=1) from error
    for diff_id in parsed.diff_ids:
        if not digests.is_digest(diff_id):
            message = f"cannot pull {name}: its configuration: '{diff_id}' is not a sha256 digest"
            raise RuntimeFailure(message, code=1)
    if len(parsed.diff_ids) != len(manifest.layers):
        raise RuntimeFailure(
            f"cannot pull {name}: its configuration has {len(parsed.diff_ids)} layers, "
            f"its manifest {len(manifest.layers)}",
            code=1,
        )
    return parsed


class _PulledLayers:
    """The layers of one image on their way, each in a thread; the first failure ends all."""

    def __init__(
        self, source: ImageSource, sink: LayerSink, progress: TransferProgress, directory: str
    ) -> None:
        self._source = source
        self._sink = sink
        self._progress = progress
        self._directory = directory
        self._under_way: set[BlobDownload] = set()
        self._changed = threading.Lock()  # of `_under_way`

    def run(self, layers: Sequence[tuple[str, Descriptor]], parallel: int) -> None:
        """Get all *layers*, (diff id, blob), that are not there; raises the first failure."""
        missing = []
        for diff_id, blob in dict(layers).items():
            if self._sink.has_layer(diff_id):
                self._progress.layer(blob.digest, PRESENT)
            else:
                self._progress.layer(blob.digest, WAITING)
                missing.append((diff_id, blob))
        Workers("layer", lambda item: self._layer(*item), self._stop).run(missing, parallel)

    def _stop(self) -> None:
        """Make every thread end soon."""
        self._source.transport.stop()
        with self._changed:
            under_way = list(self._under_way)
        for download in under_way:
            download.wake()

    def _layer(self, diff_id: str, blob: Descriptor) -> None:
        """Get one layer, once more from the start if the bytes were wrong."""
        clients = list(self._source.clients)
        for attempt in range(1, _TRIES + 1):
            problem = self._attempt(diff_id, blob, clients)
            if problem is None:
                return
            if attempt == _TRIES:
                raise problem
            clients.append(clients.pop(0))  # a mirror that is damaged is not asked first again
            self._progress.layer(blob.digest, "Retrying: it was damaged", 0, blob.size)

    def _attempt(
        self, diff_id: str, blob: Descriptor, clients: Sequence[RegistryClient]
    ) -> RuntimeFailure | None:
        """Return what is wrong with the bytes that came, None when they are in the sink.

        Raises:
            RuntimeFailure: it cannot be had, or the sink cannot take it.
        """
        short = digests.short(blob.digest)
        path = f"{self._directory}/{digests.hex_of(blob.digest)}"

        def tell(status: str, done: int) -> None:
            self._progress.layer(blob.digest, status, done, blob.size)

        download = BlobDownload(clients, self._source.transport, blob, path, tell)
        with self._changed:
            self._under_way.add(download)
        keep = True
        try:
            self._sink.layer(diff_id, blob, download)
            keep = False
        except CorruptError as error:
            keep = False
            return self._failed(short, f"{clients[0].shown}: {error.reason}")
        except RegistryError as error:
            raise self._failed(short, f"{clients[0].shown}: {error.reason}", error.hint) from error
        except RuntimeFailure as failure:
            if (trouble := _of_the_system(failure)) is not None:
                keep = trouble.errno not in _FULL
                raise
            if download.is_sound():
                raise
            keep = False
            return self._failed(
                short, f"what {clients[0].shown} sent is damaged: {failure.message}"
            )
        finally:
            with self._changed:
                self._under_way.discard(download)
            download.close(keep=keep)
        tell(COMPLETE, blob.size)
        return None

    def _failed(self, short: str, reason: str, hint: str = "") -> RuntimeFailure:
        name = self._source.reference.familiar
        return RuntimeFailure(f"cannot pull {name}: layer {short}: {reason}", hint, code=1)


def _of_the_system(failure: RuntimeFailure) -> OSError | None:
    """Return what the system refused, None when it was the bytes that were wrong."""
    cause: BaseException | None = failure
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__
    return cause
