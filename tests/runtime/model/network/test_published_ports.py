"""``-p`` in all its forms, and how published ports are shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.model.container.spec import Port
from runtime.model.errors import RuntimeFailure
from runtime.model.network import published_ports


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("80", (Port(80),)),
        ("8080:80", (Port(80, 8080),)),
        ("8080:80/tcp", (Port(80, 8080),)),
        ("53:53/UDP", (Port(53, 53, "udp"),)),
        ("127.0.0.1:8080:80", (Port(80, 8080, "tcp", "127.0.0.1"),)),
        ("127.0.0.1::80", (Port(80, 0, "tcp", "127.0.0.1"),)),
        ("127.0.0.1:0:80", (Port(80, 0, "tcp", "127.0.0.1"),)),
        ("0:80", (Port(80),)),
        ("[::1]:8080:80", (Port(80, 8080, "tcp", "::1"),)),
        ("[::]::80/udp", (Port(80, 0, "udp", "::"),)),
        ("8000-8002:80-82", (Port(80, 8000), Port(81, 8001), Port(82, 8002))),
        ("80-81", (Port(80), Port(81))),
        ("8000-8005:80", (Port(80, 8000, host_last=8005),)),
        ("8000-8000:80", (Port(80, 8000),)),
    ],
)
def test_every_form_is_read(text: str, expected: tuple[Port, ...]) -> None:
    assert published_ports.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("80/sctp", "sctp is not supported"),
        ("80/icmp", "'icmp' is not a protocol"),
        ("80/", "'' is not a protocol"),
        ("", "a port is missing"),
        ("8080:", "a port is missing"),
        (":80", "there is no host port before the ':'"),
        ("http:80", "'http' is not a port"),
        ("0", "'0' is not a port"),
        ("8080:65536", "'65536' is not a port"),
        ("-1:80", "'-1' is not a port"),
        ("8005-8000:80", "the range 8005-8000 runs backwards"),
        ("8000-8002:80-81", "8000-8002 are 3 ports, 80-81 are 2"),
        ("web:8080:80", "'web' is not an address of this machine"),
        ("256.0.0.1:8080:80", "'256.0.0.1' is not an address"),
        ("::1:8080:80", "an IPv6 address stands in brackets"),
        ("[::1:8080:80", "the address's bracket is not closed by ']:'"),
        ("[127.0.0.1]:8080:80", "'127.0.0.1' is not an IPv6 address"),
    ],
)
def test_what_makes_no_sense_is_told(text: str, said: str) -> None:
    with pytest.raises(RuntimeFailure) as refused:
        published_ports.parse(text)

    assert refused.value.message.startswith(f"cannot publish '{text}': {said}")
    assert refused.value.code == 125


@given(st.text(alphabet="0123456789:-/[].tcpudx", max_size=24))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing else is raised, and what is read has ports that exist."""
    try:
        found = published_ports.parse(text)
    except RuntimeFailure:
        return

    assert found
    for port in found:
        assert 0 < port.container < 65536
        assert 0 <= port.host < 65536


def test_publish_all_adds_what_is_exposed_and_not_given() -> None:
    given_ = (Port(80, 8080),)
    exposed = ((80, "tcp"), (80, "udp"), (443, "tcp"), (9, "sctp"))

    assert published_ports.wanted(given_, exposed, publish_all=False) == [Port(80, 8080)]
    assert published_ports.wanted(given_, exposed, publish_all=True) == [
        Port(80, 8080),
        Port(80, 0, "udp"),
        Port(443, 0, "tcp"),
    ]


def test_the_same_port_twice_is_once() -> None:
    assert published_ports.wanted([Port(80, 8080)] * 2, (), publish_all=False) == [Port(80, 8080)]


def test_bindings_are_shown_as_docker_shows_them() -> None:
    bindings = [("0.0.0.0", 8080, 80, "tcp"), ("::", 8080, 80, "tcp")]

    assert published_ports.summary(bindings) == "0.0.0.0:8080->80/tcp, :::8080->80/tcp"
    assert published_ports.by_container_port(bindings, [(53, "udp"), (80, "tcp")]) == {
        "53/udp": None,
        "80/tcp": [
            {"HostIp": "0.0.0.0", "HostPort": "8080"},
            {"HostIp": "::", "HostPort": "8080"},
        ],
    }
