"""Manifests and indexes as registries send them: docker's schema 2 and OCI's.  Pure: no I/O.

They are kept as bytes, because their digest is their name; here is what is read out of them.
"""

from __future__ import annotations

from runtime.model import jsontext
from runtime.model.image import digest as digests
from runtime.registry.problems import CorruptError, RegistryError
from supervise.model.numerals import whole
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
ACCEPT = ", ".join((OCI_INDEX, DOCKER_INDEX, OCI_MANIFEST, DOCKER_MANIFEST))
_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1"
_INDEXES = (OCI_INDEX, DOCKER_INDEX)
_MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)
_CONFIGS = (OCI_CONFIG, DOCKER_CONFIG, "")
_FOREIGN = ("foreign", "nondistributable")
_ATTESTATION = "vnd.docker.reference.type"  # buildx: no image, but what is said about one


class Descriptor(Record):
    """What one blob is and how many bytes it has."""

    media_type: str
    digest: str
    size: int


class Document(Record):
    """A manifest or an index as it came."""

    data: bytes
    media_type: str
    digest: str

    @property
    def is_index(self) -> bool:
        """Return whether it names manifests, one a platform."""
        return self.media_type in _INDEXES


class Manifest(Record):
    """What one image is made of."""

    document: Document
    config: Descriptor
    layers: tuple[Descriptor, ...]  # lowest first


class Platform(Record):
    """What machine an image is for."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


_ARCHITECTURES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armhf": "arm",
    "armel": "arm",
    "i386": "386",
    "i686": "386",
}
_DEFAULT_VARIANTS = {"arm": "v7", "arm64": "v8", "amd64": "v1"}


def platform(text: str, default: Platform) -> Platform:
    """Return what ``--platform`` says: ``linux/arm64``, ``arm64``, ``linux/arm/v7``.

    Raises:
        ValueError: it is not a platform.
    """
    parts = text.lower().split("/")
    if not 1 <= len(parts) <= 3 or not all(parts):
        raise ValueError(f"'{text}' is not OS/ARCHITECTURE[/VARIANT], such as linux/arm64")
    if len(parts) == 1 and parts[0] != "linux":
        parts.insert(0, "linux")
    system, machine, variant = (*parts, "", "")[:3]
    if not machine:
        return default
    return Platform(system, _ARCHITECTURES.get(machine, machine), variant)


def check(data: bytes, media_type: str, wanted_digest: str) -> Document:
    """Return the document in *data*.

    Raises:
        CorruptError: it is not what *wanted_digest* says.
        RegistryError: it is no manifest we can use, and why.
    """
    digest = digests.digest_of(data)
    if wanted_digest and digest != wanted_digest:
        raise CorruptError(f"it sent a manifest with the digest {digest}, not {wanted_digest}")
    parsed = _parse(data)
    stated = str(parsed.get("mediaType") or "")
    media_type = media_type.partition(";")[0].strip().lower()
    kind = stated or media_type
    if parsed.get("schemaVersion") == 1 or media_type.startswith(_SCHEMA1):
        raise RegistryError(
            "it has the image only as docker's schema 1, which says nothing that can be verified",
            "push it there again with a docker since 1.10, or skopeo copy --format v2s2",
        )
    if kind not in (*_INDEXES, *_MANIFESTS):
        if "manifests" in parsed:
            kind = OCI_INDEX
        elif "config" in parsed and "layers" in parsed:
            kind = OCI_MANIFEST
        else:
            raise RegistryError(f"it sent a '{media_type or 'nameless'}', which is no manifest")
    return Document(data, kind, digest)


def manifest(document: Document) -> Manifest:
    """Return what the manifest says.

    Raises:
        RegistryError: it is damaged, or not the manifest of an image that can be used here.
    """
    parsed = _parse(document.data)
    config = _descriptor(parsed.get("config"), "its configuration")
    layers = parsed.get("layers")
    if not isinstance(layers, list):
        raise RegistryError("its manifest is damaged: layers is not a list")
    if config.media_type not in _CONFIGS:
        raise RegistryError(f"it has no image under that name, but a '{config.media_type}'")
    found = tuple(_descriptor(layer, "a layer") for layer in layers)
    for layer in found:
        if any(word in layer.media_type for word in _FOREIGN):
            raise RegistryError(
                f"layer {digests.short(layer.digest)} is not in any registry: its type is "
                f"'{layer.media_type}', as Windows' base layers have it",
            )
    return Manifest(document, config, found)


def choose(index: Document, wanted: Platform) -> Descriptor:
    """Return the manifest for *wanted*.

    Raises:
        RegistryError: no manifest fits; lists the platforms there are.
    """
    entries = _parse(index.data).get("manifests")
    if not isinstance(entries, list):
        raise RegistryError("its index is damaged: manifests is not a list")
    known = [
        (_platform(entry), _descriptor(entry, "an entry of its index"))
        for entry in entries
        if isinstance(entry, dict) and not _is_attestation(entry)
    ]
    for acceptable in _acceptable(wanted):
        for has, descriptor in known:
            if has == acceptable:
                return descriptor
    unknown = Platform("", "")
    if len(known) == 1 and known[0][0] == unknown:
        return known[0][1]
    raise RegistryError(f"it has no image for {wanted}", _there_is(has for has, _ in known))


def fits(has: Platform, wanted: Platform) -> bool:
    """Return whether an image for *has* is one for *wanted*."""
    return has in _acceptable(wanted) or not has.architecture


def layer_type(compression: str) -> str:
    """Return OCI's media type of a layer; an empty *compression* means a plain tar."""
    return f"{OCI_LAYER}+{compression}" if compression else OCI_LAYER


def as_kind(layer: Descriptor, *, is_docker: bool) -> Descriptor:
    """Return *layer* with the type that its manifest's kind gives it."""
    if is_docker:
        is_plain = layer.media_type in (OCI_LAYER, DOCKER_LAYER.removesuffix(".gzip"))
        return layer.replace(
            media_type=DOCKER_LAYER.removesuffix(".gzip") if is_plain else DOCKER_LAYER
        )
    if layer.media_type.startswith(OCI_LAYER):
        return layer
    return layer.replace(media_type=layer_type("gzip" if layer.media_type == DOCKER_LAYER else ""))


def _there_is(known: Iterable[Platform]) -> str:
    names = sorted({str(one) for one in known if one.os})
    return f"there is {', '.join(names)}" if names else "its index is empty"


def _acceptable(wanted: Platform) -> list[Platform]:
    """Return the platforms that *wanted* can run, the best first."""
    default = _DEFAULT_VARIANTS.get(wanted.architecture, "")
    variant = wanted.variant or default
    variants = [variant, "" if variant == default else variant]
    if wanted.architecture == "arm":  # an older instruction set runs on a newer machine
        number = min(whole(variant[1:]) or 7, 8)
        variants += [f"v{n}" for n in range(number - 1, 4, -1)] + [""]
    return [
        Platform(wanted.os, wanted.architecture, one) for one in dict.fromkeys([*variants, ""])
    ] + [Platform(wanted.os, wanted.architecture, default)] * (not wanted.variant)


def _is_attestation(entry: dict[str, Any]) -> bool:
    annotations = entry.get("annotations")
    return isinstance(annotations, dict) and _ATTESTATION in annotations


def _platform(entry: dict[str, Any]) -> Platform:
    found = entry.get("platform")
    if not isinstance(found, dict):
        return Platform("", "")
    return Platform(
        str(found.get("os") or ""),
        str(found.get("architecture") or ""),
        str(found.get("variant") or ""),
    )


def _descriptor(value: Any, what: str) -> Descriptor:
    if not isinstance(value, dict):
        raise RegistryError(f"its manifest is damaged: {what} is missing")
    digest, size = value.get("digest"), value.get("size")
    if not isinstance(digest, str) or not digests.is_digest(digest):
        raise RegistryError(f"its manifest is damaged: '{digest}' is not a sha256 digest")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise RegistryError(f"its manifest is damaged: '{size}' is not the size of {what}")
    return Descriptor(str(value.get("mediaType") or ""), digest, size)


def _parse(data: bytes) -> dict[str, Any]:
    try:
        found = jsontext.document(data)
    except ValueError as error:
        raise RegistryError(f"its manifest is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise RegistryError("its manifest is not a JSON object")
    return found
