"""Manifests and indexes: bytes in, values out; which platform is chosen."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.registry import documents
from runtime.registry.documents import Descriptor, Document, Platform
from runtime.registry.problems import CorruptError, RegistryError
from tests.support.images import digest

AMD64 = Platform("linux", "amd64")
SHA = digest(b"")


def index(*platforms: str) -> Document:
    """Return an index with an entry a platform, whose size is its position."""
    entries = []
    for size, text in enumerate(platforms):
        names = ("os", "architecture", "variant")
        platform = dict(zip(names, text.split("/"), strict=False))
        entries.append({"mediaType": "m", "digest": SHA, "size": size, "platform": platform})
    data = json.dumps({"manifests": entries}).encode()
    return Document(data, documents.OCI_INDEX, digest(data))


def manifest(**changes: Any) -> bytes:
    value = {
        "schemaVersion": 2,
        "mediaType": documents.OCI_MANIFEST,
        "config": {"mediaType": documents.OCI_CONFIG, "digest": SHA, "size": 1},
        "layers": [{"mediaType": documents.OCI_LAYER, "digest": SHA, "size": 2}],
        **changes,
    }
    return json.dumps({key: item for key, item in value.items() if item is not None}).encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/arm64", Platform("linux", "arm64")),
        ("arm64", Platform("linux", "arm64")),
        ("linux/arm/v7", Platform("linux", "arm", "v7")),
        ("linux/aarch64", Platform("linux", "arm64")),
        ("Linux/X86_64", AMD64),
        ("linux", AMD64),
        ("windows/amd64", Platform("windows", "amd64")),
    ],
)
def test_a_platform_is_read_as_docker_reads_it(text: str, expected: Platform) -> None:
    assert documents.platform(text, AMD64) == expected


@pytest.mark.parametrize("text", ["", "/", "linux/", "a/b/c/d", "linux//v7"])
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not OS/ARCHITECTURE"):
        documents.platform(text, AMD64)


@pytest.mark.parametrize(
    ("there", "wanted", "position"),
    [
        (("linux/amd64", "linux/arm64"), AMD64, 0),
        (("linux/s390x", "linux/amd64"), AMD64, 1),
        (("windows/amd64", "linux/amd64"), AMD64, 1),
        (("linux/arm64/v8",), Platform("linux", "arm64"), 0),
        (("linux/arm64",), Platform("linux", "arm64", "v8"), 0),
        (("linux/arm/v5", "linux/arm/v7", "linux/arm/v6"), Platform("linux", "arm"), 1),
        (("linux/arm/v5", "linux/arm/v7", "linux/arm/v6"), Platform("linux", "arm", "v6"), 2),
        (("linux/arm/v5",), Platform("linux", "arm", "v7"), 0),
        (("linux/amd64/v3", "linux/amd64"), AMD64, 1),
        (("linux/amd64/v3", "linux/amd64"), Platform("linux", "amd64", "v3"), 0),
        (("linux/amd64", "linux/amd64"), AMD64, 0),
    ],
)
def test_of_an_index_the_best_that_runs_is_chosen(
    there: tuple[str, ...], wanted: Platform, position: int
) -> None:
    assert documents.choose(index(*there), wanted).size == position


@pytest.mark.parametrize("there", [("linux/arm64",), ("linux/amd64/v3",), ("windows/amd64",)])
def test_of_an_index_nothing_is_chosen_that_does_not_run(there: tuple[str, ...]) -> None:
    with pytest.raises(RegistryError) as caught:
        documents.choose(index(*there), AMD64)

    assert caught.value.reason == "it has no image for linux/amd64"
    assert caught.value.hint == f"there is {there[0]}"


def test_what_is_said_about_an_image_is_no_image() -> None:
    value = json.loads(index("linux/amd64").data)
    value["manifests"][0]["annotations"] = {"vnd.docker.reference.type": "attestation-manifest"}
    data = json.dumps(value).encode()

    with pytest.raises(RegistryError, match="has no image"):
        documents.choose(Document(data, documents.OCI_INDEX, digest(data)), AMD64)


def test_a_manifest_says_what_an_image_is_made_of() -> None:
    found = documents.manifest(documents.check(manifest(), documents.OCI_MANIFEST, ""))

    assert found.config == Descriptor(documents.OCI_CONFIG, SHA, 1)
    assert found.layers == (Descriptor(documents.OCI_LAYER, SHA, 2),)


def test_a_manifest_without_a_type_is_known_by_its_keys() -> None:
    data = manifest(mediaType=None)

    assert documents.check(data, "application/json", "").media_type == documents.OCI_MANIFEST


def test_a_manifest_must_be_what_its_digest_says() -> None:
    with pytest.raises(CorruptError, match="not sha256:e3b0c44298fc"):
        documents.check(manifest(), documents.OCI_MANIFEST, SHA)


@pytest.mark.parametrize(
    "changes",
    [
        {"config": None},
        {"layers": {}},
        {"layers": ["x"]},
        {"config": {"digest": SHA, "size": -1}},
        {"config": {"digest": SHA, "size": True}},
        {"config": {"digest": "sha512:00", "size": 1}},
        {"layers": [{"digest": "../../etc/passwd", "size": 1}]},
    ],
)
def test_a_damaged_manifest_is_refused(changes: dict[str, Any]) -> None:
    data = manifest(**changes)
    document = Document(data, documents.OCI_MANIFEST, digest(data))

    with pytest.raises(RegistryError, match="damaged"):
        documents.manifest(document)


@pytest.mark.parametrize(
    ("kind", "is_docker", "expected"),
    [
        (documents.OCI_LAYER, True, documents.DOCKER_LAYER.removesuffix(".gzip")),
        (documents.OCI_LAYER + "+gzip", True, documents.DOCKER_LAYER),
        (documents.DOCKER_LAYER, True, documents.DOCKER_LAYER),
        (documents.DOCKER_LAYER, False, documents.OCI_LAYER + "+gzip"),
        (documents.OCI_LAYER + "+zstd", False, documents.OCI_LAYER + "+zstd"),
    ],
)
def test_a_layer_is_called_as_its_manifest_s_kind_calls_it(
    kind: str, is_docker: bool, expected: str
) -> None:
    found = documents.as_kind(Descriptor(kind, SHA, 1), is_docker=is_docker)

    assert found.media_type == expected


_LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
_JSON = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
_ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"digest": st.just(SHA) | _JSON, "size": st.just(1) | _JSON},
        optional={"platform": _JSON, "annotations": _JSON, "mediaType": _JSON},
    ),
    max_size=2,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "schemaVersion": _JSON,
            "mediaType": st.sampled_from([documents.OCI_MANIFEST, documents.OCI_INDEX]) | _JSON,
            "config": _JSON | _ENTRIES.map(lambda entries: entries[0] if entries else {}),
            "layers": _JSON | _ENTRIES,
            "manifests": _JSON | _ENTRIES,
        },
    )
)
def test_nothing_that_a_registry_sends_raises_anything_else(value: dict[str, Any]) -> None:
    """Any JSON is a manifest, an index, or refused as one."""
    with suppress(RegistryError):
        document = documents.check(json.dumps(value).encode(), "", "")
        if document.is_index:
            documents.choose(document, AMD64)
        else:
            documents.manifest(document)


def test_a_manifest_as_deep_as_memory_is_refused() -> None:
    with pytest.raises(RegistryError, match="not JSON"):
        documents.check(b"[" * 100_000, "", "")
