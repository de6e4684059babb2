"""Places in a container that mounts must leave alone: /proc, /dev itself and the root.

What docker and runc refuse is refused here by name, before anything is made.  A link of the image
can still lead there: `runtime.container.start.kernelfiles` looks where a mount really lands.
"""

from __future__ import annotations

import posixpath

from runtime.model.errors import RuntimeFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.container.spec import Mount

# Files of /proc that lxcfs and its like show with a container's own numbers: runc's list.
REPLACEABLE = (
    *("cpuinfo", "diskstats", "loadavg", "meminfo", "slabinfo", "stat", "swaps", "uptime"),
    "sys/kernel/ns_last_pid",
)


def check(mount: Mount) -> None:
    """Refuse a mount that cannot be wherever the links of the image lead.

    Raises:
        RuntimeFailure: it is on or in /proc, or on /dev.
    """
    target = posixpath.normpath(mount.target)
    if target == "/proc" and mount.kind != "bind":
        raise on_proc(mount.target)
    if target.startswith("/proc/"):
        if mount.kind == "tmpfs" or target.removeprefix("/proc/") not in REPLACEABLE:
            raise in_proc(mount.target)
    elif target == "/dev" and (mount.kind, posixpath.normpath(mount.source)) != ("bind", "/dev"):
        raise on_dev(mount.target)


def in_proc(target: str) -> RuntimeFailure:
    """Return the refusal of a mount below /proc."""
    return RuntimeFailure(
        f"cannot mount on '{target}': it is inside the container's /proc",
        f"only these files of /proc can be replaced: {', '.join(REPLACEABLE)}",
    )


def on_proc(target: str) -> RuntimeFailure:
    """Return the refusal of a mount on /proc."""
    return RuntimeFailure(
        f"cannot mount on '{target}': it is the container's /proc",
        "choose another place, such as /host/proc",
    )


def on_dev(target: str) -> RuntimeFailure:
    """Return the refusal of a mount on /dev."""
    return RuntimeFailure(
        f"cannot mount on '{target}': it is the container's /dev",
        "mount on a place below it, such as /dev/shm, or give a device with --device",
    )


def on_root(target: str) -> RuntimeFailure:
    """Return the refusal of a mount on the root, where a link can lead."""
    return RuntimeFailure(
        f"cannot mount on '{target}': it is the container's root", "choose another place"
    )
