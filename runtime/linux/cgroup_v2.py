"""cgroups version 2: one directory.  Used through `runtime.linux.cgroups`."""

from __future__ import annotations

import errno
import os

from runtime.linux import cgroups
from runtime.linux.cgroups import Stats
from runtime.model.contexts import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.model.container.spec import Limits

_FREEZE_TIMEOUT = 10.0  # seconds
_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "pids")


class GroupV2:
    """One container's directory."""

    version = 2

    def __init__(self, mount: str, name: str) -> None:
        self._mount = mount
        self._name = name.rstrip("/")
        self.directory = f"{mount}/{self._name}"

    def directories(self) -> list[str]:
        """Return its directory, there or not."""
        return [self.directory]

    def shown(self) -> list[tuple[str, str]]:
        """Return an empty list: a cgroup namespace shows the group."""
        return []

    def create(self, limits: Limits, devices: Sequence[str] | None) -> list[str]:
        """Make the group with *limits*; *devices* are devices.allow's lines, None for all.

        Returns sentences about limits this machine cannot keep.

        Raises:
            OSError: EINVAL and so on: the kernel refuses a limit; names the file.
            RuntimeFailure: the kernel takes no program that could keep devices away.
        """
        directory = self._mount
        for part in self._name.split("/"):
            self._delegate(directory)
            directory = f"{directory}/{part}"
            with suppress(FileExistsError):
                os.mkdir(directory, 0o755)
        remarks = self.limit(limits)
        if devices is not None:
            from runtime.linux import bpf_devices

            bpf_devices.attach(self.directory, list(devices))
        return remarks

    def _delegate(self, directory: str) -> None:
        """Let the groups below *directory* have the controllers it has itself."""
        has = cgroups.read(f"{directory}/cgroup.controllers").split()
        gives = cgroups.read(f"{directory}/cgroup.subtree_control").split()
        for name in _CONTROLLERS:
            if name in has and name not in gives:
                with suppress(OSError):  # without it there are remarks about limits later
                    cgroups.write(f"{directory}/cgroup.subtree_control", f"+{name}")

    def limit(self, limits: Limits) -> list[str]:
        """Set *limits*, as `create` and `update` do."""
        remarks = []
        for name, value in _settings(limits):
            path = f"{self.directory}/{name}"
            if os.path.exists(path):
                cgroups.write(path, value)
            else:
                remarks.append(f"this machine has no cgroup file {name}: that limit is not kept")
        return remarks

    def enter(self, *, limit_devices: bool = True) -> None:  # noqa: ARG002 - the group does it, or is not there
        """Move the calling process into the group."""
        cgroups.write(f"{self.directory}/cgroup.procs", "0")

    def processes(self) -> list[int]:
        """Return the processes in it."""
        return cgroups.processes(self.directory)

    def kill(self) -> None:
        """Kill every process in it."""
        path = f"{self.directory}/cgroup.kill"
        if os.path.exists(path):  # Linux 5.14
            cgroups.write(path, "1")
            return
        for pid in self.processes():
            with suppress(ProcessLookupError):  # it was faster
                os.kill(pid, cgroups.SIGKILL)

    def freeze(self) -> None:
        """Stop every process in it; raises OSError (ETIMEDOUT) when some cannot be stopped."""
        cgroups.write(f"{self.directory}/cgroup.freeze", "1")
        if not cgroups.wait_for(f"{self.directory}/cgroup.events", "frozen 1", _FREEZE_TIMEOUT):
            self.thaw()
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT), self.directory)

    def thaw(self) -> None:
        """Undo `freeze`."""
        cgroups.write(f"{self.directory}/cgroup.freeze", "0")

    def is_frozen(self) -> bool:
        """Return whether `freeze` is in force."""
        return cgroups.read(f"{self.directory}/cgroup.freeze") == "1"

    def oom_kills(self) -> int:
        """Return how many processes the kernel killed because of the memory limit."""
        return cgroups.values(f"{self.directory}/memory.events").get("oom_kill", 0)

    def stats(self) -> Stats:
        """Return what the container uses."""
        used = cgroups.number(f"{self.directory}/memory.current")
        cache = cgroups.values(f"{self.directory}/memory.stat").get("inactive_file", 0)
        microseconds = cgroups.values(f"{self.directory}/cpu.stat").get("usage_usec", -1)
        blocks = _block_bytes(f"{self.directory}/io.stat")
        return Stats(
            memory=max(0, used - cache) if used >= 0 else -1,
            memory_limit=cgroups.number(f"{self.directory}/memory.max"),
            cpu=microseconds * 1000 if microseconds >= 0 else -1,
            pids=cgroups.number(f"{self.directory}/pids.current"),
            read=blocks[0],
            written=blocks[1],
        )

    def remove(self) -> None:
        """Remove the group; one that is not there is fine."""
        cgroups.remove(self.directory)


def _settings(limits: Limits) -> list[tuple[str, str]]:
    """Return (file, text)."""
    found: list[tuple[str, str]] = []
    if limits.cpuset_cpus:
        found.append(("cpuset.cpus", limits.cpuset_cpus))
    if limits.cpuset_mems:
        found.append(("cpuset.mems", limits.cpuset_mems))
    if limits.cpu_shares is not None:
        # runc's: 2 to 262144 shares become a weight of 1 to 10000.
        weight = 1 + (max(2, limits.cpu_shares) - 2) * 9999 // 262142
        found.append(("cpu.weight", str(min(weight, 10000))))
    if limits.cpus is not None:
        quota = round(limits.cpus * cgroups.CPU_PERIOD)
        found.append(("cpu.max", f"{quota} {cgroups.CPU_PERIOD}"))
    if limits.memory is not None:
        found.append(("memory.max", str(limits.memory)))
        # Version 2 counts swap alone, docker's option swap and memory together.
        total = limits.memory_swap if limits.memory_swap is not None else 2 * limits.memory
        found.append(("memory.swap.max", "max" if total < 0 else str(total - limits.memory)))
    if limits.memory_reservation is not None:
        found.append(("memory.low", str(limits.memory_reservation)))
    if limits.pids is not None:
        found.append(("pids.max", str(limits.pids) if limits.pids > 0 else "max"))
    return found


def _block_bytes(path: str) -> tuple[int, int]:
    """Return (read, written) of the lines ``8:0 rbytes=4096 wbytes=0 …``."""
    read = written = 0
    for line in cgroups.read(path).splitlines():
        for word in line.split()[1:]:
            name, _, value = word.partition("=")
            read += int(value) if name == "rbytes" else 0
            written += int(value) if name == "wbytes" else 0
    return read, written
