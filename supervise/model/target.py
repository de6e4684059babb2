"""What a tcp or http probe points at: the text people write, taken apart.

No name is resolved here and no address is checked; `supervise.daemon.readiness.probes` does that
when it tries.  The loader may use the same functions to refuse a bad target before anything runs.
"""

from __future__ import annotations

from supervise.model.numerals import whole
from supervise.model.record import Record

_HTTP_PORT = 80
_LAST_PORT = 65535
_SHOWN = 60  # characters of a text in a message


class Target(Record):
    """A host (a name, an IPv4 address or an IPv6 address without brackets) and a port."""

    host: str
    port: int


class HttpTarget(Record):
    """One http URL: where to connect, and what to ask there."""

    address: Target
    authority: str  # the Host header: as it was written, an empty port left out
    path: str  # with the query, starts with a slash, visible ASCII only


def parse_target(text: str) -> Target:
    """Return the host and port of ``host:port`` or ``[ipv6]:port``.

    Raises:
        ValueError: one sentence that says what is wrong and what to write.
    """
    host, port = _split(text)
    if not port:
        raise ValueError(f"'{_shown(text)}' has no port; write host:port, such as 127.0.0.1:5432")
    return Target(_host(host, text), _port(port, text))


def parse_http(url: str) -> HttpTarget:
    """Return what ``http://host[:port][/path][?query]`` points at; a fragment is dropped.

    Raises:
        ValueError: one sentence that says what is wrong and what to write.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme.lower() == "https":
        raise ValueError(
            f"'{_shown(url)}' is https, which PID 1 does not speak; use exec with a client"
        )
    if not separator or scheme.lower() != "http":
        raise ValueError(f"'{_shown(url)}' is no http URL; write http://127.0.0.1:8080/path")
    if not all("!" <= character <= "~" for character in rest):
        raise ValueError(
            f"'{_shown(url)}' has a blank, control or non-ASCII character; percent-encode it"
        )
    rest = rest.partition("#")[0]
    end = min((rest.find(mark) for mark in "/?" if mark in rest), default=len(rest))
    authority, path = rest[:end], rest[end:]
    if "@" in authority:
        raise ValueError(
            f"'{_shown(url)}' carries a user name, which a probe does not send; use exec"
        )
    host, port = _split(authority)
    address = Target(_host(host, url), _port(port, url) if port else _HTTP_PORT)
    return HttpTarget(
        address, authority.removesuffix(":"), path if path.startswith("/") else f"/{path}"
    )


def _split(text: str) -> tuple[str, str]:
    """Return (host, port) without the brackets of an IPv6 address; either may be empty."""
    if text.startswith("["):
        host, closed, port = text[1:].partition("]")
        if not closed or (port and not port.startswith(":")) or ":" not in host:
            raise ValueError(f"'{_shown(text)}' is no address; write [::1]:80 for IPv6")
        return host, port[1:]
    host, _, port = text.partition(":")
    if ":" in port:
        raise ValueError(f"'{_shown(text)}' has several colons; write [::1]:80 for IPv6")
    return host, port


def _host(host: str, text: str) -> str:
    if not host or any(character in " /" or not character.isprintable() for character in host):
        raise ValueError(f"'{_shown(text)}' has no host; write host:port, such as 127.0.0.1:5432")
    return host


def _port(port: str, text: str) -> int:
    number = whole(port)
    if number is None or not 1 <= number <= _LAST_PORT:
        raise ValueError(f"'{_shown(text)}': '{port[:20]}' is no port; ports are 1 to {_LAST_PORT}")
    return number


def _shown(text: str) -> str:
    """Return the beginning of *text*: what is wrong is to be read behind it."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
