"""Mirrors: asked first, passed over when they lack something, all told when nobody has it."""

from __future__ import annotations

import pytest

from runtime.store.images import Images
from tests.support import hostile_registry as hostile
from tests.support.hostile_registry import HostileRegistry
from tests.support.pulls import (
    contents,
    mirrored,
    pull,
    refused,
)

pytestmark = [pytest.mark.integration, pytest.mark.needs("root")]


def test_what_a_mirror_lacks_the_registry_has(
    images: Images, registry: HostileRegistry, mirror: HostileRegistry
) -> None:
    registry.image("x:1", hostile.layer())

    image = pull(images, "name.example/x:1", rules=mirrored(registry, mirror))

    assert image.names == ("name.example/x:1",)
    assert mirror.asked("/v2/x/manifests/1")


def test_a_mirror_that_sends_damaged_blobs_is_passed_over(
    images: Images, registry: HostileRegistry, mirror: HostileRegistry
) -> None:
    for one in (registry, mirror):
        one.image("x:1", hostile.layer())
    mirror.fault("/blobs/", lambda handler, data: handler.send(200, data))
    mirror.fault("/blobs/", hostile.corrupt, times=99)

    image = pull(images, "name.example/x:1", rules=mirrored(registry, mirror))

    assert contents(images, image)
    assert registry.asked("/blobs/")


def test_a_mirror_that_loses_a_blob_is_continued_elsewhere(
    images: Images, registry: HostileRegistry, mirror: HostileRegistry
) -> None:
    for one in (registry, mirror):
        one.image("x:1", hostile.layer())
    mirror.fault("/blobs/", lambda handler, data: handler.send(200, data))
    mirror.fault("/blobs/", hostile.cut(70_000))
    mirror.fault("/blobs/", hostile.status(404))

    image = pull(images, "name.example/x:1", rules=mirrored(registry, mirror))

    assert contents(images, image)
    assert [one.headers["range"] for one in registry.asked("/blobs/")] == ["bytes=70000-"]


def test_when_nobody_has_it_all_that_was_tried_is_told(
    images: Images, registry: HostileRegistry, mirror: HostileRegistry
) -> None:
    mirror.fault("/manifests/", hostile.status(503), times=99)
    registry.fault("/manifests/", hostile.status(403))

    failure = refused(images, "name.example/x:1", rules=mirrored(registry, mirror))

    assert failure.message == "cannot pull name.example/x:1: none of 2 places has it to give"
    assert failure.hint.splitlines() == [
        f"tried mirror http://{mirror.host}: 503 Service Unavailable, 3 times",
        f"tried http://{registry.host}: it says 403 Forbidden",
    ]
