"""The names; what they do to a started program is in test_spawn_privileges."""

from __future__ import annotations

import subprocess
from pathlib import Path

from supervise.linux import capabilities


def test_names_are_those_of_the_system_in_its_order() -> None:
    listed = subprocess.run(["setpriv", "--list-caps"], check=True, capture_output=True, text=True)

    theirs = listed.stdout.upper().split()

    known = [name for name in theirs if not name.startswith("CAP_")]  # newer than setpriv
    assert list(capabilities.NAMES[: len(known)]) == known


def test_every_capability_of_this_kernel_has_a_name() -> None:
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())

    assert len(capabilities.NAMES) > last


def test_numbers_are_the_places_of_the_names() -> None:
    assert capabilities.NUMBERS["CHOWN"] == 0
    assert capabilities.NUMBERS["SYS_ADMIN"] == 21
    assert capabilities.NUMBERS["CHECKPOINT_RESTORE"] == 40
