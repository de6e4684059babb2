"""Addresses as people write them on a command line, checked: files and the kernel get them."""

from __future__ import annotations

from runtime.model.network.ipam import number

HOST_GATEWAY = "host-gateway"  # in --add-host: the address of this machine on the network
_HEX_DIGITS = frozenset("0123456789abcdef")


def address(text: str) -> str:
    """Return *text*, an IPv4 or IPv6 address of ASCII digits.

    Raises:
        ValueError: it is no address.
    """
    if ":" not in text:
        number(text)
        return text
    import ipaddress

    try:
        ipaddress.IPv6Address(text.partition("%")[0])
    except ValueError:
        raise ValueError(f"'{text}' is not an IP address") from None
    return text


def mac(text: str) -> str:
    """Return *text*, six pairs of hexadecimal ASCII digits with colons between.

    Raises:
        ValueError: it is no such address.
    """
    pairs = text.lower().split(":")
    if len(pairs) != 6 or not all(len(p) == 2 and set(p) <= _HEX_DIGITS for p in pairs):
        raise ValueError(f"'{text}' is not a MAC address such as 02:42:ac:11:00:02")
    return text
