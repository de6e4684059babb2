"""Where the control socket may be."""

from __future__ import annotations

from supervise.wire import address


def test_the_places_in_their_order() -> None:
    assert address.candidates(7, "/run/user/7/", "4026531836") == [
        "/run/supervise/control.sock",
        "/run/user/7/supervise/control.sock",
        "/tmp/supervise-7/control.sock",
        "@supervise-7-4026531836",
    ]


def test_a_relative_runtime_directory_is_ignored_as_the_xdg_specification_says() -> None:
    assert address.candidates(0, "run", "") == [
        "/run/supervise/control.sock",
        "/tmp/supervise-0/control.sock",
        "@supervise-0",
    ]


def test_an_abstract_place_becomes_a_name_with_a_leading_nul() -> None:
    assert address.socket_address("@supervise-0") == b"\0supervise-0"
    assert address.socket_address("/run/x") == "/run/x"
