"""Pulling from a registry that is slow, busy, cut off, damaged or lying."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from runtime.exchange import pulling
from runtime.store.images import Images
from tests.support import hostile_registry as hostile
from tests.support.eventually import PATIENCE, eventually
from tests.support.hostile_registry import HostileRegistry
from tests.support.images import config_of
from tests.support.pulls import (
    IMPATIENT,
    QUICK,
    Heard,
    contents,
    leftovers,
    partial,
    pull,
    refused,
)

pytestmark = [pytest.mark.integration, pytest.mark.needs("root")]


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("path", ["/manifests/", "/blobs/"])
def test_what_may_pass_is_tried_again(
    registry: HostileRegistry, images: Images, code: int, path: str
) -> None:
    registry.image("busy:1", hostile.layer())
    registry.fault(path, hostile.status(code), times=2)

    image = pull(images, f"{registry.host}/busy:1")

    assert contents(images, image)


def test_what_does_not_pass_is_given_up(registry: HostileRegistry, images: Images) -> None:
    registry.image("down:1", hostile.layer())
    registry.fault("/manifests/", hostile.status(503), times=99)

    failure = refused(images, f"{registry.host}/down:1")

    assert failure.message.endswith(f"http://{registry.host}: 503 Service Unavailable, 3 times")
    assert len(registry.asked("/manifests/")) == 3


def test_a_registry_that_asks_to_wait_is_waited_for(
    registry: HostileRegistry, images: Images
) -> None:
    registry.image("busy:1", hostile.layer())
    registry.fault("/blobs/", hostile.status(429, retry_after="0"), times=2)

    assert pull(images, f"{registry.host}/busy:1", QUICK.replace(pause=1000.0))


def test_nobody_waits_for_an_hour(registry: HostileRegistry, images: Images) -> None:
    registry.image("busy:1", hostile.layer())
    registry.fault("/manifests/", hostile.status(429, retry_after="3600"))

    failure = refused(images, f"{registry.host}/busy:1")

    assert "429 Too Many Requests: it asks to come again in 3600 s" in failure.message


def test_what_is_not_allowed_is_not_tried_again(registry: HostileRegistry, images: Images) -> None:
    registry.image("secret:1", hostile.layer())
    registry.fault("/manifests/", hostile.status(403), times=99)

    failure = refused(images, f"{registry.host}/secret:1")

    assert "it says 403 Forbidden" in failure.message
    assert len(registry.asked("/manifests/")) == 1


def test_after_a_cut_only_the_rest_is_asked_for(registry: HostileRegistry, images: Images) -> None:
    registry.image("cut:1", hostile.layer())
    registry.fault("/blobs/", lambda handler, data: handler.send(200, data))  # the configuration
    registry.fault("/blobs/", hostile.cut(70_000))

    image = pull(images, f"{registry.host}/cut:1")

    assert contents(images, image)
    assert [one.headers.get("range") for one in registry.asked("/blobs/")][1:] == [
        None,
        "bytes=70000-",
    ]


def test_a_registry_without_ranges_is_asked_for_all_of_it(
    registry: HostileRegistry, images: Images
) -> None:
    registry.image("cut:1", hostile.layer())
    registry.fault("/blobs/", lambda handler, data: handler.send(200, data))
    registry.fault("/blobs/", hostile.cut(70_000))
    registry.fault("/blobs/", hostile.whole)

    assert contents(images, pull(images, f"{registry.host}/cut:1"))


def test_the_next_pull_goes_on_where_one_failed(registry: HostileRegistry, images: Images) -> None:
    registry.image("cut:1", hostile.layer())
    registry.fault("/blobs/", lambda handler, data: handler.send(200, data))
    registry.fault("/blobs/", hostile.cut(70_000))
    registry.fault("/blobs/", hostile.status(404))
    failure = refused(images, f"{registry.host}/cut:1")
    assert "404" in failure.message
    assert len(partial(images)) == 1
    before = len(registry.requests)

    image = pull(images, f"{registry.host}/cut:1")

    assert contents(images, image)
    ranges = [one.headers["range"] for one in registry.requests[before:] if "range" in one.headers]
    assert ranges == ["bytes=70000-"]
    assert partial(images) == []


def test_a_pull_clears_what_a_killed_one_left(registry: HostileRegistry, images: Images) -> None:
    registry.image("own:1", hostile.layer())
    left = Path(images.layout.layers, ".tmp-123-abc")
    left.mkdir(parents=True)

    pull(images, f"{registry.host}/own:1")

    assert not left.exists()


def test_half_a_blob_goes_when_the_store_is_cleared(
    registry: HostileRegistry, images: Images
) -> None:
    registry.image("cut:1", hostile.layer())
    registry.fault("/blobs/", lambda handler, data: handler.send(200, data))
    registry.fault("/blobs/", hostile.cut(70_000))
    registry.fault("/blobs/", hostile.status(404))
    refused(images, f"{registry.host}/cut:1")

    freed = pulling.forget(images)

    assert freed == 70_000
    assert partial(images) == []


def test_half_a_blob_that_was_damaged_meanwhile_is_thrown_away(
    registry: HostileRegistry, images: Images
) -> None:
    registry.image("cut:1", hostile.layer())
    registry.fault("/blobs/", lambda handler, data: handler.send(200, data))
    registry.fault("/blobs/", hostile.cut(70_000))
    registry.fault("/blobs/", hostile.status(404))
    refused(images, f"{registry.host}/cut:1")
    path = Path(images.layout.images, "downloads", partial(images)[0])
    path.write_bytes(bytes(path.stat().st_size))

    image = pull(images, f"{registry.host}/cut:1")

    assert contents(images, image)


@pytest.mark.parametrize("after", [0, 10, 70_000])
def test_a_stall_ends_the_attempt(registry: HostileRegistry, images: Images, after: int) -> None:
    registry.image("slow:1", hostile.layer())
    registry.fault("/blobs/", lambda handler, data: handler.send(200, data))
    registry.fault("/blobs/", hostile.stall(after))
    heard = Heard()

    image = pull(images, f"{registry.host}/slow:1", IMPATIENT, progress=heard)

    assert contents(images, image)
    assert heard.has("Retrying: nothing came for 0.2 s")


def test_a_registry_that_never_answers_is_given_up(
    registry: HostileRegistry, images: Images
) -> None:
    registry.image("mute:1", hostile.layer())
    registry.fault("/manifests/", hostile.silent, times=99)

    failure = refused(images, f"{registry.host}/mute:1", patience=IMPATIENT)

    assert failure.message.endswith("nothing came for 0.2 s")


def test_a_corrupted_blob_is_refused_and_nothing_of_it_stays(
    registry: HostileRegistry, images: Images
) -> None:
    registry.image("bad:1", hostile.layer())
    registry.fault("/blobs/", lambda handler, data: handler.send(200, data))
    registry.fault("/blobs/", hostile.corrupt, times=99)

    failure = refused(images, f"{registry.host}/bad:1")

    assert f"what http://{registry.host} sent is damaged" in failure.message
    assert leftovers(images) == []
    assert partial(images) == []


def test_a_blob_that_was_corrupted_once_is_asked_for_again(
    registry: HostileRegistry, images: Images
) -> None:
    registry.image("bad:1", hostile.layer())
    registry.fault("/blobs/", lambda handler, data: handler.send(200, data))
    registry.fault("/blobs/", hostile.corrupt)

    assert contents(images, pull(images, f"{registry.host}/bad:1"))


def test_a_corrupted_configuration_is_refused(registry: HostileRegistry, images: Images) -> None:
    registry.image("bad:1", hostile.layer())
    registry.fault("/blobs/", hostile.corrupt, times=99)

    failure = refused(images, f"{registry.host}/bad:1")

    assert "it sent a blob with the digest sha256:" in failure.message
    assert leftovers(images) == []


def test_more_bytes_than_the_manifest_says_are_refused(
    registry: HostileRegistry, images: Images
) -> None:
    registry.image("long:1", hostile.layer())
    registry.fault("/blobs/", lambda handler, data: handler.send(200, data))
    registry.fault("/blobs/", hostile.longer, times=99)

    failure = refused(images, f"{registry.host}/long:1")

    assert "it sent more than the" in failure.message
    assert leftovers(images) == []


def test_a_manifest_that_is_not_what_was_asked_for_is_refused(
    registry: HostileRegistry, images: Images
) -> None:
    digest = registry.image("bad:1", hostile.layer())
    registry.fault("/manifests/", hostile.corrupt)

    failure = refused(images, f"{registry.host}/bad@{digest}")

    assert "it sent a manifest with the digest sha256:" in failure.message


def test_layers_that_are_not_those_of_the_configuration_are_refused(
    registry: HostileRegistry, images: Images
) -> None:
    registry.image("swap:1", hostile.layer("a"), config=config_of(hostile.layer("b")))

    failure = refused(images, f"{registry.host}/swap:1")

    assert "its contents have the digest" in failure.message
    assert leftovers(images) == []


def test_a_redirect_elsewhere_takes_no_secret_with_it(
    registry: HostileRegistry, images: Images, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = HostileRegistry()
    try:
        registry.image("moved:1", hostile.layer())
        other.blobs = registry.blobs
        auths = {"auths": {registry.host: {"username": "me", "password": "secret"}}}
        (tmp_path / "auth.json").write_text(json.dumps(auths))
        monkeypatch.setenv("RUNTIME_CONFIG", str(tmp_path))
        asks = hostile.status(401, WWW_Authenticate='Basic realm="x"')
        registry.fault("/manifests/", asks)
        for digest in registry.blobs:
            target = f"http://{other.host}/v2/moved/blobs/{digest}"
            registry.fault(f"/blobs/{digest}", hostile.redirect(target))

        pull(images, f"{registry.host}/moved:1")

        assert all("authorization" in one.headers for one in registry.asked("/blobs/"))
        assert len(other.asked("/blobs/")) == 2
        assert not any("authorization" in one.headers for one in other.requests)
    finally:
        other.close()


def test_redirects_in_a_circle_end(registry: HostileRegistry, images: Images) -> None:
    registry.image("round:1", hostile.layer())
    registry.fault("/manifests/", hostile.redirect("/v2/round/manifests/1"), times=99)

    failure = refused(images, f"{registry.host}/round:1")

    assert "it redirects in circles" in failure.message


def test_an_interrupt_ends_a_pull_that_waits_and_the_next_one_finishes_it(
    registry: HostileRegistry, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.image("slow:1", hostile.layer("a"), hostile.layer("b"))
    registry.fault("/blobs/", lambda handler, data: handler.send(200, data))
    registry.fault("/blobs/", hostile.stall(70_000))
    interrupted = threading.Event()

    class Interrupt(Heard):
        """Ctrl-C as soon as bytes have come."""

        def layer(self, digest: str, status: str, done: int = 0, total: int = 0) -> None:
            super().layer(digest, status, done, total)
            if done >= 70_000 and status == "Downloading" and not interrupted.is_set():
                interrupted.set()
                os.kill(os.getpid(), 2)

    with pytest.raises(KeyboardInterrupt):
        pull(images, f"{registry.host}/slow:1", progress=Interrupt())

    assert interrupted.wait(PATIENCE)
    left = [name for name in leftovers(images) if name.startswith("layers/.tmp")]
    assert left == []
    eventually(lambda: not [t for t in threading.enumerate() if t.name.startswith("layer-")])
    assert contents(images, pull(images, f"{registry.host}/slow:1"), "a")
