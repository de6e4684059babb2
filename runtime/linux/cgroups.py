"""The control group of one container, whichever of the two versions this machine has.

`of` returns the group as a value of paths: nothing is there before `create`, and after a crash the
same id leads to what is left.  See cgroups(7).
"""

from __future__ import annotations

import errno
import os
import time

from runtime.model.errors import RuntimeFailure
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from runtime.linux.cgroup_v1 import GroupV1
    from runtime.linux.cgroup_v2 import GroupV2

    Group: TypeAlias = "GroupV1 | GroupV2"

PARENT = "runtime"  # all our groups lie below this one
CPU_PERIOD = 100_000  # microseconds
SIGKILL = 9  # the module `signal` costs 5 ms
_MOUNT = "/sys/fs/cgroup"
_PATIENCE = 0.002  # seconds between two tries
_REMOVAL_TRIES = 500


class Stats(Record):
    """What a container uses; -1 where this machine does not say."""

    memory: int = -1  # bytes, without the page cache that can be dropped
    memory_limit: int = -1
    cpu: int = -1  # nanoseconds of all processors so far
    pids: int = -1
    read: int = -1  # bytes from block devices so far
    written: int = -1


def of(container_id: str) -> Group:
    """Return the group of the container."""
    name = f"{PARENT}/{container_id}"
    if os.path.exists(f"{_MOUNT}/cgroup.controllers"):
        from runtime.linux import cgroup_v2

        return cgroup_v2.GroupV2(_MOUNT, name)
    from runtime.linux import cgroup_v1

    return cgroup_v1.GroupV1(name, cgroup_v1.hierarchies())


def no_devices(reason: str) -> RuntimeFailure:
    """Return the refusal to run anything whose use of devices nothing limits.

    Without that root in a container could make a node of the host's disk and read it.
    """
    return RuntimeFailure(
        f"cannot limit what the container does with devices: {reason}",
        "`ip netns exec` and `chroot` hide /sys/fs/cgroup: `nsenter --net=/run/netns/NAME` does not; "
        "--privileged gives every device",
    )


def remains() -> list[str]:
    """Return the container ids that have a group on this machine."""
    found: set[str] = set()
    for directory in of("").directories():
        try:
            found.update(n for n in os.listdir(directory) if os.path.isdir(f"{directory}/{n}"))
        except FileNotFoundError:
            continue
    return sorted(found)


def read(path: str) -> str:
    """Return a control file's text, empty when there is none or it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        data = b""
        while more := os.read(fd, 65536):  # one page a call, whatever we ask for
            data += more
    except OSError:
        return ""
    finally:
        os.close(fd)
    return data.decode().strip()


def write(path: str, text: str) -> None:
    """Write a control file; raises OSError with its path."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        os.close(fd)


def values(path: str) -> dict[str, int]:
    """Return the lines ``name number`` of a control file; empty when there is none."""
    found = {}
    for line in read(path).splitlines():
        name, _, number = line.rpartition(" ")
        if number.isdecimal():
            found[name] = int(number)
    return found


def number(path: str) -> int:
    """Return the number in a control file, -1 without one (``max`` is none)."""
    text = read(path)
    return int(text) if text.isdecimal() else -1


def processes(directory: str) -> list[int]:
    """Return the processes in a group and those below it."""
    found = [int(word) for word in read(f"{directory}/cgroup.procs").split()]
    for inner in _below(directory):
        found += processes(inner)
    return found


def remove(directory: str) -> None:
    """Remove a group and those below it; waits for processes that are just ending.

    Raises:
        OSError: EBUSY: something still runs in there.
    """
    for inner in _below(directory):
        remove(inner)
    for _ in range(_REMOVAL_TRIES):
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            time.sleep(_PATIENCE)
        else:
            return
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), directory)


def wait_for(path: str, text: str, timeout: float) -> bool:
    """Wait until the control file *path* has *text* in it; False when that takes too long."""
    end = time.monotonic() + timeout
    while text not in read(path).split("\n"):
        if time.monotonic() > end:
            return False
        time.sleep(_PATIENCE)
    return True


def _below(directory: str) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
