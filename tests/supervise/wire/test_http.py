from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.model.target import parse_http
from supervise.wire.http import BODY_LIMIT, HEAD_LIMIT, Head, ResponseReader, get_request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def read(*chunks: bytes) -> ResponseReader:
    reader = ResponseReader()
    for chunk in chunks:
        reader.feed(chunk)
    return reader


def test_request_asks_once_and_closes() -> None:
    assert get_request(parse_http("http://localhost:8080/health?full")) == (
        b"GET /health?full HTTP/1.1\r\n"
        b"Host: localhost:8080\r\n"
        b"User-Agent: supervise\r\n"
        b"Accept: */*\r\n"
        b"Connection: close\r\n"
        b"\r\n"
    )


@pytest.mark.parametrize(
    ("answer", "head"),
    [
        (OK, Head(200, "OK", 2)),
        (b"HTTP/1.0 404 Not Found\r\nServer: x\r\n\r\n", Head(404, "Not Found")),
        (b"HTTP/1.1 204\r\n\r\n", Head(204, "")),
        (b"HTTP/1.1 200 OK\nCONTENT-LENGTH:  7 \n\n", Head(200, "OK", 7)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", Head(200, "OK")),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 3\r\n\r\n",
            Head(200, "OK", None, chunked=True),
        ),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK,
            Head(200, "OK", 2),
        ),
        (b"HTTP/1.1 101 Switching\r\n\r\n\x00", Head(101, "Switching")),
        (b"HTTP/1.1 500 \x1b[2Jno\r\n\r\n", Head(500, "\\x1b[2Jno")),
    ],
)
def test_head_is_read(answer: bytes, head: Head) -> None:
    assert read(answer).head == head


def test_head_is_complete_only_with_its_empty_line() -> None:
    assert read(b"HTTP/1.1 200 OK\r\nServer: x\r\n").head is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (101, False),
        (199, False),
        (200, True),
        (204, True),
        (302, True),
        (399, True),
        (400, False),
        (503, False),
    ],
)
def test_200_to_399_succeed(*, status: int, expected: bool) -> None:
    assert Head(status, "").succeeded() is expected


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 OK 200\r\n\r\n",
        b"HTTP/1.1 099 Low\r\n\r\n",
        b"HTTP/1.1 2\xb20 Superscript\r\n\r\n",
        b"HTTP/1.12 200 OK\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
    ],
)
def test_what_is_not_http_is_refused(answer: bytes) -> None:
    with pytest.raises(ValueError, match="the answer is not HTTP/1: '"):
        read(answer)


def test_a_stranger_is_refused_at_its_first_byte() -> None:
    with pytest.raises(ValueError, match="not HTTP/1: 'S'"):
        read(b"S")


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
def test_head_without_an_end_is_refused(end: bytes) -> None:
    with pytest.raises(ValueError, match="longer than 8192 bytes"):
        read(b"HTTP/1.1 200 OK\r\nX: " + b"x" * HEAD_LIMIT + end)


def test_interim_responses_do_not_add_up_to_the_limit() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nX: " + b"x" * 4000 + b"\r\n\r\n"

    assert read(interim, interim, interim, OK).head == Head(200, "OK", 2)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", False),
        (OK, True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", False),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * BODY_LIMIT, True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 200", False),
    ],
)
def test_finished_means_that_the_server_has_said_all(*, answer: bytes, expected: bool) -> None:
    assert read(answer).finished() is expected


@given(st.lists(st.integers(min_value=1, max_value=20), min_size=1))
def test_chunking_does_not_matter(sizes: list[int]) -> None:
    """Splitting the answer elsewhere reads the same head and the same end."""
    answer = (
        b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    chunks, rest = [], answer
    for size in sizes:
        chunks.append(rest[:size])
        rest = rest[size:]

    reader = read(*chunks, rest)

    assert reader.head == Head(200, "OK", None, chunked=True)
    assert reader.finished()


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_a_value_error(data: bytes) -> None:
    """No answer makes the reader raise anything but ValueError."""
    reader = ResponseReader()

    try:
        reader.feed(b"HTTP/1.1 " + data)
    except ValueError:
        reader.head = None

    assert reader.head is None or reader.head.status >= 101
