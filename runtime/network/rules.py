"""The text for nft: the table `inet runtime`, and the elements for networks and ports.

The number of rules never changes: every port is an element of a map.  Text alone; `firewall` has
it carried out.  docs/networking.md explains each rule.
"""

from __future__ import annotations

import _socket as socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.model.network.network_records import Lease, Network

TABLE = "runtime"
VERSION = "rules 1"  # the table's comment; a table with another one is replaced
DOCKER_MARK = "runtime networks"  # the comment of our rules in docker's own chain

_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}

_BASE = f"""\
add table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
  comment "{VERSION}"
  map ports4 {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
  map ports4_at {{ type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service; }}
  map ports6 {{ type inet_proto . inet_service : ipv6_addr . inet_service; }}
  map ports6_at {{ type inet_proto . ipv6_addr . inet_service : ipv6_addr . inet_service; }}
  set subnets4 {{ type ipv4_addr; flags interval; }}
  set subnets6 {{ type ipv6_addr; flags interval; }}
  set bridges {{ type ifname; }}
  set internal {{ type ifname; }}
  set same {{ type ifname . ifname; }}
  chain guard {{
    type filter hook prerouting priority raw; policy accept;
    iifname != "lo" ip daddr 127.0.0.0/8 drop
  }}
  chain publish {{
    dnat ip to meta l4proto . ip daddr . th dport map @ports4_at
    dnat ip to meta l4proto . th dport map @ports4
    ip6 daddr ::1 return
    dnat ip6 to meta l4proto . ip6 daddr . th dport map @ports6_at
    dnat ip6 to meta l4proto . th dport map @ports6
  }}
  chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    fib daddr type local meta l4proto {{ tcp, udp }} jump publish
  }}
  chain output {{
    type nat hook output priority -100; policy accept;
    fib daddr type local meta l4proto {{ tcp, udp }} jump publish
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr 127.0.0.0/8 oifname @bridges masquerade
    ip saddr @subnets4 oifname != @bridges masquerade
    ip6 saddr @subnets6 oifname != @bridges masquerade
    ct status dnat ip saddr @subnets4 ip daddr @subnets4 masquerade
    ct status dnat ip6 saddr @subnets6 ip6 daddr @subnets6 masquerade
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    oifname @internal iifname . oifname != @same drop
    iifname @internal iifname . oifname != @same drop
    oifname @bridges jump inward
  }}
  chain inward {{
    ct state established,related accept
    ct status dnat accept
    iifname . oifname @same accept
    drop
  }}
}}
"""

# docker's own chain for such rules.  It turns the policy of FORWARD to drop, for everybody.
DOCKER = "".join(
    f'insert rule ip filter DOCKER-USER {side} "{name}" counter accept comment "{DOCKER_MARK}"\n'
    for side in ("iifname", "oifname")
    for name in ("runtime0", "rt-*")
)


def everything(networks: Iterable[Network], leases: Iterable[Lease]) -> str:
    """Return the whole table anew, in one transaction: connections that exist go on."""
    lines = [_BASE]
    lines += [network_elements(network) for network in networks if network.driver == "bridge"]
    lines += [port_elements(lease) for lease in leases]
    return "".join(lines)


def network_elements(network: Network) -> str:
    """Return what makes one bridge known."""
    name = f'"{network.interface}"'
    lines = [_add("bridges", name), _add("same", f"{name} . {name}")]
    if network.internal:
        lines.append(_add("internal", name))
    else:
        lines.append(_add("subnets4", network.subnet))
        if network.subnet6:
            lines.append(_add("subnets6", network.subnet6))
    return "".join(lines)


def port_elements(lease: Lease) -> str:
    """Return what publishes the ports that nft translates."""
    lines = []
    for address, host, container, protocol in lease.translated:
        target = lease.address6 if ":" in address else lease.address
        parts = [protocol, str(host)] if _is_any(address) else [protocol, address, str(host)]
        lines.append(_add(_map_of(address), f"{' . '.join(parts)} : {target} . {container}"))
    return "".join(lines)


def port_keys(lease: Lease) -> list[tuple[str, bytes, bytes]]:
    """Return the same as (map, key, value) in the kernel's own form: see `nft.change_elements`."""
    found = []
    for address, host, container, protocol in lease.translated:
        target = lease.address6 if ":" in address else lease.address
        key = _PROTOCOLS[protocol].to_bytes(1).ljust(4, b"\0")
        if not _is_any(address):
            key += _packed(address)
        value = _packed(target) + _port(container)
        found.append((_map_of(address), key + _port(host), value))
    return found


def _is_any(address: str) -> bool:
    return address in {"0.0.0.0", "::"}  # noqa: S104 - a key; no socket is bound here


def _map_of(address: str) -> str:
    return f"ports{6 if ':' in address else 4}{'' if _is_any(address) else '_at'}"


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _port(number: int) -> bytes:
    return number.to_bytes(2).ljust(4, b"\0")


def _add(name: str, element: str) -> str:
    return f"add element inet {TABLE} {name} {{ {element} }}\n"
