"""Who has ended: main processes, commands on the side, and what a service leaves behind.

What an end means is the model's affair: each is an event for it.  The supervisor owns this; SIGCHLD
leads here, and so does the end of a stop command, which survivors may have waited for.
"""

from __future__ import annotations

from supervise.daemon.service_entry import Service
from supervise.model.process import ProcessExited, ProcessState, SurvivorsGone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from supervise.daemon.auxiliary import AuxiliaryCommands
    from supervise.daemon.kernel import Kernel
    from supervise.daemon.launcher import Launcher, OutputRelay
    from supervise.daemon.survivors import Survivors
    from supervise.model.exitstatus import ExitStatus
    from supervise.model.process import Event


class Deaths:
    """Takes in what the kernel reaps.

    *by_pid* has the services by their main processes and loses those that end.  *feed* gives an
    event to the model; *fault* is told what went wrong of ours, and for which service.
    """

    def __init__(
        self,
        kernel: Kernel,
        commands: AuxiliaryCommands,
        survivors: Survivors,
        launcher: Launcher,
        logs: OutputRelay,
        *,
        services: Mapping[str, Service],
        by_pid: dict[int, Service],
        feed: Callable[[Service, Event], None],
        fault: Callable[[Service | None, Exception], None],
    ) -> None:
        self._kernel = kernel
        self._commands = commands
        self._survivors = survivors
        self._launcher = launcher
        self._logs = logs
        self._services = services
        self._by_pid = by_pid
        self._feed = feed
        self._fault = fault
        self._awaiting: set[str] = set()  # names whose main process has ended, and not the rest

    def reap(self) -> None:
        """Take in every child that has ended."""
        while ended := self._kernel.reap():
            self._survivors.look_anew()
            for pid, status in ended:
                service = self._by_pid.pop(pid, None)
                try:
                    if service is not None:
                        self._main_process_ended(service, pid, status)
                    else:
                        self._commands.reaped(pid, status)
                except Exception as error:  # noqa: BLE001 - the other statuses must not be lost
                    self._fault(service, error)
        for name in tuple(self._awaiting):
            try:
                self._look_for_survivors(name)
            except Exception as error:  # noqa: BLE001 - nor may the others wait for ever
                self._fault(self._services.get(name), error)

    def look_for_survivors(self, service: Service) -> None:
        """Look whether what *service* left behind has ended, if that is waited for."""
        if service.name in self._awaiting:
            self._look_for_survivors(service.name)

    def _main_process_ended(self, service: Service, pid: int, status: ExitStatus) -> None:
        started = service.started
        if started is not None and started.pid == pid:
            # It died before its verdict was read: the pipe tells which.
            self._launcher.confirm(service)
        if service.pid != pid:
            return  # it was given up, or the exec had failed
        service.pid = None
        self._logs.drain(service.name)
        remaining = self._survivors.remain(service, pid, status)
        survivors = remaining or service.cancel_command is not None
        self._feed(service, ProcessExited(status, survivors))
        if survivors and service.process.state is ProcessState.STOPPING:
            self._awaiting.add(service.name)

    def _look_for_survivors(self, name: str) -> None:
        service = self._services.get(name)
        if service is None or service.process.state is not ProcessState.STOPPING:
            self._awaiting.discard(name)
        elif service.cancel_command is None and not self._survivors.still_remain(service):
            self._awaiting.discard(name)
            self._logs.drain(name)
            self._feed(service, SurvivorsGone())
