"""Subnets and addresses; the standard library's `ipaddress` is the oracle."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.model.errors import RuntimeFailure
from runtime.model.network import ipam


def subnets(shortest: int = 8) -> st.SearchStrategy[tuple[int, int]]:
    """Return subnets as (base, prefix)."""
    return st.builds(
        lambda address, prefix: (address - address % ipam.size(prefix), prefix),
        st.integers(0, 2**32 - 1),
        st.integers(shortest, 32),
    )


def oracle(subnet: tuple[int, int]) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network((subnet[0], subnet[1]))


@given(st.integers(0, 2**32 - 1))
def test_an_address_is_written_as_it_is_read(value: int) -> None:
    """Dotted and number are inverse, and agree with ipaddress."""
    assert ipam.dotted(value) == str(ipaddress.IPv4Address(value))
    assert ipam.number(ipam.dotted(value)) == value


@given(st.text(alphabet="0123456789.-/ax ", max_size=18))
def test_only_addresses_are_addresses(text: str) -> None:
    """What ipaddress takes we take; beyond that only leading zeros, which it calls ambiguous."""
    try:
        expected = int(ipaddress.IPv4Address(text))
    except ValueError:
        try:
            value = ipam.number(text)
        except ValueError:
            return
        assert text != ipam.dotted(value)
        assert any(part.startswith("0") for part in text.split("."))
        return

    assert ipam.number(text) == expected


@given(subnets(), subnets())
def test_overlap_agrees_with_the_oracle(one: tuple[int, int], other: tuple[int, int]) -> None:
    """Two subnets overlap exactly when ipaddress says so."""
    assert ipam.overlap(one, other) == oracle(one).overlaps(oracle(other))


@given(subnets(20))
def test_a_subnet_is_written_as_it_is_read(subnet: tuple[int, int]) -> None:
    """`written` and `subnet` are inverse."""
    assert ipam.subnet(ipam.written(*subnet)) == subnet


@given(st.lists(subnets(), max_size=30))
def test_a_free_pool_overlaps_nothing_taken(taken: list[tuple[int, int]]) -> None:
    """Whatever is taken, what is chosen is apart from it."""
    try:
        found = ipam.subnet(ipam.free_pool(taken))
    except RuntimeFailure:
        return

    assert not any(ipam.overlap(found, other) for other in taken)


def test_pools_come_in_dockers_order() -> None:
    seventeen = ipam.subnet("172.17.0.0/16")
    up_to_31 = [ipam.subnet(f"172.{n}.0.0/16") for n in range(17, 32)]

    assert ipam.free_pool([]) == "172.17.0.0/16"
    assert ipam.free_pool([seventeen]) == "172.18.0.0/16"
    assert ipam.free_pool(up_to_31) == "192.168.0.0/20"
    assert ipam.free_pool([*up_to_31, ipam.subnet("192.168.0.0/16")]) == "10.0.0.0/24"


def test_no_pool_left_is_told() -> None:
    everything = [ipam.subnet(text) for text in ("172.0.0.0/8", "192.0.0.0/8", "10.0.0.0/8")]

    with pytest.raises(RuntimeFailure, match="cannot choose a subnet"):
        ipam.free_pool(everything)


def test_the_first_container_gets_the_second_address() -> None:
    within = ipam.subnet("172.17.0.0/16")
    gateway = ipam.default_gateway(within)

    first = ipam.free_address(within, gateway, set(), None)

    assert first is not None
    assert (ipam.dotted(gateway), ipam.dotted(first)) == ("172.17.0.1", "172.17.0.2")


@given(subnets(24), st.sets(st.integers(0, 255)))
def test_a_free_address_is_lowest_and_nobodys(subnet: tuple[int, int], offsets: set[int]) -> None:
    """It is inside, not the ends, not the gateway, not taken; and none lower would do."""
    taken = {subnet[0] + offset for offset in offsets}
    gateway = ipam.default_gateway(subnet)
    usable = {int(host) for host in oracle(subnet).hosts()} - {gateway} - taken

    assert ipam.free_address(subnet, gateway, taken, None) == min(usable, default=None)


def test_a_range_limits_the_choice() -> None:
    within, part = ipam.subnet("10.0.0.0/24"), ipam.subnet("10.0.0.128/30")

    found: list[int] = []
    while (address := ipam.free_address(within, within[0] + 1, set(found), part)) is not None:
        found.append(address)

    assert [ipam.dotted(address) for address in found] == [f"10.0.0.{n}" for n in range(128, 132)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10.0.0.0", "number of bits"),
        ("10.0.0.0/33", "number of bits"),
        ("10.0.0.0/x", "number of bits"),
        ("10.0.0/24", "not an IPv4 address"),
        ("10.0.0.256/24", "not an IPv4 address"),
        ("10.0.0.5/24", "names a host"),
    ],
)
def test_what_is_no_subnet_is_told(text: str, said: str) -> None:
    with pytest.raises(RuntimeFailure, match="cannot use subnet") as refused:
        ipam.subnet(text)

    assert said in refused.value.message


def test_a_host_in_a_subnet_is_told_the_subnet() -> None:
    with pytest.raises(RuntimeFailure) as refused:
        ipam.subnet("10.0.3.5/22")

    assert refused.value.hint == "the subnet is 10.0.0.0/22"


def test_macs_are_dockers() -> None:
    assert ipam.mac_of(ipam.number("172.17.0.2")) == "02:42:ac:11:00:02"


def test_ipv6_hosts_follow_the_ipv4_lease() -> None:
    within = ipam.unique_local(bytes(range(1, 8)))

    assert within == "fd01:203:405:607::/64"
    assert ipam.address6(within, 2) == "fd01:203:405:607::2"
    assert ipam.subnet6("FD00::/64") == "fd00::/64"
    with pytest.raises(RuntimeFailure, match="at most 96 bits"):
        ipam.subnet6("fd00::/112")
    with pytest.raises(RuntimeFailure, match="cannot use subnet"):
        ipam.subnet6("fd00::1/64")
