from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.model.signals import SIGNALS, SIGRTMAX, SIGRTMIN, signal_name, signal_number

HAVE_NAMES = [n for n in range(1, SIGRTMAX + 1) if n not in (32, 33)]  # those two are libc's own


@pytest.mark.parametrize("name", sorted(SIGNALS))
def test_number_is_the_kernels(name: str) -> None:
    if name == "SIGSTKFLT":  # the standard library knows it from 3.11 on where libc has it
        assert SIGNALS[name] == 16
    elif name == "SIGIOT":
        assert SIGNALS[name] == signal.SIGABRT
    else:
        assert SIGNALS[name] == getattr(signal, name)


def test_real_time_range_is_that_of_libc() -> None:
    assert (SIGRTMIN, SIGRTMAX) == (signal.SIGRTMIN, signal.SIGRTMAX)


@pytest.mark.parametrize("number", HAVE_NAMES)
def test_name_and_number_are_inverse(number: int) -> None:
    assert signal_number(signal_name(number)) == number


@pytest.mark.parametrize(
    ("number", "name"),
    [(15, "SIGTERM"), (6, "SIGABRT"), (34, "SIGRTMIN"), (37, "SIGRTMIN+3"), (99, "signal 99")],
)
def test_name_of_a_number(number: int, name: str) -> None:
    assert signal_name(number) == name


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("SIGTERM", 15),
        ("term", 15),
        (" Sigterm ", 15),
        ("15", 15),
        ("64", 64),
        ("SIGRTMIN", 34),
        ("RTMIN+3", 37),
        ("SIGRTMAX", 64),
        ("SIGRTMAX-4", 60),
        ("SIGRTMIN+30", 64),
        ("SIGRTMAX-30", 34),
        ("CLD", 17),
        ("POLL", 29),
    ],
)
def test_ways_to_write_a_signal(text: str, number: int) -> None:
    assert signal_number(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIG",
        "SIGTREM",
        "0",
        "65",
        "-1",
        "1.5",
        "SIGSIGTERM",
        "SIGRTMIN-1",
        "SIGRTMAX+1",
        "SIGRTMIN+31",
        "SIGRTMAX-31",
        "SIGRTMIN+",
        "SIGRTMIN+x",
        "SIGRTMINUS",
        "²",
        "signal 32",
    ],
)
def test_what_is_no_signal_has_no_number(text: str) -> None:
    assert signal_number(text) is None


@given(st.text(max_size=12))
def test_any_text_is_a_signal_or_none(text: str) -> None:
    """No text raises, and every number that comes out is one of Linux."""
    number = signal_number(text)

    assert number is None or 1 <= number <= SIGRTMAX
