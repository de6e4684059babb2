"""Pushing: of an image only what the registry lacks.

A layer that the repository has in any form we know of is not sent; one that another repository of
the same registry has is mounted; others are compressed and sent, several at a time.  If every layer
is there as the manifest that the image came with names it, that manifest is sent as it is, so
that the digest stays what it was.
"""

from __future__ import annotations

import json
import os

from runtime.model.image import digest as digests
from runtime.registry import documents, upload
from runtime.registry.client import RegistryClient
from runtime.registry.documents import Descriptor, Document
from runtime.registry.problems import RegistryError
from runtime.registry.workers import Workers
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from runtime.registry.pull import TransferProgress

    class LayerPacker(Protocol):
        """Who has the layers; its methods are called by several threads."""

        def pack(self, diff_id: str) -> tuple[int, Descriptor]:
            """Return (a file descriptor, owned by the caller; what the registry is told of it)."""


PREPARING = "Preparing"
PUSHED = "Pushed"
PRESENT = "Layer already exists"


class PushedLayer(Record):
    """One layer to push."""

    diff_id: str
    known: tuple[Descriptor, ...] = ()  # forms in which it may be there, the likeliest first
    size: int = 0  # bytes, about


class Outgoing(Record):
    """One image to push."""

    config: bytes
    layers: tuple[PushedLayer, ...]  # lowest first
    manifest: bytes = b""  # as it came, if it came with one
    repositories: tuple[str, ...] = ()  # others of the same registry that have had it


class Pushed(Record):
    """What the registry has."""

    digest: str
    size: int  # bytes, of the manifest


def push(
    client: RegistryClient,
    tag: str,
    image: Outgoing,
    packer: LayerPacker,
    progress: TransferProgress,
    *,
    parallel: int,
    chunk: int,
) -> Pushed:
    """Send *image* under *tag*.

    Raises:
        RegistryError: the registry does not take it.
        RuntimeFailure: a layer cannot be read.
    """
    for repository in image.repositories:
        client.widen(f"repository:{repository}:pull")
    layers = _PushedLayers(client, image, packer, progress, chunk).run(parallel)
    config = _send_config(client, image, chunk)
    document = _document(image, config, layers)
    client.put_manifest(tag, document)
    return Pushed(document.digest, len(document.data))


def _send_config(client: RegistryClient, image: Outgoing, chunk: int) -> Descriptor:
    digest = digests.digest_of(image.config)
    if not client.has_blob(digest):
        fd = os.memfd_create("config", os.MFD_CLOEXEC)
        try:
            os.write(fd, image.config)  # a memfd takes all of it
            size = len(image.config)
            upload.Upload(client, fd, digest, size, chunk=chunk).run()
        finally:
            os.close(fd)
    return Descriptor(documents.OCI_CONFIG, digest, len(image.config))


def _document(image: Outgoing, config: Descriptor, layers: list[Descriptor]) -> Document:
    """Return the manifest that came, if it still says what is there; else one of its kind."""
    before = _received(image)
    if before is not None and [one.digest for one in before.layers] == [
        one.digest for one in layers
    ]:
        return before.document
    is_docker = before is not None and before.document.media_type == documents.DOCKER_MANIFEST
    is_docker = is_docker and not any("zstd" in layer.media_type for layer in layers)
    kind = documents.DOCKER_MANIFEST if is_docker else documents.OCI_MANIFEST
    config_kind = documents.DOCKER_CONFIG if is_docker else documents.OCI_CONFIG
    value = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": _plain(config.replace(media_type=config_kind)),
        "layers": [_plain(documents.as_kind(layer, is_docker=is_docker)) for layer in layers],
    }
    data = json.dumps(value, separators=(",", ":")).encode()
    return Document(data, kind, digests.digest_of(data))


def _received(image: Outgoing) -> documents.Manifest | None:
    if not image.manifest:
        return None
    try:
        return documents.manifest(documents.check(image.manifest, "", ""))
    except RegistryError:
        return None  # it came in an archive, and is not of a kind that registries take


def _plain(descriptor: Descriptor) -> dict[str, object]:
    return {
        "mediaType": descriptor.media_type,
        "size": descriptor.size,
        "digest": descriptor.digest,
    }


class _PushedLayers:
    """The layers of one image on their way; the first failure ends all."""

    def __init__(
        self,
        client: RegistryClient,
        image: Outgoing,
        packer: LayerPacker,
        progress: TransferProgress,
        chunk: int,
    ) -> None:
        self._client = client
        self._image = image
        self._packer = packer
        self._progress = progress
        self._chunk = chunk
        self._done: dict[str, Descriptor] = {}

    def run(self, parallel: int) -> list[Descriptor]:
        """Return what each layer is in the registry, lowest first; raises the first failure."""
        layers = {layer.diff_id: layer for layer in self._image.layers}
        for diff_id in layers:
            self._progress.layer(diff_id, PREPARING)
        Workers("push", self._finish, self._client.transport.stop).run(layers.values(), parallel)
        return [self._done[layer.diff_id] for layer in self._image.layers]

    def _finish(self, layer: PushedLayer) -> None:
        self._done[layer.diff_id] = self._layer(layer)

    def _layer(self, layer: PushedLayer) -> Descriptor:
        for known in layer.known:
            if self._client.has_blob(known.digest):
                self._progress.layer(layer.diff_id, PRESENT)
                return known
        session = ""
        for known in layer.known:
            for repository in self._image.repositories:
                is_mounted, session = upload.mount(self._client, known.digest, repository)
                if is_mounted:
                    self._progress.layer(layer.diff_id, f"Mounted from {repository}")
                    return known
        return self._send(layer, session)

    def _send(self, layer: PushedLayer, session: str) -> Descriptor:
        fd, packed = self._packer.pack(layer.diff_id)
        try:
            if packed not in layer.known and self._client.has_blob(packed.digest):
                self._progress.layer(layer.diff_id, PRESENT)
                return packed
            total = packed.size

            def tell(status: str, at: int) -> None:
                self._progress.layer(layer.diff_id, status, at, total)

            upload.Upload(self._client, fd, packed.digest, total, chunk=self._chunk, tell=tell).run(
                session
            )
        finally:
            os.close(fd)
        self._progress.layer(layer.diff_id, PUSHED)
        return packed
