from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.wire.notify import UNSUPPORTED, Notification, parse


@pytest.mark.parametrize(
    ("datagram", "expected"),
    [
        (b"READY=1", Notification(ready=True)),
        (b"READY=1\n", Notification(ready=True)),
        (b"STATUS=warming up\nREADY=1", Notification(ready=True, status="warming up")),
        (b"STATUS=", Notification(status="")),
        (b"STATUS=a=b", Notification(status="a=b")),
        (b"STATUS=first\nSTATUS=second", Notification(status="first")),
        (b"READY=0", Notification()),
        (b"READY=", Notification()),
        (b"READY", Notification()),
        (b"ready=1", Notification()),
        (b" READY=1", Notification()),
        (b"X_MINE=1\nBARRIER=1\nREADY=1", Notification(ready=True)),
        (b"", Notification()),
        (b"\n\n=\n", Notification()),
    ],
)
def test_ready_and_status_are_understood(datagram: bytes, expected: Notification) -> None:
    assert parse(datagram) == expected


def test_keys_that_are_not_acted_on_are_named() -> None:
    notification = parse(b"MAINPID=42\nREADY=1\nWATCHDOG=1\nEXTEND_TIMEOUT_USEC=5000000")

    assert notification == Notification(
        ready=True,
        unsupported=(("MAINPID", "42"), ("WATCHDOG", "1"), ("EXTEND_TIMEOUT_USEC", "5000000")),
    )


def test_systemds_keys_are_recognised() -> None:
    assert {
        "RELOADING",
        "STOPPING",
        "FDSTORE",
        "ERRNO",
        "BUSERROR",
        "WATCHDOG_USEC",
    } <= UNSUPPORTED


def test_status_cannot_control_the_terminal_it_is_shown_on() -> None:
    notification = parse(b"STATUS=\x1b[2Jgone\x00\r")

    assert notification.status == "\\x1b[2Jgone\\x00\\r"


def test_status_that_is_not_utf8_is_kept_as_far_as_it_is() -> None:
    assert parse(b"STATUS=caf\xe9 \xc3\xa9").status == "caf\ufffd é"


@given(st.binary(max_size=300))
def test_any_datagram_is_a_notification(datagram: bytes) -> None:
    """No bytes raise, and a status is always one printable line."""
    status = parse(datagram).status

    assert status is None or status.isprintable()


@given(st.lists(st.sampled_from([b"READY=1", b"STATUS=x", b"WATCHDOG=1", b"junk"]), max_size=8))
def test_lines_are_independent(lines: list[bytes]) -> None:
    """What a datagram says is what its lines say one by one, the first STATUS winning."""
    alone = [parse(line) for line in lines]

    together = parse(b"\n".join(lines))

    assert together.ready == any(n.ready for n in alone)
    assert together.status == next((n.status for n in alone if n.status is not None), None)
    assert together.unsupported == sum((n.unsupported for n in alone), ())
