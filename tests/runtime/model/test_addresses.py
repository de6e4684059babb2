"""What may stand where an address belongs."""

from __future__ import annotations

import pytest

from runtime.model import addresses


@pytest.mark.parametrize(
    "text", ["02:42:ac:11:00", "0\u0662:42:ac:11:00:02", "02-42-ac-11-00-02", ""]
)
def test_a_mac_address_is_six_pairs_of_digits(text: str) -> None:
    with pytest.raises(ValueError, match="is not a MAC address"):
        addresses.mac(text)


def test_an_address_is_given_back_as_it_was_written() -> None:
    assert [addresses.address(text) for text in ("10.0.0.1", "fd00::1")] == ["10.0.0.1", "fd00::1"]
    assert addresses.mac("02:42:AC:11:00:02") == "02:42:AC:11:00:02"
