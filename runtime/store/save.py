"""`save`: images as an archive that docker, podman and skopeo read.

``docker`` is what Docker writes since version 25: an OCI layout in a tar, with a manifest.json
beside it for all that reads docker-archive.  ``oci`` is an OCI layout alone, in a tar or a
directory.  Layers are the very bytes they came from, verified while they are written, and equal
images give equal archives.
"""

from __future__ import annotations

import json
import os

from runtime.model.errors import RuntimeFailure
from runtime.model.image import digest as digests
from runtime.model.image import reference
from runtime.store import files
from runtime.store.archive import unnamed_file
from runtime.store.feed import Slice
from runtime.store.layers import Pin
from runtime.wire import tar, tarwrite
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any, Self

    from runtime.store.images import Image, Images
    from runtime.store.layers import Blob

_OCI = "application/vnd.oci.image"
_CONFIG_TYPE = f"{_OCI}.config.v1+json"
_MANIFEST_TYPE = f"{_OCI}.manifest.v1+json"
_INDEX_TYPE = f"{_OCI}.index.v1+json"
_LAYER_TYPE = f"{_OCI}.layer.v1.tar"
_READ = 1 << 18  # bytes at once


class Chosen(Record):
    """One image to save, under these full references; under none it is known by its id."""

    image: Image
    names: tuple[str, ...]


class Member(Record):
    """One file of the archive."""

    name: str
    size: int
    contents: Callable[[], Iterable[bytes]]


def choose(images: Images, wanted: Sequence[str]) -> list[Chosen]:
    """Return what *wanted* means: an id an image without names, a repository all its tags.

    Raises:
        RuntimeFailure: there is no such image, or it is this machine's and cannot leave it.
    """
    found: dict[str, list[str]] = {}
    known: dict[str, Image] = {}
    for word in wanted:
        for image, names in _meant(images, word):
            if image.is_host:
                raise RuntimeFailure(
                    f"cannot save '{word}': its lowest layer is this machine's own root, "
                    "which is not in the store",
                    "build it FROM an image that was pulled, loaded or imported",
                )
            known[image.id] = image
            found.setdefault(image.id, []).extend(names)
    return [Chosen(known[i], tuple(dict.fromkeys(names))) for i, names in found.items()]


def write_tar(
    images: Images,
    chosen: Sequence[Chosen],
    write: Callable[[bytes], object],
    *,
    form: str = "docker",
    compress: bool = False,
) -> None:
    """Write the archive of *chosen* with *write*; *form* is ``docker`` or ``oci``.

    Raises:
        RuntimeFailure: a layer has been tampered with.
        OSError: what *write* raises.
    """
    with Pin() as pin, _Spool(images) as spool:
        members = _members(images, chosen, pin, spool if compress else None, form)
        directories = {"blobs", "blobs/sha256"}
        for name in sorted({member.name for member in members} | directories):
            if name in directories:
                write(_header(name, tar.DIRECTORY, 0o755, 0))
        for member in sorted(members, key=lambda member: member.name):
            write(_header(member.name, tar.FILE, 0o644, member.size))
            for piece in member.contents():
                write(piece)
            write(tarwrite.padding(member.size))
        write(tarwrite.END)


def write_directory(
    images: Images, chosen: Sequence[Chosen], directory: str, *, compress: bool = False
) -> None:
    """Write *chosen* as an OCI layout to *directory*, which is made, or is empty.

    Raises:
        RuntimeFailure: *directory* is not empty, or a layer has been tampered with.
    """
    files.make_directories(f"{directory}/blobs/sha256", 0o755)
    if os.listdir(f"{directory}/blobs/sha256"):
        raise RuntimeFailure(f"cannot save to '{directory}': it is not empty")
    with Pin() as pin, _Spool(images) as spool:
        for member in _members(images, chosen, pin, spool if compress else None, "oci"):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            fd = os.open(f"{directory}/{member.name}", flags, 0o644)
            try:
                for piece in member.contents():
                    files.write_all(fd, piece)
            finally:
                os.close(fd)


class _Spool:
    """Compressed layers on their way: a layer's digest and size stand before it in an archive."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self._packed: dict[str, tuple[int, Blob]] = {}  # diff id → (file, what is in it)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for fd, _blob in self._packed.values():
            os.close(fd)

    def layer(self, diff_id: str) -> tuple[int, Blob]:
        """Return (file, what is in it) of the compressed layer."""
        if diff_id not in self._packed:
            fd = unnamed_file(self._images.layout.images)
            self._packed[diff_id] = fd, self._images.layers.compress(diff_id, fd)
        return self._packed[diff_id]


def _members(
    images: Images, chosen: Sequence[Chosen], pin: Pin, spool: _Spool | None, form: str
) -> list[Member]:
    """Return all files of the archive, each blob once; their layers are in *pin*."""
    found: dict[str, Member] = {}
    index: list[dict[str, Any]] = []
    docker: list[dict[str, Any]] = []

    def add(data: bytes, name: str = "") -> str:
        name = name or _blob_name(digests.digest_of(data))
        found[name] = Member(name, len(data), lambda: (data,))
        return name

    for each in chosen:  # all of them before the first byte: `prune` may be at work
        images.hold(each.image, pin)
    for each in chosen:
        config = images.config_bytes(each.image)
        layers = [_layer(images, diff_id, spool) for diff_id in each.image.layers]
        found.update((member.name, member) for member, _ in layers)
        manifest = _json(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST_TYPE,
                "config": _descriptor(_CONFIG_TYPE, digests.digest_of(config), len(config)),
                "layers": [descriptor for _, descriptor in layers],
            }
        )
        add(manifest)
        descriptor = _descriptor(_MANIFEST_TYPE, digests.digest_of(manifest), len(manifest))
        index += [{**descriptor, **_annotations(name, form)} for name in each.names or ("",)]
        docker.append(
            {
                "Config": add(config),
                "RepoTags": [reference.parse(name).familiar for name in each.names] or None,
                "Layers": [member.name for member, _ in layers],
            }
        )
    add(_json({"imageLayoutVersion": "1.0.0"}), "oci-layout")
    add(_json({"schemaVersion": 2, "mediaType": _INDEX_TYPE, "manifests": index}), "index.json")
    if form == "docker":
        add(_json(docker), "manifest.json")
    return list(found.values())


def _layer(images: Images, diff_id: str, spool: _Spool | None) -> tuple[Member, dict[str, Any]]:
    """Return (the member, its descriptor) of one layer."""
    if spool is not None:
        fd, blob = spool.layer(diff_id)
        member = Member(_blob_name(blob.digest), blob.size, lambda: _file(fd, blob.size))
        return member, _descriptor(f"{_LAYER_TYPE}+gzip", blob.digest, blob.size)
    meta = images.layers.meta(diff_id)
    if meta is None:
        raise RuntimeFailure(f"cannot save: layer {digests.short(diff_id)} is not there")
    member = Member(_blob_name(diff_id), meta.tar_size, lambda: images.layers.stream(diff_id))
    return member, _descriptor(_LAYER_TYPE, diff_id, meta.tar_size)


def _meant(images: Images, word: str) -> Iterator[tuple[Image, tuple[str, ...]]]:
    """Yield (image, full references) of one word of the command line."""
    if (whole := _tags_of_repository(images, word)) is not None:
        for name, image_id in whole.items():
            image = images.get(image_id)
            if image is not None:
                yield image, (name,)
        return
    image = images.resolve(word)
    names = {reference.parse(name).familiar: name for name in images.tags()}
    try:
        familiar = reference.parse(word).familiar
    except RuntimeFailure:
        familiar = ""
    yield image, (names[familiar],) if familiar in names else ()


def _tags_of_repository(images: Images, word: str) -> dict[str, str] | None:
    """Return full reference → id of a repository named without a tag, None if there is none."""
    try:
        wanted = reference.parse(word)
    except RuntimeFailure:
        return None
    if wanted.digest or f"{wanted.familiar_name}:{wanted.tag}" == word:
        return None
    tags = images.tags()
    found = {n: i for n, i in tags.items() if "@" not in n and n.startswith(f"{wanted.name}:")}
    return found or None


def _annotations(name: str, form: str) -> dict[str, Any]:
    """Return what makes *name* known: docker writes the tag alone, podman and skopeo all of it."""
    if not name:
        return {}
    found = reference.parse(name)
    return {
        "annotations": {
            "io.containerd.image.name": name,
            "org.opencontainers.image.ref.name": found.tag if form == "docker" else name,
        }
    }


def _descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": size}


def _blob_name(digest: str) -> str:
    return f"blobs/sha256/{digests.hex_of(digest)}"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _file(fd: int, size: int) -> Iterator[bytes]:
    part = Slice(fd, 0, size)
    while data := part.read(_READ):
        yield data


def _header(name: str, kind: bytes, mode: int, size: int) -> bytes:
    entry = tar.Entry()
    entry.name, entry.kind, entry.mode, entry.size = name.encode(), kind, mode, size
    return tarwrite.header(entry)
