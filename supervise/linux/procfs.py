"""/proc: who descends from whom; see proc(5).  Everything degrades to "unknown" without /proc."""

from __future__ import annotations

import os

from supervise.model.record import Record

# Set in the environment of every process a service is made of.  It tells whose a daemonised
# process is when its parents are gone; readable for our own uid and with CAP_SYS_PTRACE.
MARKER = "SUPERVISE_SERVICE"


def _read(path: str) -> bytes:
    """Return the file's bytes, empty when it cannot be read: processes end at any moment."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        chunks = []
        while chunk := os.read(fd, 65536):
            chunks.append(chunk)
        return b"".join(chunks)
    except OSError:
        return b""
    finally:
        os.close(fd)


class Stat(Record):
    """The fields of /proc/PID/stat that tell who a process is."""

    state: str  # one letter: R S D T Z X …
    parent: int
    group: int
    session: int
    start_time: (
        int  # clock ticks since the boot that our time namespace shows; with the pid: who it is
    )


def stat(pid: int) -> Stat | None:
    """Return who *pid* is, None if it is gone."""
    text = _read(f"/proc/{pid}/stat")
    # The name stands in brackets and may hold brackets and blanks itself.
    fields = text[text.rfind(b")") + 2 :].split()
    if len(fields) < 20:
        return None
    state = chr(fields[0][0])
    return Stat(state, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def is_zombie(pid: int) -> bool:
    """Return whether *pid* has ended and only waits to be reaped."""
    found = stat(pid)
    return found is not None and found.state in "ZX"


def children(pid: int) -> list[int]:
    """Return the direct children of *pid*; those of all its threads."""
    found: list[int] = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for task in tasks:
        found += [int(word) for word in _read(f"/proc/{pid}/task/{task}/children").split()]
    return found


def has_children_files() -> bool:
    """Return whether the kernel has /proc/PID/task/TID/children (CONFIG_PROC_CHILDREN)."""
    return os.path.exists(f"/proc/self/task/{os.getpid()}/children")


def pids() -> list[int]:
    """Return every process there is."""
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    except OSError:
        return []


def _parents() -> dict[int, list[int]]:
    tree: dict[int, list[int]] = {}
    for pid in pids():
        found = stat(pid)
        if found is not None:
            tree.setdefault(found.parent, []).append(pid)
    return tree


def descendants(pid: int) -> list[int]:
    """Return everything below *pid*, parents before their children, *pid* itself left out."""
    if has_children_files():
        below = children
    else:
        tree = _parents()

        def below(pid: int) -> list[int]:
            return tree.get(pid, [])

    # Keyed by pid: one that was reparented while we looked is seen again, and counts once.
    found = {pid: None}
    queue = [pid]
    for parent in queue:
        fresh = [child for child in below(parent) if child not in found]
        queue += fresh
        found.update(dict.fromkeys(fresh))
    return queue[1:]


def service_of(pid: int) -> str | None:
    """Return the service whose marker *pid* carries, None if it has none or we may not look."""
    needle = f"{MARKER}=".encode()
    for entry in _read(f"/proc/{pid}/environ").split(b"\0"):
        if entry.startswith(needle):
            return os.fsdecode(entry[len(needle) :])
    return None


def owner(pid: int) -> int | None:
    """Return the effective uid of *pid*, None if it is gone; the owner of its directory."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None


def command_of(pid: int) -> str:
    """Return the name of the program, at most 15 bytes of it; empty if it is gone."""
    return os.fsdecode(_read(f"/proc/{pid}/comm").strip())


def arguments_of(pid: int) -> bytes:
    """Return the command line of *pid*, a NUL after each word; empty if it is gone."""
    return _read(f"/proc/{pid}/cmdline")


def is_ours() -> bool:
    """Return whether /proc is there and shows our own pid namespace."""
    try:
        return os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False
