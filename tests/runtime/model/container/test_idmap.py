"""Ids of a mapped container, and the file capabilities that name one."""

from __future__ import annotations

import struct

import pytest

from runtime.model.container import idmap

SHIFT = 1879048192
MASKS = (1 << 13, 0, 0, 0)
MAPPED = struct.pack("<6I", 0x03000001, *MASKS, SHIFT)


@pytest.mark.parametrize(
    ("number", "shift", "inside"),
    [(SHIFT, SHIFT, 0), (SHIFT + 1000, SHIFT, 1000), (1000, SHIFT, 1000), (1000, 0, 1000)],
)
def test_an_id_is_inside(number: int, shift: int, inside: int) -> None:
    assert idmap.inside(number, shift) == inside


def test_capabilities_count_for_every_root() -> None:
    assert idmap.capabilities_inside(MAPPED, SHIFT) == struct.pack("<5I", 0x02000001, *MASKS)


@pytest.mark.parametrize(
    ("value", "shift"),
    [
        (MAPPED, 0),
        (MAPPED, SHIFT + 1),
        (struct.pack("<5I", 0x02000001, *MASKS), SHIFT),
        (b"short", SHIFT),
    ],
)
def test_other_capabilities_stay_as_they_are(value: bytes, shift: int) -> None:
    assert idmap.capabilities_inside(value, shift) == value
