"""Descendants of services: told to end with them, and waited for.

A process group is not enough: who calls setsid leaves it.  So before the first signal of a stop
everybody below the main process is looked up, and stays known by pid and start time until it is
gone.  Nothing polls: the death of an orphan reaches us as SIGCHLD, because PID 1 and a child
subreaper adopt it.
"""

from __future__ import annotations

from supervise.daemon.service_entry import Service
from supervise.model import restart
from supervise.model.exitstatus import ExitStatus
from supervise.model.process import ProcessState
from supervise.model.service import KillMode, ServiceSpec
from supervise.model.signals import SIGNALS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

    from supervise.daemon.kernel import Kernel
    from supervise.daemon.loop import Loop

SIGCONT, SIGKILL = SIGNALS["SIGCONT"], SIGNALS["SIGKILL"]


class Survivors:
    """Knows who belongs to a service beside its main process."""

    def __init__(
        self, loop: Loop, kernel: Kernel, services: Container[int], commands: Container[int]
    ) -> None:
        self._loop = loop
        self._kernel = kernel
        self._known = _Either(services, commands)  # the main pids of services and of commands
        self._orphans: dict[str, list[tuple[int, int, int]]] | None = None

    def signal_all(self, service: Service, number: int) -> None:
        """Send *number* to the service's main process, its group and everybody else of it."""
        pid = service.pid
        if number != SIGCONT:  # it follows another signal: everybody has been looked up for that
            self._look_up(service)
        if pid is not None and not self._kernel.kill_group(pid, number):
            self._kernel.kill(pid, number)  # forked, but not yet a group leader
        for member, start in tuple(service.strays):
            if start == 0:
                self._kernel.kill_group(member, number)
            elif self._kernel.is_alive(member, start):
                self._kernel.kill(member, number)

    def remain(self, service: Service, group: int, status: ExitStatus) -> bool:
        """Return whether anybody of *service* lives on who has to end with it.

        Its main process, pid *group*, has ended with *status*.
        """
        if self._kernel.kill_group(group, 0):
            # The group stands for its members from here on; a start time of 0 marks it.
            service.strays.add((group, 0))
        spec = service.process.spec
        stopping = service.process.state is ProcessState.STOPPING
        # What has ended well and for good may have left a daemon on purpose.
        if spec.kill_mode is KillMode.GROUP and (stopping or not _is_complete(spec, status)):
            known = set(service.strays)
            self._take_orphans(service)
            if stopping and service.cancel_command is None:
                # Forked after everybody had been looked up: they have not been told yet.
                number = SIGKILL if service.process.killed else spec.stop_signal
                for pid, _start in service.strays - known:
                    self._kernel.kill(pid, number)
        return self.still_remain(service)

    def look_anew(self) -> None:
        """Forget who was an orphan: parents have ended since."""
        self._orphans = None

    def still_remain(self, service: Service) -> bool:
        """Forget who has ended meanwhile, and return whether anybody is left."""
        service.strays = {
            (pid, start)
            for pid, start in service.strays
            if (self._kernel.is_alive(pid, start) if start else self._kernel.kill_group(pid, 0))
        }
        return bool(service.strays)

    def _look_up(self, service: Service) -> None:
        if service.pid is not None:
            service.strays.update(self._kernel.descendants(service.pid))
        self._take_orphans(service)

    def _take_orphans(self, service: Service) -> None:
        """Add those of *service* that were reparented to us, but for whom its group stands."""
        if self._orphans is None:
            # One look serves a whole turn of the loop, in which a hundred services may stop.
            self._orphans = self._kernel.orphans(self._known)
            self._loop.call_soon(self.look_anew)
        groups = {pid for pid, start in service.strays if start == 0} | {service.pid}
        service.strays.update(
            (pid, start)
            for pid, start, group in self._orphans.get(service.name, ())
            if group not in groups
        )


def _is_complete(spec: ServiceSpec, status: ExitStatus) -> bool:
    success = restart.is_success(spec, status)
    return restart.judge(spec, success=success, attempts=1) is restart.Verdict.COMPLETE


class _Either:
    """Contains what one or the other container does."""

    def __init__(self, one: Container[int], other: Container[int]) -> None:
        self._one = one
        self._other = other

    def __contains__(self, pid: object) -> bool:
        return pid in self._one or pid in self._other
