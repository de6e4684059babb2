"""The text of /etc/hosts, /etc/hostname and /etc/resolv.conf in a container.

As docker writes them.  On a user-defined network /etc/hosts also has a part that names the other
containers; that part is ours, the rest is left as the container has it.
"""

from __future__ import annotations

from runtime.model.addresses import HOST_GATEWAY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HOSTS = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""
FALLBACK_SERVERS = ("8.8.8.8", "8.8.4.4")

_BEGIN = "# containers on network "
_END = "# end of network "


def hosts(
    *,
    addresses: Sequence[str],
    name: str,
    domain: str,
    extra: Iterable[tuple[str, str]],
    gateway: str,
) -> str:
    """Return /etc/hosts of a container with *addresses* that is called *name*.

    *extra* is what --add-host gave, as (name, address).
    """
    text = HOSTS + added(extra, gateway)
    for address in addresses:
        text += own_line(address, name, domain)
    return text


def added(extra: Iterable[tuple[str, str]], gateway: str) -> str:
    """Return the lines of --add-host, with *gateway* for "host-gateway"."""
    return "".join(
        f"{gateway if address == HOST_GATEWAY else address}\t{host}\n"
        for host, address in extra
        if address != HOST_GATEWAY or gateway
    )


def own_line(address: str, name: str, domain: str = "") -> str:
    """Return the line with which a container finds itself."""
    return f"{address}\t{name}.{domain} {name}\n" if domain else f"{address}\t{name}\n"


def with_peers(text: str, network: str, peers: Iterable[tuple[str, Sequence[str]]] | None) -> str:
    """Return *text* with exactly *peers*, (address, names) each, named on *network*.

    None removes the network's part.  All other lines stay, also those the container added.
    """
    begin, end = f"{_BEGIN}{network}\n", f"{_END}{network}\n"
    before, found, rest = text.partition(begin)
    if found:
        _, closed, after = rest.partition(end)
        text = before + after if closed else before
    if peers is None:
        return text
    if text and not text.endswith("\n"):
        text += "\n"
    lines = "".join(f"{address}\t{' '.join(_words(names))}\n" for address, names in peers)
    return f"{text}{begin}{lines}{end}"


def _words(names: Iterable[str]) -> list[str]:
    """Return the names that are one word: no name is to become a line in another's file."""
    return [name for name in names if len(name.split()) == 1]


def without_line(text: str, address: str) -> str:
    """Return *text* without the lines for *address*."""
    kept = [line for line in text.splitlines(keepends=True) if line.split()[:1] != [address]]
    return "".join(kept)


def hostname(name: str) -> str:
    """Return /etc/hostname."""
    return f"{name}\n"


def resolv_conf(
    host: str,
    *,
    servers: Sequence[str] = (),
    search: Sequence[str] = (),
    options: Sequence[str] = (),
    ipv6: bool = False,
) -> str:
    """Return /etc/resolv.conf made from the *host*'s, with what the user asked for instead.

    A name server on the host's loopback is out of a container's reach, one with an IPv6 address
    is without *ipv6*; when none is left, `FALLBACK_SERVERS` stand in.  ``search .`` means none.
    """
    found = _read(host)
    chosen = list(servers)
    if not chosen:
        chosen = [server for server in found["nameserver"] if _reachable(server, ipv6=ipv6)]
    lines = [f"nameserver {server}" for server in chosen or FALLBACK_SERVERS]
    domains = list(search) or found["search"]
    if domains and domains != ["."]:
        lines.append(f"search {' '.join(domains)}")
    switches = list(options) or found["options"]
    if switches:
        lines.append(f"options {' '.join(switches)}")
    return "\n".join(lines) + "\n"


def only_stub(host: str) -> bool:
    """Return whether the host asks only systemd-resolved's stub: the real list is elsewhere."""
    return _read(host)["nameserver"] == ["127.0.0.53"]


def _read(text: str) -> dict[str, list[str]]:
    """Return what a resolv.conf says; see resolv.conf(5): the last search or domain line counts."""
    found: dict[str, list[str]] = {"nameserver": [], "search": [], "options": []}
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0].startswith(("#", ";")):
            continue
        if words[0] == "nameserver":
            found["nameserver"].append(words[1])
        elif words[0] in {"search", "domain"}:
            found["search"] = words[1:]
        elif words[0] == "options":
            found["options"] += words[1:]
    return found


def _reachable(server: str, *, ipv6: bool) -> bool:
    if ":" in server:
        return ipv6 and server != "::1" and not server.lower().startswith("fe80:")
    return not server.startswith("127.")
