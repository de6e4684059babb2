"""What /proc says about the processes of one pid namespace, seen from outside it.

"The supervisor's processes" are all processes in the namespace but those that run one of the
benchmark's own programs: PID 1, and whatever helpers it keeps (one s6-supervise a service, say).
"""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PRESENT = 1 << 63
_FRAME_MASK = (1 << 55) - 1


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes over all of the supervisor's processes."""

    rss: int  # summed: a page that two processes share counts twice
    unique: int  # each physical page once
    processes: int


@dataclass(frozen=True, slots=True)
class Activity:
    """Running totals over all of the supervisor's threads."""

    switches: int  # times the kernel gave one of them a processor after it waited or was preempted
    cpu_seconds: float


def members(pid1: int) -> list[int]:
    """Return the pids of every process below *pid1*, itself first."""
    found = [pid1]
    for pid in found:
        for task in _listing(f"/proc/{pid}/task"):
            children = _text(f"/proc/{pid}/task/{task}/children")
            found.extend(int(child) for child in children.split())
    return found


def supervisors(pid1: int, programs: str) -> list[int]:
    """Return the members that do not run a program from the directory *programs*.

    Zombies are not among them: nothing is left of them but their status.
    """
    running = [(pid, _executable(pid)) for pid in members(pid1)]
    return [pid for pid, program in running if program and not program.startswith(programs + "/")]


def services(pid1: int, programs: str) -> list[int]:
    """Return the members that do."""
    return [pid for pid in members(pid1) if _executable(pid).startswith(programs + "/")]


def memory(pids: list[int]) -> Memory:
    """Add up the memory of *pids*; needs CAP_SYS_ADMIN for the page frame numbers."""
    frames: set[int] = set()
    rss = 0
    for pid in pids:
        for line in _text(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith("Rss:"):
                rss += int(line.split()[1]) * 1024
        frames.update(_frames(pid))
    frames.discard(0)
    return Memory(rss=rss, unique=len(frames) * _PAGE_BYTES, processes=len(pids))


def private(pids: list[int]) -> int:
    """Return the bytes that only these have, each counted for itself."""
    total = 0
    for pid in pids:
        for line in _text(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith(("Private_Clean:", "Private_Dirty:")):
                total += int(line.split()[1]) * 1024
    return total


def name(pid: int) -> str:
    """Return the name of the program, empty when it is gone."""
    return _text(f"/proc/{pid}/comm").strip()


def activity(pids: list[int]) -> Activity:
    """Add up context switches and processor time of *pids*."""
    switches = 0
    nanoseconds = 0
    for pid in pids:
        for task in _listing(f"/proc/{pid}/task"):
            for line in _text(f"/proc/{pid}/task/{task}/status").splitlines():
                if line.startswith(("voluntary_ctxt", "nonvoluntary_ctxt")):
                    switches += int(line.split()[1])
            schedstat = _text(f"/proc/{pid}/task/{task}/schedstat").split()
            nanoseconds += int(schedstat[0]) if schedstat else 0
    return Activity(switches=switches, cpu_seconds=nanoseconds / 1e9)


def _frames(pid: int) -> set[int]:
    frames: set[int] = set()
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        for line in _text(f"/proc/{pid}/maps").splitlines():
            start, end = (int(edge, 16) for edge in line.split()[0].split("-"))
            if end > 1 << 63 or line.endswith(("[vvar]", "[vdso]", "[vvar_vclock]")):
                continue  # the kernel's own pages, in every process
            pagemap.seek(start // _PAGE_BYTES * 8)
            entries = array("Q")
            entries.frombytes(pagemap.read((end - start) // _PAGE_BYTES * 8))
            frames.update(entry & _FRAME_MASK for entry in entries if entry & _PRESENT)
    return frames


def _executable(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:  # it ended, or is a zombie
        return ""


def _listing(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:  # it ended meanwhile
        return []


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:  # it ended meanwhile
        return ""
