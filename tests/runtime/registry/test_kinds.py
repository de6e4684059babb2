"""What is pulled and what is refused: indexes, platforms, manifests of other kinds."""

from __future__ import annotations

import json

import pytest

from runtime.registry import documents
from runtime.store.images import Images
from tests.support import hostile_registry as hostile
from tests.support.hostile_registry import HostileRegistry
from tests.support.images import config_of
from tests.support.pulls import (
    contents,
    pull,
    refused,
)

pytestmark = [pytest.mark.integration, pytest.mark.needs("root")]


def test_docker_s_schema_1_is_refused_with_the_reason(
    registry: HostileRegistry, images: Images
) -> None:
    kind = "application/vnd.docker.distribution.manifest.v1+prettyjws"
    registry.manifest("old:1", b'{"schemaVersion": 1, "fsLayers": []}', kind)

    failure = refused(images, f"{registry.host}/old:1")

    assert "docker's schema 1" in failure.message


def test_layers_that_no_registry_has_are_refused(registry: HostileRegistry, images: Images) -> None:
    kind = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    registry.image("windows:1", hostile.layer(), layer_type=kind)

    assert "Windows" in refused(images, f"{registry.host}/windows:1").message


def test_what_is_no_image_is_refused(registry: HostileRegistry, images: Images) -> None:
    kind = "application/vnd.cncf.helm.config.v1+json"
    registry.image("chart:1", hostile.layer(), config_type=kind)

    failure = refused(images, f"{registry.host}/chart:1")

    assert f"it has no image under that name, but a '{kind}'" in failure.message


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"not json", "is not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "which is no manifest"),
        (b'{"config": {}, "layers": []}', "is not a sha256 digest"),
        (b'{"manifests": []}', "has no image for linux/"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(
    registry: HostileRegistry, images: Images, data: bytes, reason: str
) -> None:
    registry.manifest("bad:1", data, "text/plain")

    assert reason in refused(images, f"{registry.host}/bad:1").message


def index(registry: HostileRegistry, name: str, **layers: bytes) -> str:
    """Put an index with one image a platform, ``linux_arm64=LAYER``, and return its digest."""
    entries = []
    for platform, data in layers.items():
        system, machine, variant = (*platform.split("_"), "")[:3]
        config = config_of(data, architecture=machine, os=system, variant=variant)
        digest = registry.image(f"{name}-{platform}", data, config=config)
        kind, manifest = registry.manifests[digest]
        its = {"os": system, "architecture": machine}
        its |= {"variant": variant} if variant else {}
        entry = {"mediaType": kind, "digest": digest, "size": len(manifest), "platform": its}
        entries.append(entry)
    value = {"schemaVersion": 2, "mediaType": documents.OCI_INDEX, "manifests": entries}
    return registry.manifest(name, json.dumps(value).encode(), documents.OCI_INDEX)


def test_of_an_index_the_image_for_this_machine_is_taken(
    registry: HostileRegistry, images: Images
) -> None:
    digest = index(
        registry,
        "multi:1",
        linux_s390x=hostile.layer("s390x"),
        linux_amd64=hostile.layer("amd64"),
        linux_arm64_v8=hostile.layer("arm64"),
    )

    image = pull(images, f"{registry.host}/multi:1", platform="")

    assert contents(images, image, image.config.architecture)
    assert image.digests == (f"{registry.host}/multi@{digest}",)


def test_of_an_index_the_image_that_is_asked_for_is_taken(
    registry: HostileRegistry, images: Images
) -> None:
    index(
        registry,
        "multi:1",
        linux_amd64=hostile.layer("amd64"),
        linux_arm_v6=hostile.layer("v6"),
        linux_arm_v7=hostile.layer("v7"),
    )

    image = pull(images, f"{registry.host}/multi:1", platform="linux/arm/v7")

    assert contents(images, image, "v7")


def test_a_platform_that_is_not_there_is_told_with_those_that_are(
    registry: HostileRegistry, images: Images
) -> None:
    index(registry, "multi:1", linux_amd64=hostile.layer("a"), linux_arm_v7=hostile.layer("b"))

    failure = refused(images, f"{registry.host}/multi:1", platform="linux/riscv64")

    assert failure.message.endswith("it has no image for linux/riscv64")
    assert failure.hint == "there is linux/amd64, linux/arm/v7"
