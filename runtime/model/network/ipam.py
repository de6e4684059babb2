"""Addresses: which subnet a network gets, which address a container gets.  Arithmetic alone.

IPv4 addresses are numbers here, a subnet is (base, prefix).  What is taken is the caller's to know.
`ipaddress` would do, but takes 5 ms to import; it is used for IPv6, which most containers lack.
"""

from __future__ import annotations

from runtime.model.errors import RuntimeFailure
from supervise.model import numerals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

DEFAULT_SUBNET = "172.17.0.0/16"  # docker's, for the network "bridge"


def number(address: str) -> int:
    """Return a dotted IPv4 address as a number.

    Raises:
        ValueError: it is none.
    """
    parts = address.split(".")
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"'{address}' is not an IPv4 address")
    value = 0
    for part in parts:
        if len(part) > 3 or int(part) > 255:
            raise ValueError(f"'{address}' is not an IPv4 address")
        value = value << 8 | int(part)
    return value


def dotted(value: int) -> str:
    """Return a number as a dotted IPv4 address."""
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))


def size(prefix: int) -> int:
    """Return how many addresses a subnet with *prefix* has, the unusable ones too."""
    return 1 << (32 - prefix)


def subnet(text: str) -> tuple[int, int]:
    """Return "172.18.0.0/16" as (base, prefix).

    Raises:
        RuntimeFailure: it is no subnet, or names a host inside one.
    """
    address, slash, bits = text.partition("/")
    try:
        base = number(address)
    except ValueError as error:
        raise _no_subnet(text, str(error)) from error
    prefix = numerals.whole(bits)
    if not slash or prefix is None or not 0 < prefix <= 32:
        raise _no_subnet(text, "after the slash belongs a number of bits from 1 to 32")
    if base % size(prefix):
        whole = f"{dotted(base - base % size(prefix))}/{prefix}"
        raise _no_subnet(text, "it names a host in the subnet", f"the subnet is {whole}")
    return base, prefix


def _no_subnet(text: str, reason: str, hint: str = "") -> RuntimeFailure:
    return RuntimeFailure(f"cannot use subnet '{text}': {reason}", hint, 1)


def written(base: int, prefix: int) -> str:
    """Return a subnet as text, the inverse of `subnet`."""
    return f"{dotted(base)}/{prefix}"


def overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Return whether two subnets share an address."""
    prefix = min(one[1], other[1])
    return one[0] >> (32 - prefix) == other[0] >> (32 - prefix)


def contains(outer: tuple[int, int], address: int) -> bool:
    """Return whether *address* lies in the subnet."""
    return 0 <= address - outer[0] < size(outer[1])


def pools() -> Iterator[tuple[int, int]]:
    """Return the subnets a network may get when nobody asks for one, in docker's order."""
    for second in range(17, 32):
        yield number(f"172.{second}.0.0"), 16
    for third in range(0, 256, 16):
        yield number(f"192.168.{third}.0"), 20
    for index in range(1 << 16):
        yield number("10.0.0.0") + (index << 8), 24


def free_pool(taken: Iterable[tuple[int, int]]) -> str:
    """Return the first pool that overlaps nothing in *taken*: networks' subnets, hosts' routes.

    Raises:
        RuntimeFailure: there is none.
    """
    occupied = list(taken)
    for pool in pools():
        if not any(overlap(pool, other) for other in occupied):
            return written(*pool)
    raise RuntimeFailure(
        "cannot choose a subnet: each of ours overlaps a route or network of this machine",
        "name one with --subnet",
        1,
    )


def free_address(
    within: tuple[int, int], gateway: int, taken: Collection[int], part: tuple[int, int] | None
) -> int | None:
    """Return the lowest address nobody has, None when *within* (or *part* of it) is used up.

    The first and last address of a subnet are not anybody's, nor is the *gateway* (0: none).
    """
    start, prefix = part or within
    first, last = within[0], within[0] + size(within[1]) - 1
    for address in range(start, start + size(prefix)):
        unusable = within[1] < 31 and address in (first, last)
        if address != gateway and not unusable and address not in taken:
            return address
    return None


def default_gateway(within: tuple[int, int]) -> int:
    """Return a subnet's first usable address."""
    return within[0] + (1 if within[1] < 31 else 0)


def mac_of(address: int) -> str:
    """Return docker's MAC for an address: locally administered, the address in the last four.

    So a neighbour's cache stays right when the next container gets the address.
    """
    return "02:42:" + ":".join(f"{address >> shift & 255:02x}" for shift in (24, 16, 8, 0))


def subnet6(text: str) -> str:
    """Return an IPv6 subnet in its shortest form.

    Raises:
        RuntimeFailure: it is none, or too small for the hosts of an IPv4 subnet.
    """
    import ipaddress

    try:
        found = ipaddress.IPv6Network(text)
    except ValueError as error:
        raise _no_subnet(text, str(error)) from error
    if found.prefixlen > 96:
        raise _no_subnet(text, "an IPv6 subnet here has at most 96 bits before the hosts")
    return str(found)


def unique_local(random: bytes) -> str:
    """Return the ULA subnet fdxx:xxxx:xxxx:xxxx::/64 made of seven *random* bytes (RFC 4193)."""
    import ipaddress

    packed = b"\xfd" + random[:7] + bytes(8)
    return f"{ipaddress.IPv6Address(packed)}/64"


def address6(within: str, offset: int) -> str:
    """Return the host with number *offset* of an IPv6 subnet.

    A container's is its number in the IPv4 subnet, so one lease covers both.
    """
    import ipaddress

    return str(ipaddress.IPv6Network(within)[offset])
