"""What images an archive has: docker's manifest.json, or an OCI layout's index.json.

docker-archive (docker save, podman save, skopeo) names files; OCI names digests, and manifests
may be behind indexes, one manifest a platform.  Docker since 25 writes both into one archive.
"""

from __future__ import annotations

from runtime.model import jsontext
from runtime.model.errors import RuntimeFailure
from runtime.model.image import digest as digests
from runtime.model.image import reference
from runtime.store.archive import Documents
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from runtime.store.archive import ArchiveFile

DOCKER_MANIFEST = "manifest.json"
OCI_INDEX = "index.json"
_INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_CONFIG_TYPES = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
    "",
)
_REF_NAME = "org.opencontainers.image.ref.name"
_FULL_NAME = "io.containerd.image.name"
_ATTESTATION = "vnd.docker.reference.type"  # buildx: no image, but what is said about one
_DEEPEST = 4  # indexes of indexes


class ManifestLayer(Record):
    """One layer in an archive."""

    member: str  # its name there
    digest: str = ""  # of the member's bytes, when the archive says it


class Packed(Record):
    """One image in an archive."""

    config: bytes
    layers: tuple[ManifestLayer, ...]  # lowest first
    names: tuple[str, ...] = ()
    manifest: bytes = b""  # OCI's, as it came


def images_in(archive: ArchiveFile, architecture: str) -> list[Packed]:
    """Return the images of *archive*; of an index those for *architecture*.

    Raises:
        RuntimeFailure: it is no image archive, or a damaged one.
    """
    documents = Documents(archive)
    if documents.has(DOCKER_MANIFEST):
        return list(_docker(documents))
    if documents.has(OCI_INDEX):
        return _oci(documents, architecture)
    if documents.has("repositories"):
        raise RuntimeFailure(
            f"cannot load {archive.what}: Docker before 1.10 made it, which had no image ids",
            "load it with a Docker before 27 and save it again",
        )
    raise RuntimeFailure(
        f"cannot load {archive.what}: it has neither {DOCKER_MANIFEST} nor {OCI_INDEX}",
        "a root file system becomes an image by runtime import",
    )


def _docker(archive: Documents) -> Iterator[Packed]:
    entries = _json(archive, DOCKER_MANIFEST, list)
    if not entries:
        raise _damaged(archive, f"{DOCKER_MANIFEST} names no image")
    for entry in entries:
        if not isinstance(entry, dict):
            raise _damaged(archive, f"{DOCKER_MANIFEST} is not a list of objects")
        config, layers, names = (entry.get(key) for key in ("Config", "Layers", "RepoTags"))
        if not isinstance(config, str) or not _are_texts(layers) or not _are_texts(names or []):
            raise _damaged(archive, f"{DOCKER_MANIFEST} lacks Config or Layers")
        yield Packed(
            config=archive.read(config),
            layers=tuple(ManifestLayer(member) for member in layers or ()),
            names=tuple(names or ()),
        )


def _oci(archive: Documents, architecture: str) -> list[Packed]:
    index = _json(archive, OCI_INDEX, dict)
    found: dict[bytes, Packed] = {}
    for packed in _from_index(archive, index, architecture, (), 0):
        before = found.get(packed.manifest)
        names = dict.fromkeys((*(before.names if before else ()), *packed.names))
        found[packed.manifest] = packed.replace(names=tuple(names))
    if not found:
        raise _damaged(archive, f"{OCI_INDEX} has no image for linux/{architecture}")
    return list(found.values())


def _from_index(
    archive: Documents, index: dict[str, Any], architecture: str, names: tuple[str, ...], depth: int
) -> Iterator[Packed]:
    """Yield the images of one index, those for other platforms only where there is no choice."""
    if depth > _DEEPEST:
        raise _damaged(archive, "its indexes are too deep")
    entries = [entry for entry in index.get("manifests") or () if isinstance(entry, dict)]
    entries = [e for e in entries if _ATTESTATION not in (e.get("annotations") or {})]
    mine = [entry for entry in entries if _is_for(entry, architecture)]
    for entry in mine or entries:
        own_names = _names(entry) or names
        data = _blob(archive, entry)
        parsed = _parse(archive, data, "a manifest")
        if _type(entry, parsed) in _INDEX_TYPES or "manifests" in parsed:
            yield from _from_index(archive, parsed, architecture, own_names, depth + 1)
        else:
            yield _from_manifest(archive, data, parsed, own_names)
            if depth:
                return  # one image a name


def _from_manifest(
    archive: Documents, data: bytes, manifest: dict[str, Any], names: tuple[str, ...]
) -> Packed:
    config = manifest.get("config")
    layers = manifest.get("layers")
    if not isinstance(config, dict) or not isinstance(layers, list):
        raise _damaged(archive, "a manifest lacks config or layers; schema 1 is not supported")
    if config.get("mediaType", "") not in _CONFIG_TYPES:
        raise _damaged(archive, f"it has no image but a '{config.get('mediaType')}'")
    return Packed(
        config=_blob(archive, config),
        layers=tuple(
            ManifestLayer(_member(archive, layer), layer["digest"])
            for layer in layers
            if isinstance(layer, dict)
        ),
        names=names,
        manifest=data,
    )


def _names(entry: dict[str, Any]) -> tuple[str, ...]:
    """Return the name that the annotations of an index's entry give."""
    annotations = entry.get("annotations") or {}
    name = annotations.get(_FULL_NAME) or annotations.get(_REF_NAME) or ""
    # The specification means a tag by ref.name, skopeo and podman write names: `latest`, `v1.2`
    # and the like alone are not names.
    bare = not {":", "/"} & set(name)
    if bare and (name == reference.DEFAULT_TAG or any(letter.isdecimal() for letter in name[:2])):
        return ()
    return (name,) if name else ()


def _is_for(entry: dict[str, Any], architecture: str) -> bool:
    platform = entry.get("platform")
    if not isinstance(platform, dict):
        return True
    return platform.get("os", "linux") == "linux" and platform.get("architecture") == architecture


def _type(entry: dict[str, Any], parsed: dict[str, Any]) -> str:
    return str(entry.get("mediaType") or parsed.get("mediaType") or "")


def _member(archive: Documents, descriptor: dict[str, Any]) -> str:
    digest = descriptor.get("digest")
    if not isinstance(digest, str) or not digests.is_digest(digest):
        raise _damaged(archive, f"'{digest}' is not a sha256 digest")
    return f"blobs/sha256/{digests.hex_of(digest)}"


def _blob(archive: Documents, descriptor: dict[str, Any]) -> bytes:
    """Return the small blob that *descriptor* names, verified."""
    member = _member(archive, descriptor)
    data = archive.read(member)
    if digests.digest_of(data) != descriptor["digest"]:
        raise _damaged(archive, f"'{member}' has the digest {digests.digest_of(data)}")
    return data


def _json(archive: Documents, name: str, kind: type) -> Any:
    found = _parse_any(archive, archive.read(name), name)
    if not isinstance(found, kind):
        raise _damaged(archive, f"{name} is not what it should be")
    return found


def _parse(archive: Documents, data: bytes, name: str) -> dict[str, Any]:
    found = _parse_any(archive, data, name)
    if not isinstance(found, dict):
        raise _damaged(archive, f"{name} is not an object")
    return found


def _parse_any(archive: Documents, data: bytes, name: str) -> Any:
    try:
        return jsontext.document(data)
    except ValueError as error:
        raise _damaged(archive, f"{name} is not JSON: {error}") from error


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _damaged(archive: Documents, reason: str) -> RuntimeFailure:
    return RuntimeFailure(f"cannot load {archive.what}: {reason}")
