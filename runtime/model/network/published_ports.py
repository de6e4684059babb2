"""Published ports: ``-p [ip:][host:]container[/proto]`` to `Port`s, and back to docker's words."""

from __future__ import annotations

from runtime.model.container.spec import Port
from runtime.model.errors import RuntimeFailure
from supervise.model.numerals import whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FORMS = "write [ADDRESS:][HOST:]CONTAINER[/tcp|/udp], each a port or a range such as 8000-8005"
ANY4 = "0.0.0.0"  # noqa: S104 - what the user sees for "every address"
ANY6 = "::"


def parse(text: str) -> tuple[Port, ...]:
    """Return the ports that one ``-p`` publishes; a range gives several.

    Raises:
        RuntimeFailure: it makes no sense; says why.
    """
    rest, slash, protocol = text.partition("/")
    protocol = protocol.lower() if slash else "tcp"
    if protocol == "sctp":
        raise _refuse(text, "sctp is not supported", "publish tcp or udp, or use --net host")
    if protocol not in {"tcp", "udp"}:
        raise _refuse(text, f"'{protocol}' is not a protocol", "it is tcp or udp")
    address, host_text, container_text = _split(text, rest)
    first, last = _range(text, container_text)
    if not host_text:
        return tuple(Port(port, 0, protocol, address) for port in range(first, last + 1))
    host_first, host_last = _range(text, host_text, zero=True)
    if first == last and host_last > host_first:
        return (Port(first, host_first, protocol, address, host_last),)
    if last - first != host_last - host_first:
        raise _refuse(
            text,
            f"{host_text} are {host_last - host_first + 1} ports, "
            f"{container_text} are {last - first + 1}",
            "ranges must be equally long",
        )
    return tuple(
        Port(port, host_first + port - first if host_first else 0, protocol, address)
        for port in range(first, last + 1)
    )


def _split(text: str, rest: str) -> tuple[str, str, str]:
    """Return (address, host ports, container ports) of what stands before the slash."""
    address = ""
    if rest.startswith("["):
        address, bracket, rest = rest[1:].partition("]")
        if not bracket or not rest.startswith(":"):
            raise _refuse(text, "the address's bracket is not closed by ']:'", _FORMS)
        rest = rest[1:]
        if ":" not in address:
            raise _refuse(text, f"'{address}' is not an IPv6 address", _FORMS)
    elif rest.count(":") == 2:
        address, _, rest = rest.partition(":")
        if address and not _is_ipv4(address):
            raise _refuse(text, f"'{address}' is not an address of this machine", _FORMS)
    elif rest.count(":") > 2:
        raise _refuse(text, "an IPv6 address stands in brackets", "as in [::1]:8080:80")
    host, colon, container = rest.rpartition(":")
    if colon and not host and not address:
        raise _refuse(text, "there is no host port before the ':'", _FORMS)
    return address, host, container


def _is_ipv4(text: str) -> bool:
    parts = text.split(".")
    return len(parts) == 4 and all(
        (number := whole(part)) is not None and number < 256 for part in parts
    )


def _range(text: str, part: str, *, zero: bool = False) -> tuple[int, int]:
    low, dash, high = part.partition("-")
    first, last = whole(low), whole(high if dash else low)
    if first is None or last is None:
        raise _refuse(text, f"'{part}' is not a port" if part else "a port is missing", _FORMS)
    if last > 65535 or first < (0 if zero else 1):
        raise _refuse(text, f"'{part}' is not a port", "ports are 1 to 65535")
    if last < first:
        raise _refuse(text, f"the range {part} runs backwards", _FORMS)
    return first, last


def _refuse(text: str, reason: str, hint: str) -> RuntimeFailure:
    return RuntimeFailure(f"cannot publish '{text}': {reason}", hint)


def wanted(
    ports: Iterable[Port], exposed: Iterable[tuple[int, str]], *, publish_all: bool
) -> list[Port]:
    """Return all ports to publish; with *publish_all* (-P) the *exposed* ones on random ports."""
    found = list(dict.fromkeys(ports))
    if publish_all:
        given = {(port.container, port.protocol) for port in found}
        found += [
            Port(number, 0, protocol)
            for number, protocol in dict.fromkeys(exposed)
            if (number, protocol) not in given and protocol in {"tcp", "udp"}
        ]
    return found


def summary(bindings: Sequence[tuple[str, int, int, str]]) -> str:
    """Return the PORTS column of ``ps``: ``0.0.0.0:8080->80/tcp, :::8080->80/tcp``."""
    return ", ".join(
        f"{address}:{host}->{container}/{protocol}"
        for address, host, container, protocol in bindings
    )


def by_container_port(
    bindings: Sequence[tuple[str, int, int, str]], exposed: Iterable[tuple[int, str]] = ()
) -> dict[str, list[dict[str, str]] | None]:
    """Return what ``docker inspect`` shows as NetworkSettings.Ports."""
    found: dict[str, list[dict[str, str]] | None] = {
        f"{number}/{protocol}": None for number, protocol in exposed
    }
    for address, host, container, protocol in bindings:
        key = f"{container}/{protocol}"
        listed = found.get(key) or []
        listed.append({"HostIp": address, "HostPort": str(host)})
        found[key] = listed
    return found
