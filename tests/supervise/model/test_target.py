from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.model.target import HttpTarget, Target, parse_http, parse_target


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:5432", Target("127.0.0.1", 5432)),
        ("localhost:1", Target("localhost", 1)),
        ("[::1]:80", Target("::1", 80)),
        ("[2001:db8::1]:65535", Target("2001:db8::1", 65535)),
    ],
)
def test_target_is_a_host_and_a_port(text: str, expected: Target) -> None:
    assert parse_target(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "'' has no port; write host:port, such as 127.0.0.1:5432"),
        ("5432", "'5432' has no port; write host:port, such as 127.0.0.1:5432"),
        ("db:", "'db:' has no port; write host:port, such as 127.0.0.1:5432"),
        (":80", "':80' has no host; write host:port, such as 127.0.0.1:5432"),
        ("a b:80", "'a b:80' has no host; write host:port, such as 127.0.0.1:5432"),
        ("::1:80", "'::1:80' has several colons; write [::1]:80 for IPv6"),
        ("[::1:80", "'[::1:80' is no address; write [::1]:80 for IPv6"),
        ("[::1]80", "'[::1]80' is no address; write [::1]:80 for IPv6"),
        ("[db]:80", "'[db]:80' is no address; write [::1]:80 for IPv6"),
        ("db:0", "'db:0': '0' is no port; ports are 1 to 65535"),
        ("db:65536", "'db:65536': '65536' is no port; ports are 1 to 65535"),
        ("db:+1", "'db:+1': '+1' is no port; ports are 1 to 65535"),
        ("db:\u0661", "'db:\u0661': '\u0661' is no port; ports are 1 to 65535"),
        ("db:" + "9" * 5001, f"'db:{'9' * 57}…': '{'9' * 20}' is no port; ports are 1 to 65535"),
        ("db:http", "'db:http': 'http' is no port; ports are 1 to 65535"),
    ],
)
def test_bad_target_is_refused_with_what_to_write(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_target(text)

    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "path"),
    [
        ("http://127.0.0.1:8080/healthz", "127.0.0.1", 8080, "127.0.0.1:8080", "/healthz"),
        ("http://localhost", "localhost", 80, "localhost", "/"),
        ("http://localhost:/", "localhost", 80, "localhost", "/"),
        ("HTTP://[::1]:81/a?b=c#d", "::1", 81, "[::1]:81", "/a?b=c"),
        ("http://web?full=1", "web", 80, "web", "/?full=1"),
        ("http://web#top", "web", 80, "web", "/"),
        ("http://web/a@b:c", "web", 80, "web", "/a@b:c"),
    ],
)
def test_url_says_where_and_what(url: str, host: str, port: int, authority: str, path: str) -> None:
    assert parse_http(url) == HttpTarget(Target(host, port), authority, path)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("localhost:80", "is no http URL; write http://127.0.0.1:8080/path"),
        ("ftp://web/", "is no http URL; write http://127.0.0.1:8080/path"),
        ("https://web/", "is https, which PID 1 does not speak; use exec with a client"),
        ("http://", "has no host; write host:port, such as 127.0.0.1:5432"),
        ("http:///healthz", "has no host; write host:port, such as 127.0.0.1:5432"),
        ("http://u:p@web/", "carries a user name, which a probe does not send; use exec"),
        ("http://web:99999/", ": '99999' is no port; ports are 1 to 65535"),
    ],
)
def test_bad_url_is_refused_with_what_to_write(url: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_http(url)

    assert str(caught.value) == f"'{url}'{reason if reason[0] == ':' else ' ' + reason}"


@pytest.mark.parametrize("url", ["http://web/a b", "http://web/\r\nEvil: 1", "http://web/é"])
def test_url_cannot_smuggle_a_header(url: str) -> None:
    with pytest.raises(ValueError, match="percent-encode it"):
        parse_http(url)


@given(st.text())
def test_any_text_is_a_target_or_a_value_error(text: str) -> None:
    """No text makes the parsers raise anything but ValueError."""
    for parse in (parse_target, parse_http):
        with contextlib.suppress(ValueError):
            parsed = parse(text)
            assert (
                1 <= (parsed.port if isinstance(parsed, Target) else parsed.address.port) <= 65535
            )
