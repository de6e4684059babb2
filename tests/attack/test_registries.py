"""Servers that mean harm: to pulls, to ADD and to contexts that are URLs."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.builder.sources import remote, web
from runtime.model import jsontext
from runtime.model.errors import RuntimeFailure
from runtime.model.image import image_config
from runtime.registry import challenges, documents, transport
from runtime.registry.problems import RegistryError
from runtime.registry.settings import Trust
from runtime.store.images import Images
from tests.support import hostile_registry as hostile
from tests.support.attack import fuzz
from tests.support.hostile_registry import HostileRegistry, Wire
from tests.support.images import make_images
from tests.support.pulls import IMPATIENT, refused
from tests.support.web import Web

pytestmark = [pytest.mark.integration, pytest.mark.needs("root")]

_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
_STALL = 0.4  # seconds
_LONG = 15.0  # seconds; each ends after one or two stalls, and this machine may be busy


def _bytes(data: bytes) -> Iterator[bytes]:
    return (bytes([one]) for one in data)


# Answers that never end, by what never ends in them.  The second value: the pause after a piece.
ENDLESS: dict[str, tuple[Callable[[], Iterable[bytes]], float]] = {
    "status line": (lambda: chain([b"HTTP/1.1 200 "], repeat(b"O")), 0.02),
    "header, slowly": (lambda: chain([_OK, b"X: "], repeat(b"x")), 0.02),
    "header, fast": (lambda: chain([_OK, b"X: "], repeat(b"x" * 9999)), 0.0),
    "headers, slowly": (lambda: chain([_OK], repeat(b"X: x\r\n")), 0.02),
    "headers, fast": (lambda: chain([_OK], repeat(b"X: x\r\n" * 999)), 0.0),
    "continue, slowly": (lambda: repeat(b"HTTP/1.1 100 Continue\r\n\r\n"), 0.02),
    "continue, fast": (lambda: repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 99), 0.0),
    "body": (lambda: chain([_OK, b"Content-Length: 99999\r\n\r\n"], repeat(b"x")), 0.02),
    "body without a length": (lambda: chain([_OK, b"\r\n"], repeat(b"x")), 0.02),
    "chunks": (lambda: chain([_CHUNKED], repeat(b"1\r\nx\r\n")), 0.02),
    "size of a chunk": (lambda: chain([_CHUNKED, b"5;"], repeat(b"x")), 0.02),
    "trailers, slowly": (lambda: chain([_CHUNKED, b"0\r\n"], repeat(b"X: x\r\n")), 0.02),
    "trailers, fast": (lambda: chain([_CHUNKED, b"0\r\n"], repeat(b"X: x\r\n" * 999)), 0.0),
}
# What is no answer, or one that contradicts itself.
ODD: dict[str, bytes] = {
    "nothing": b"",
    "no protocol": b"hello\r\n\r\n",
    "status of letters": b"HTTP/1.1 abc OK\r\n\r\n",
    "status of 5000 digits": b"HTTP/1.1 " + b"2" * 5000 + b" OK\r\n\r\n",
    "length that is longer": _OK + b"Content-Length: 500\r\n\r\nabc",
    "chunk of no number": _CHUNKED + b"zz\r\nabc\r\n",
    "chunk of negative size": _CHUNKED + b"-5\r\nabc\r\n",
    "chunk larger than all memory": _CHUNKED + b"f" * 30 + b"\r\nabc",
    "redirect to no address": b"HTTP/1.1 302 x\r\nLocation: http://[::1\r\n\r\n",
    "redirect to no port": b"HTTP/1.1 302 x\r\nLocation: http://a:b/\r\n\r\n",
    "redirect to no name": b"HTTP/1.1 302 x\r\nLocation: http:///x\r\n\r\n",
    "redirect to a long name": b"HTTP/1.1 302 x\r\nLocation: http://" + b"a" * 300 + b"/\r\n\r\n",
    "redirect to itself": b"HTTP/1.1 302 x\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    "date of year 1": b"HTTP/1.1 503 x\r\nRetry-After: Mon, 01 Jan 0001 00:00:00 -0000\r\n\r\n",
    "reason that drives a terminal": b"HTTP/1.1 404 \x1b]0;x\x07\r\nContent-Length: 0\r\n\r\n",
}


@pytest.fixture
def registry() -> Iterator[HostileRegistry]:
    made = HostileRegistry()
    yield made
    made.close()


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return make_images(tmp_path)


def _by_pull(url: str) -> bytes:
    patience = IMPATIENT.replace(stall=_STALL, attempts=1)
    made = transport.Transport(patience)
    try:
        return made.request("GET", url, Trust(), {}).all(200_000)
    finally:
        made.close()


def _by_add(url: str) -> bytes:
    with web.open_url(url, {}, _STALL) as answer:
        return b"".join(web.body(answer, 1 << 16))


_REFUSALS = (RegistryError, RuntimeFailure, OSError, http.client.HTTPException)


@pytest.mark.parametrize("door", [_by_pull, _by_add], ids=["pull", "ADD"])
@pytest.mark.parametrize(("script", "pause"), ENDLESS.values(), ids=ENDLESS.keys())
def test_an_answer_that_never_ends_is_given_up(
    script: Callable[[], Iterable[bytes]], pause: float, door: Callable[[str], bytes]
) -> None:
    wire = Wire(script, pause)
    begun = time.monotonic()
    try:
        with pytest.raises(_REFUSALS):
            door(f"{wire.url}/x")
    finally:
        wire.close()

    assert time.monotonic() - begun < _LONG


@pytest.mark.parametrize("data", ODD.values(), ids=ODD.keys())
def test_an_answer_that_is_none_ends_in_a_sentence(tmp_path: Path, data: bytes) -> None:
    wire = Wire(lambda: [data])
    try:
        with pytest.raises(RegistryError):
            _by_pull(f"{wire.url}/x") if not data.startswith(b"HTTP/1.1 404") else _missing()
        with pytest.raises(RuntimeFailure, match="cannot fetch 'http") as caught:
            remote.fetch(f"{wire.url}/x", str(tmp_path))
    finally:
        wire.close()

    assert caught.value.message.isprintable()


def _missing() -> None:
    raise RegistryError("404 is for the caller of the transport to read")


@pytest.mark.parametrize(
    "target", ["ftp://127.0.0.1:1/x", "file:///etc/passwd", "data:,x", "gopher://127.0.0.1/", "FTP://x/"]
)  # fmt: skip
def test_add_follows_no_redirect_to_another_scheme(tmp_path: Path, target: str) -> None:
    served = Web()
    served.files["/x"] = (302, {"Location": target}, b"")
    try:
        with pytest.raises(RuntimeFailure, match="it redirects to"):
            remote.fetch(f"{served.url}/x", str(tmp_path))
    finally:
        served.close()


def test_the_body_of_a_redirect_is_not_read(tmp_path: Path) -> None:
    """`urllib` reads it whole, and it may have no end."""
    served = Web()
    served.files["/there"] = (200, {}, b"found")
    wire = Wire(
        lambda: chain(
            [f"HTTP/1.1 302 x\r\nLocation: {served.url}/there\r\n\r\n".encode()],
            repeat(b"x" * 9999),
        )
    )
    try:
        found = remote.fetch(f"{wire.url}/x", str(tmp_path))
    finally:
        wire.close()
        served.close()

    assert Path(found.directory, found.name).read_bytes() == b"found"


@pytest.mark.parametrize("url", ["http://[bad /x", "http://[", "http://a:b/x", "http://a/%00", "http://" + "a" * 300 + "/x", "http:///x", "https://\udc80/x"])  # fmt: skip
def test_what_is_no_url_ends_in_a_sentence(tmp_path: Path, url: str) -> None:
    def fetch() -> None:  # as ADD does
        remote.file_name(url)
        remote.fetch(url, str(tmp_path))

    with pytest.raises(RuntimeFailure, match="cannot fetch"):
        fetch()


def test_headers_that_cannot_be_sent_back_are_not_kept(tmp_path: Path) -> None:
    served = Web()
    served.files["/x"] = (200, {"ETag": '"a"\r\n b', "Last-Modified": "Mon, 01 Jan 0001 00:00:00 -0000"}, b"1")  # fmt: skip
    try:
        for _ in range(2):
            found = remote.fetch(f"{served.url}/x", str(tmp_path))
    finally:
        served.close()

    assert Path(found.directory, found.name).read_bytes() == b"1"


def test_a_repository_with_more_tags_than_any_is_not_listed(
    registry: HostileRegistry, images: Images
) -> None:
    page = json.dumps({"tags": [f"t{number}" for number in range(30_000)]}).encode()
    link = {"Link": '</v2/many/tags/list?last=a>; rel="next"'}
    registry.fault("/tags/list", lambda handler, _: handler.send(200, page, link), times=64)

    failure = refused(images, f"{registry.host}/many:absent")

    assert "there is no such repository" in failure.message
    assert len(registry.asked("/tags/list")) == 4


def test_an_image_of_more_layers_than_overlayfs_stacks_is_not_pulled(
    registry: HostileRegistry, images: Images
) -> None:
    registry.image("tall:1", *[hostile.layer(str(n), 100) for n in range(501)])

    failure = refused(images, f"{registry.host}/tall:1")

    assert "it has 501 layers, and overlayfs stacks 500" in failure.message
    assert len(registry.asked("/blobs/")) == 1  # the configuration


@pytest.mark.parametrize("data", [b"[" * 200_000, b'{"a":' * 200_000, b"[" * 101 + b"]" * 101, b'["\\ud800"]', b"[NaN]", b"9" * 5000, b"\xff", b"", b'{"a":1e999}x'])  # fmt: skip
def test_a_document_of_somebody_else_is_refused_by_one_reader(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        jsontext.document(data)


@pytest.mark.parametrize("data", [b"[" * 100 + b"]" * 100, b'["\\ud83d\\ude00"]', b'["NaN"]', b'"\\u0000"', b"[]" + b" " * 9])  # fmt: skip
def test_an_honest_document_is_read(data: bytes) -> None:
    assert jsontext.document(data) == json.loads(data)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
    | st.sampled_from(["linux", "amd64", "sha256:" + "a" * 64, documents.OCI_MANIFEST]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from([
            *("config", "layers", "manifests", "mediaType", "digest", "size", "platform", "os"),
            *("architecture", "variant", "annotations", "rootfs", "diff_ids", "history", "Env"),
            *("Cmd", "Labels", "ExposedPorts", "Healthcheck", "Test", "Interval", "Retries"),
            *("schemaVersion", "created", "empty_layer", "User", "Volumes", "OnBuild"),
        ]),
        inner, max_size=6,
    ),
    max_leaves=30,
)  # fmt: skip


@fuzz(200)
@given(value=values)
def test_any_json_as_a_manifest_an_index_or_a_configuration(value: object) -> None:
    """A manifest ends in RegistryError, a configuration in ValueError, or they are valid."""
    data = json.dumps(value).encode()
    wanted = documents.Platform("linux", "amd64")
    try:
        found = documents.check(data, "", "")
        if found.is_index:
            documents.choose(found, wanted)
        else:
            documents.manifest(found)
    except RegistryError as error:
        assert error.reason  # noqa: PT017 - either way is right
    try:
        config = image_config.from_json(data)
    except ValueError:
        return
    assert image_config.from_json(image_config.to_json(config)).diff_ids == config.diff_ids


@fuzz(300)
@given(
    text=st.lists(
        st.sampled_from([
            *("Bearer", "Basic", " ", ",", "=", '"', "\\", "realm", "service", "scope", "x\u0661"),
            *('realm="https://a/b"', "error", "\t", "a" * 50, "\x00", "é"),
        ]),
        max_size=30,
    ).map("".join) | st.text(max_size=60)
)  # fmt: skip
def test_any_challenge_is_read_in_linear_time(text: str) -> None:
    """Nothing is raised; schemes are in lower case and not empty."""
    for found in challenges.parse([text]):
        assert found.scheme
        assert found.scheme == found.scheme.lower()


def test_a_long_challenge_is_no_work() -> None:
    begun = time.process_time()

    for piece in ('a="', "\\", "a ", ",", 'a="\\', "a=b,", " \t"):
        challenges.parse([piece * (60_000 // len(piece))])

    assert time.process_time() - begun < 10
