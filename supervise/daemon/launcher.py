"""Starts programs for the supervisor: spawn, pipes to the logs, the verdict of the exec.

It decides nothing: whatever comes of a start is fed to the model as Spawned or SpawnFailed.
"""

from __future__ import annotations

import os

from supervise.daemon.loop import READABLE
from supervise.daemon.service_entry import Service
from supervise.linux.request import SpawnError
from supervise.model.process import Spawned, SpawnFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from supervise.daemon.kernel import Kernel, StartedChild
    from supervise.daemon.loop import Loop
    from supervise.model.process import Event
    from supervise.model.service import ServiceSpec

    class OutputRelay(Protocol):
        """Where the output of processes goes."""

        def wants_pipe(self, spec: ServiceSpec) -> bool:
            """Return whether *spec*'s output passes through us at all."""

        def adopt(self, service: str, stream: str, pid: int, owned_fd: int) -> None:
            """Take over the read end of a pipe."""

        def drain(self, service: str) -> None:
            """Read what a dead process has left in its pipes."""

        def forget(self, service: str) -> None:
            """Give back what a removed service had."""

        def is_stalled(self, service: str) -> bool:
            """Return whether the service's output waits, or is lost, for a slow reader."""


class Launcher:
    """Starts processes and enters them in *by_pid*, the supervisor's own mapping."""

    def __init__(
        self,
        loop: Loop,
        kernel: Kernel,
        logs: OutputRelay,
        by_pid: dict[int, Service],
        feed: Callable[[Service, Event], None],
    ) -> None:
        self._loop = loop
        self._kernel = kernel
        self._logs = logs
        self._by_pid = by_pid
        self._feed = feed

    def launch(self, service: Service) -> None:
        """Start the program of *service*; the answer may come within this call."""
        spec = service.process.spec
        service.strays.clear()
        self.forget_verdict(service)
        try:
            started = self._kernel.start(spec, piped=self._logs.wants_pipe(spec))
        except SpawnError as error:
            failure = SpawnFailed(error.stage, error.errno, error.message)
            # Not at once: with a backoff of zero this would never return to the loop.
            self._loop.call_soon(lambda: self._feed(service, failure), service)
            return
        service.pid = started.pid
        self._by_pid[started.pid] = service
        if started.confirm_fd is not None:
            service.started = started
            self._loop.watch(started.confirm_fd, READABLE, lambda _: self.confirm(service), service)
        self._hand_over(service, started)
        if started.confirm_fd is None:
            self._feed(service, Spawned(started.pid))

    def confirm(self, service: Service) -> None:
        """Take the verdict of the exec: the pipe was closed by it, or says why there was none."""
        started: StartedChild | None
        started, service.started = service.started, None
        assert started is not None
        assert started.confirm_fd is not None
        self._loop.forget(started.confirm_fd)
        try:
            self._kernel.confirm(started)
        except SpawnError as error:
            service.pid = None
            self._by_pid.pop(started.pid, None)
            self._feed(service, SpawnFailed(error.stage, error.errno, error.message))
        else:
            self._feed(service, Spawned(started.pid))

    def forget_verdict(self, service: Service) -> None:
        """Await no verdict any longer; without one under way it does nothing."""
        started, service.started = service.started, None
        if started is not None and started.confirm_fd is not None:
            self._loop.forget(started.confirm_fd)
            os.close(started.confirm_fd)

    def _hand_over(self, service: Service, started: StartedChild) -> None:
        """Give the pipes to the logs; what a fault leaves is closed."""
        pipes = [("stdout", started.stdout_fd), ("stderr", started.stderr_fd)]
        try:
            while pipes:
                stream, fd = pipes.pop(0)
                if fd is not None:
                    self._logs.adopt(service.name, stream, started.pid, fd)
        finally:
            for _stream, fd in pipes:
                if fd is not None:
                    os.close(fd)
