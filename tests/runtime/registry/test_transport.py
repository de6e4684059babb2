"""What a server can do to a client: addresses, waiting, words, trickles."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.registry import transport
from runtime.registry.problems import RegistryError, RegistryUnreachableError
from runtime.registry.settings import Patience
from runtime.store.images import Images
from tests.support import hostile_registry as hostile
from tests.support.hostile_registry import HostileRegistry
from tests.support.pulls import IMPATIENT, Heard, contents, pull, refused

BASE = "https://r.example/v2/x"
root = pytest.mark.needs("root")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/v2/y", "https://r.example/v2/y"),
        ("https://cdn.example/blob?sig=1", "https://cdn.example/blob?sig=1"),
        ("//cdn.example/blob", "https://cdn.example/blob"),
        ("y", "https://r.example/v2/y"),
    ],
)
def test_an_address_that_a_server_gives_is_followed(target: str, expected: str) -> None:
    assert transport.join(BASE, target) == expected


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "http://[", "ftp://x/", "https://x:port/"]
)
def test_an_address_that_is_none_of_ours_is_not(target: str) -> None:
    with pytest.raises(RegistryUnreachableError, match="no address"):
        transport.join(BASE, target)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("7", 7.0),
        (" 0 ", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 60.0),
        ("Wed, 21 Oct 2015 07:26:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, expected: float | None) -> None:
    at_a_minute_before = 1445412420.0

    assert transport.retry_after(text, at_a_minute_before) == expected


def test_what_a_registry_says_is_printable() -> None:
    error = RegistryError("it says \x1b]0;owned\x07", "try \x9b2J")

    assert error.reason == "it says \\x1b]0;owned\\a"
    assert error.hint == "try \\u009b2J"


@pytest.mark.integration
@root
def test_a_trickle_counts_as_a_stall(registry: HostileRegistry, images: Images) -> None:
    def trickle(handler: Any, data: bytes) -> None:
        handler.begin(200, len(data))
        sent = 0
        while not handler.registry.over.wait(0.01):
            handler.wfile.write(data[sent : sent + 1])
            handler.wfile.flush()
            sent += 1

    registry.image("slow:1", hostile.layer())
    registry.fault("/blobs/", hostile.whole)  # the configuration
    registry.fault("/blobs/", trickle)
    heard = Heard()

    image = pull(images, f"{registry.host}/slow:1", IMPATIENT, progress=heard)

    assert contents(images, image)
    assert heard.has("bytes in 0.2 s")


@pytest.mark.integration
@root
def test_a_list_of_tags_is_read_page_by_page(registry: HostileRegistry, images: Images) -> None:
    def first(handler: Any, _: bytes) -> None:
        link = '</v2/paged/tags/list?last=a>; rel="next"'
        handler.send(200, b'{"tags": ["a", "bad\\u001b[2J"]}', {"Link": link})

    registry.fault("/tags/list", first)
    registry.fault("/tags/list", lambda handler, _: handler.send(200, b'{"tags": ["stable"]}'))

    failure = refused(images, f"{registry.host}/paged:stabel")

    assert failure.hint == 'did you mean "stable"?'


@pytest.mark.integration
@root
@pytest.mark.parametrize("answer", [b"", b"[]", b"null", b'{"tags": 5}', b"[" * 100_000])
def test_a_list_of_tags_that_makes_no_sense_is_no_harm(
    registry: HostileRegistry, images: Images, answer: bytes
) -> None:
    registry.fault("/tags/list", lambda handler, _: handler.send(200, answer))

    failure = refused(images, f"{registry.host}/none:1")

    assert "there is no such repository" in failure.message


def test_patience_is_bounded_by_what_a_server_may_ask_for() -> None:
    assert Patience().longest_pause <= 60
