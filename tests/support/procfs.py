"""What /proc says: an oracle that is not ourselves.  All pids are those of the test's namespace."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class ProcessRow(NamedTuple):
    """One process; `inner` is its pid in the innermost pid namespace."""

    pid: int
    inner: int
    parent: int
    state: str  # R S D Z T …
    session: int  # outside numbers, 0 when the leader is outside this namespace
    arguments: tuple[str, ...]


def pids() -> list[int]:
    """Return every process that can be seen."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def namespace(pid: int) -> str:
    """Return the name of the pid namespace of *pid*, such as ``pid:[4026531836]``."""
    return os.readlink(f"/proc/{pid}/ns/pid")


def row(pid: int) -> ProcessRow:
    """Describe *pid*; raises OSError when it is gone."""
    root = Path(f"/proc/{pid}")
    fields = root.joinpath("stat").read_text().rpartition(")")[2].split()
    arguments = root.joinpath("cmdline").read_bytes().split(b"\0")[:-1]
    return ProcessRow(
        pid=pid,
        inner=int(status(pid)["NSpid"].split()[-1]),
        parent=int(fields[1]),
        state=fields[0],
        session=int(fields[3]),
        arguments=tuple(os.fsdecode(argument) for argument in arguments),
    )


def state(pid: int) -> str:
    """Return the letter of *pid*'s state, or ``gone``."""
    try:
        return row(pid).state
    except FileNotFoundError:
        return "gone"


def in_namespace(name: str) -> list[ProcessRow]:
    """Describe every process in the pid namespace *name*."""
    found = []
    for pid in pids():
        with suppress(OSError):  # it ended between two reads
            if namespace(pid) == name:
                found.append(row(pid))
    return found


def children(pid: int) -> list[int]:
    """Return the direct children of *pid*'s main thread."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def status(pid: int) -> dict[str, str]:
    """Return /proc/PID/status, keyed by the field's name."""
    return parse_status(Path(f"/proc/{pid}/status").read_text())


def parse_status(text: str) -> dict[str, str]:
    """Return the text of a /proc/PID/status, keyed by the field's name."""
    lines = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in lines}


def signal_set(pid: int, field: str) -> set[int]:
    """Return the signals in SigBlk, SigIgn, SigCgt or SigPnd of *pid*.

    32 and 33 are left out: libc keeps them for itself and lets nobody reset them.
    """
    return signals_in(status(pid)[field]) - {32, 33}


def signals_in(hexadecimal: str) -> set[int]:
    """Return the signals in a mask as /proc/PID/status writes it."""
    mask = int(hexadecimal, 16)
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


def environment(pid: int) -> dict[str, str]:
    """Return the environment *pid* was executed with."""
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    pairs = (os.fsdecode(entry).partition("=") for entry in entries if entry)
    return {name: value for name, _, value in pairs}


def descriptors(pid: int | str = "self") -> dict[int, str]:
    """Return the open descriptors of *pid*, number → what it points at."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):  # the descriptor of this very listing
            found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
    return found


def descriptor_flags(pid: int, number: int) -> int:
    """Return the open flags of a descriptor, O_NONBLOCK and O_CLOEXEC among them."""
    for line in Path(f"/proc/{pid}/fdinfo/{number}").read_text().splitlines():
        if line.startswith("flags:"):
            return int(line.split()[1], 8)
    raise AssertionError(f"/proc/{pid}/fdinfo/{number} has no flags")


def voluntary_switches(pid: int) -> int:
    """Return how often *pid*'s main thread went to sleep: a wake-up is one more."""
    return int(status(pid)["voluntary_ctxt_switches"])
