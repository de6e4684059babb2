"""cgroups version 1: one directory a hierarchy.  Used through `runtime.linux.cgroups`."""

from __future__ import annotations

import errno
import os

from runtime.linux import cgroups
from runtime.linux.cgroups import Stats
from runtime.model.contexts import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.model.container.spec import Limits

_FREEZE_TIMEOUT = 10.0  # seconds
_UNLIMITED = 1 << 62  # bytes; what the kernel shows for no limit is just below 2**63
_KILL_ROUNDS = 100


def hierarchies() -> dict[str, str]:
    """Return controller → mount point, ``name=systemd`` too; see proc_pid_mountinfo(5)."""
    found: dict[str, str] = {}
    for line in cgroups.read("/proc/self/mountinfo").splitlines() or ():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind != "cgroup":
            continue
        fields = before.split(" ")
        if fields[3] != "/":  # a subtree of a hierarchy, bound elsewhere
            continue
        for option in options.split(","):
            if option not in ("rw", "ro", "xattr", "clone_children", "noprefix"):
                found.setdefault(option, fields[4])
    return found


class GroupV1:
    """One container's directories."""

    version = 1

    def __init__(self, name: str, mounts: Mapping[str, str]) -> None:
        self._name = name.rstrip("/")
        self._mounts = mounts  # controller → mount point

    def directories(self) -> list[str]:
        """Return every directory of the group, there or not."""
        return [f"{place}/{self._name}" for place in dict.fromkeys(self._mounts.values())]

    def shown(self) -> list[tuple[str, str]]:
        """Return (name below /sys/fs/cgroup, our directory) as a container is to see them."""
        places = dict.fromkeys(self._mounts.values())
        return [(os.path.basename(place), f"{place}/{self._name}") for place in places]

    def create(self, limits: Limits, devices: Sequence[str] | None) -> list[str]:
        """Make the group with *limits*; *devices* are devices.allow's lines, None for all.

        Returns sentences about limits this machine cannot keep.

        Raises:
            OSError: EINVAL and so on: the kernel refuses a limit; names the file.
            RuntimeFailure: no hierarchy is visible that could keep devices away.
        """
        if devices is not None:
            self._need_devices()
        for place in dict.fromkeys(self._mounts.values()):
            self._make(place)
        remarks = self.limit(limits)
        if devices is not None:
            directory = self._of("devices")
            cgroups.write(f"{directory}/devices.deny", "a")
            for rule in devices:
                cgroups.write(f"{directory}/devices.allow", rule)
        return remarks

    def _make(self, place: str) -> None:
        cpuset = place == self._mounts.get("cpuset")
        directory = place
        for part in self._name.split("/"):
            above, directory = directory, f"{directory}/{part}"
            with suppress(FileExistsError):
                os.mkdir(directory, 0o755)
            if cpuset:  # empty at first; no process can enter before it is set
                for name in ("cpuset.cpus", "cpuset.mems"):
                    if not cgroups.read(f"{directory}/{name}"):
                        cgroups.write(f"{directory}/{name}", cgroups.read(f"{above}/{name}"))

    def limit(self, limits: Limits) -> list[str]:
        """Set *limits*, as `create` and `update` do."""
        remarks = []
        for controller, name, value in _settings(limits):
            directory = self._of(controller)
            path = f"{directory}/{name}"
            if not directory or not os.path.exists(path):
                remarks.append(f"this machine has no cgroup file {name}: that limit is not kept")
            else:
                cgroups.write(path, value)
        return remarks

    def enter(self, *, limit_devices: bool = True) -> None:
        """Move the calling process, which has one thread, into the group.

        Where the hierarchy that limits devices is not visible it would be as free as the host:
        that is refused when *limit_devices*.

        A process that moves its only thread by ``tasks`` need not wait for all others to stand
        still: moving another one, or by ``cgroup.procs``, takes the kernel a grace period of RCU,
        10 to 15 ms.
        """
        if limit_devices:
            self._need_devices()
        for directory in self.directories():
            cgroups.write(f"{directory}/tasks", "0")

    def _need_devices(self) -> None:
        if not self._of("devices"):
            raise cgroups.no_devices("no devices cgroup is mounted where we can see it")

    def processes(self) -> list[int]:
        """Return the processes in it."""
        directory = self._of("pids") or self._of("devices") or self._of("freezer")
        return cgroups.processes(directory) if directory else []

    def kill(self) -> None:
        """Kill every process in it, also those that are born meanwhile."""
        for _ in range(_KILL_ROUNDS):
            found = self.processes()
            if not found:
                return
            for pid in found:
                with suppress(ProcessLookupError):  # it was faster
                    os.kill(pid, cgroups.SIGKILL)
            if self.is_frozen():
                self.thaw()

    def freeze(self) -> None:
        """Stop every process in it; raises OSError (ETIMEDOUT) when some cannot be stopped."""
        path = f"{self._of('freezer')}/freezer.state"
        cgroups.write(path, "FROZEN")
        if not cgroups.wait_for(path, "FROZEN", _FREEZE_TIMEOUT):
            cgroups.write(path, "THAWED")
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT), path)

    def thaw(self) -> None:
        """Undo `freeze`."""
        cgroups.write(f"{self._of('freezer')}/freezer.state", "THAWED")

    def is_frozen(self) -> bool:
        """Return whether `freeze` is in force."""
        return cgroups.read(f"{self._of('freezer')}/freezer.state") not in ("", "THAWED")

    def oom_kills(self) -> int:
        """Return how many processes the kernel killed because of the memory limit."""
        return cgroups.values(f"{self._of('memory')}/memory.oom_control").get("oom_kill", 0)

    def stats(self) -> Stats:
        """Return what the container uses."""
        memory = self._of("memory")
        used = cgroups.number(f"{memory}/memory.usage_in_bytes")
        cache = cgroups.values(f"{memory}/memory.stat").get("total_inactive_file", 0)
        limit = cgroups.number(f"{memory}/memory.limit_in_bytes")
        blocks = _block_bytes(f"{self._of('blkio')}/blkio.throttle.io_service_bytes_recursive")
        return Stats(
            memory=max(0, used - cache) if used >= 0 else -1,
            memory_limit=limit if limit < _UNLIMITED else -1,
            cpu=cgroups.number(f"{self._of('cpuacct')}/cpuacct.usage"),
            pids=cgroups.number(f"{self._of('pids')}/pids.current"),
            read=blocks[0],
            written=blocks[1],
        )

    def remove(self) -> None:
        """Remove the group; one that is not there is fine."""
        for directory in self.directories():
            cgroups.remove(directory)

    def _of(self, controller: str) -> str:
        place = self._mounts.get(controller)
        return f"{place}/{self._name}" if place else ""


def _settings(limits: Limits) -> list[tuple[str, str, str]]:
    """Return (controller, file, text) in an order in which the kernel takes them."""
    found: list[tuple[str, str, str]] = []
    if limits.cpuset_cpus:
        found.append(("cpuset", "cpuset.cpus", limits.cpuset_cpus))
    if limits.cpuset_mems:
        found.append(("cpuset", "cpuset.mems", limits.cpuset_mems))
    if limits.cpu_shares is not None:
        found.append(("cpu", "cpu.shares", str(limits.cpu_shares)))
    if limits.cpus is not None:
        found.append(("cpu", "cpu.cfs_period_us", str(cgroups.CPU_PERIOD)))
        found.append(("cpu", "cpu.cfs_quota_us", str(round(limits.cpus * cgroups.CPU_PERIOD))))
    if limits.memory is not None:
        found.append(("memory", "memory.limit_in_bytes", str(limits.memory)))
        swap = limits.memory_swap if limits.memory_swap is not None else 2 * limits.memory
        found.append(("memory", "memory.memsw.limit_in_bytes", str(swap)))
    if limits.memory_reservation is not None:
        found.append(("memory", "memory.soft_limit_in_bytes", str(limits.memory_reservation)))
    if limits.pids is not None:
        found.append(("pids", "pids.max", str(limits.pids) if limits.pids > 0 else "max"))
    return found


def _block_bytes(path: str) -> tuple[int, int]:
    """Return (read, written) of the lines ``8:0 Read 4096``."""
    read = written = 0
    for line in cgroups.read(path).splitlines():
        words = line.split()
        if len(words) == 3:
            read += int(words[2]) if words[1] == "Read" else 0
            written += int(words[2]) if words[1] == "Write" else 0
    return read, written
