"""Pushing to a registry that fails half-way, forgets, and puts blobs together from parts."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from runtime.exchange import pushing
from runtime.model.errors import RuntimeFailure
from runtime.registry.settings import Settings
from runtime.store.images import Images
from tests.support import hostile_registry as hostile
from tests.support.hostile_registry import HostileRegistry
from tests.support.images import digest, import_image
from tests.support.pulls import QUICK, Heard
from tests.support.tars import file

pytestmark = [pytest.mark.integration, pytest.mark.needs("root")]

_CHUNK = 100_000


class Receiver:
    """The part of a registry that takes uploads, on top of one that misbehaves."""

    def __init__(self, registry: HostileRegistry) -> None:
        self.registry = registry
        self.sessions: dict[str, bytearray] = {}
        for method, answer in (
            *(("POST", self._open), ("PATCH", self._add), ("PUT", self._finish)),
            *(("GET", self._status), ("HEAD", self._head)),
        ):
            registry.fault("/blobs/", answer, method=method, times=10_000)
        registry.fault("/manifests/", self._manifest, method="PUT", times=100)

    def fault(self, method: str, behaviour: hostile.Behaviour, times: int = 1) -> None:
        """Let the next uploads' requests end so."""
        self.registry.fault("/blobs/uploads/", behaviour, method=method, times=times, first=True)

    def _open(self, handler: Any, _: bytes) -> None:
        name = f"session{len(self.sessions)}"
        self.sessions[name] = bytearray()
        handler.send(202, b"", {"Location": f"/v2/own/blobs/uploads/{name}?state=1"})

    def _add(self, handler: Any, _: bytes) -> None:
        session = self.sessions.get(self._name(handler))
        if session is None:
            handler.send(404)
            return
        first = int(handler.headers["content-range"].partition("-")[0])
        if first != len(session):
            handler.send(416)
            return
        session += self.registry.requests[-1].body
        self._say(handler, 202)

    def _finish(self, handler: Any, _: bytes) -> None:
        session = self.sessions.get(self._name(handler))
        if session is None:
            handler.send(404)
            return
        session += self.registry.requests[-1].body
        wanted = parse_qs(urlsplit(handler.path).query)["digest"][0]
        if digest(bytes(session)) != wanted:
            handler.send(400)
            return
        self.registry.blobs[wanted] = bytes(session)
        handler.send(201)

    def _status(self, handler: Any, _: bytes) -> None:
        if self._name(handler) in self.sessions:
            self._say(handler, 204)
        else:
            handler.send(404)

    def _head(self, handler: Any, _: bytes) -> None:
        handler.send(200 if handler.path.rpartition("/")[2] in self.registry.blobs else 404)

    def _manifest(self, handler: Any, _: bytes) -> None:
        asked = self.registry.requests[-1]
        self.registry.manifest("own:v1", asked.body, asked.headers["content-type"])
        handler.send(201)

    def _say(self, handler: Any, status: int) -> None:
        name = self._name(handler)
        have = len(self.sessions[name])
        location = f"/v2/own/blobs/uploads/{name}?state={have}"
        handler.send(status, b"", {"Location": location, "Range": f"0-{max(0, have - 1)}"})

    def _name(self, handler: Any) -> str:
        return str(urlsplit(handler.path).path.rpartition("/")[2])


@pytest.fixture
def receiver(registry: HostileRegistry) -> Receiver:
    return Receiver(registry)


@pytest.fixture
def name(registry: HostileRegistry, images: Images) -> str:
    """Return the name of an image in the store, about four parts large."""
    found = f"{registry.host}/own:v1"
    import_image(images, found, file("file", hostile.layer(size=700_000)))
    return found


def push(images: Images, name: str, progress: Heard | None = None) -> None:
    settings = Settings(patience=QUICK, chunk=_CHUNK)
    pushing.push(images, name, progress=progress or Heard(), settings=settings)


def arrived(receiver: Receiver, images: Images, name: str) -> bool:
    """Return whether the registry has the manifest and all blobs that it names."""
    image = images.resolve(name)
    blobs = receiver.registry.blobs
    return "own/v1" in receiver.registry.manifests and image.id in blobs and len(blobs) == 2


def test_a_blob_goes_in_parts(receiver: Receiver, images: Images, name: str) -> None:
    push(images, name)

    assert arrived(receiver, images, name)
    methods = [one.method for one in receiver.registry.asked("/blobs/uploads/session0")]
    assert methods.count("PATCH") >= 3
    assert methods[-1] == "PUT"


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_failure_that_may_pass_is_got_over(
    receiver: Receiver, images: Images, name: str, method: str, code: int
) -> None:
    receiver.fault(method, hostile.status(code))

    push(images, name)

    assert arrived(receiver, images, name)


def test_what_arrived_before_a_failure_is_not_sent_again(
    receiver: Receiver, images: Images, name: str
) -> None:
    def keep_and_fail(handler: Any, data: bytes) -> None:
        session = receiver.sessions[receiver._name(handler)]
        session += receiver.registry.requests[-1].body[: _CHUNK // 2]
        handler.send(500)

    receiver.fault("PATCH", keep_and_fail)
    heard = Heard()

    push(images, name, heard)

    assert arrived(receiver, images, name)
    ranges = [
        one.headers["content-range"]
        for one in receiver.registry.asked("session0")
        if one.method == "PATCH"
    ]
    assert ranges[:2] == [f"0-{_CHUNK - 1}", f"{_CHUNK // 2}-{_CHUNK // 2 + _CHUNK - 1}"]
    assert heard.has("Retrying: 500 Internal Server Error")


def test_a_session_that_was_forgotten_is_opened_anew(
    receiver: Receiver, images: Images, name: str
) -> None:
    def forget(handler: Any, data: bytes) -> None:
        receiver.sessions.pop(receiver._name(handler))
        handler.send(500)

    receiver.fault("PATCH", forget)

    push(images, name)

    assert arrived(receiver, images, name)


def test_a_registry_that_never_takes_it_is_given_up(
    receiver: Receiver, images: Images, name: str
) -> None:
    receiver.fault("PATCH", hostile.status(500), times=1000)

    with pytest.raises(RuntimeFailure, match="500 Internal Server Error"):
        push(images, name)

    assert "own/v1" not in receiver.registry.manifests


def test_a_registry_that_does_not_want_it_is_believed(
    receiver: Receiver, images: Images, name: str
) -> None:
    receiver.fault("POST", hostile.status(403))

    with pytest.raises(RuntimeFailure, match="it says 403 Forbidden"):
        push(images, name)

    assert len(receiver.registry.asked("/blobs/uploads/")) == 1


def test_the_same_layer_is_the_same_blob_every_time(
    receiver: Receiver, images: Images, name: str
) -> None:
    push(images, name)
    first = dict(receiver.registry.blobs)
    receiver.registry.blobs.clear()

    push(images, name)

    assert receiver.registry.blobs == first
