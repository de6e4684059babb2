"""Auxiliary commands: stop and reload commands, exec probes.

Each runs in the surroundings of a service and ends by itself or by its timeout.  The supervisor's
one reaper tells `reaped`; nothing here waits.
"""

from __future__ import annotations

import os

from supervise.daemon.kernel import StartedChild
from supervise.daemon.loop import READABLE
from supervise.linux.request import SpawnError
from supervise.model.exitstatus import ExitStatus
from supervise.model.service import ServiceSpec
from supervise.model.signals import SIGNALS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervise.daemon.kernel import Kernel
    from supervise.daemon.loop import Loop, Timer

    OnEnd = Callable[[ExitStatus | None, bytes], None]

KEPT_OUTPUT = 4096  # bytes


class AuxiliaryCommand:
    """One running command, and the owner of its descriptors."""

    def __init__(
        self, commands: AuxiliaryCommands, name: str, started: StartedChild, on_end: OnEnd
    ) -> None:
        self.name = name
        self.started = started
        self.output = b""
        self._commands = commands
        self._on_end: OnEnd | None = on_end
        self.timer: Timer | None = None

    def read(self, _events: int) -> None:
        """Keep the first bytes of the output and throw the rest away."""
        assert self.started.stdout_fd is not None
        try:
            chunk = os.read(self.started.stdout_fd, 65536)
        except BlockingIOError:
            return
        if not chunk:
            self.close()
        elif len(self.output) < KEPT_OUTPUT:
            self.output = (self.output + chunk)[:KEPT_OUTPUT]

    def close(self) -> None:
        """Release the pipe; idempotent."""
        fd, self.started.stdout_fd = self.started.stdout_fd, None
        if fd is not None:
            self._commands.loop.forget(fd)
            os.close(fd)

    def finish(self, status: ExitStatus | None) -> None:
        """Report the end, once."""
        if self.started.stdout_fd is not None:
            self.read(READABLE)
        self.close()
        if self.timer is not None:
            self.timer.cancel()
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(status, self.output)

    def cancel(self) -> None:
        """End it without a report."""
        self._on_end = None
        self.kill()

    def kill(self) -> None:
        """Kill the command and what it started; once it is reaped its pid may be a stranger's."""
        if self.started.pid in self._commands:
            self._commands.kernel.kill_group(self.started.pid, SIGNALS["SIGKILL"])

    def time_out(self) -> None:
        """Kill it and report that there is no status."""
        self.kill()
        self.finish(None)

    def abandon(self) -> None:
        """Give it up after a fault of ours."""
        self.cancel()
        self.close()


class AuxiliaryCommands:
    """Starts commands and remembers them by pid until they are reaped."""

    def __init__(self, loop: Loop, kernel: Kernel) -> None:
        self.loop = loop
        self.kernel = kernel
        self._running: dict[int, AuxiliaryCommand] = {}

    def run(
        self, spec: ServiceSpec, argv: tuple[str, ...], timeout: float | None, on_end: OnEnd
    ) -> Callable[[], None]:
        """Run *argv* as *spec* would run; returns the function that cancels it.

        *on_end* is called from the loop with the status and the first bytes of the output; with
        None when it could not be started (the output says why) or took more than *timeout*
        seconds and was killed.
        """
        try:
            started = self.kernel.run(spec, argv)
        except SpawnError as error:
            text = error.message.encode(errors="replace")
            self.loop.call_soon(lambda: on_end(None, text))
            return lambda: None
        if started.confirm_fd is not None:
            # A failed exec ends the child with 127, which is all a command's caller needs.
            os.close(started.confirm_fd)
            started.confirm_fd = None
        command = AuxiliaryCommand(self, f"{spec.name}: {argv[0]}", started, on_end)
        self._running[started.pid] = command
        assert started.stdout_fd is not None
        self.loop.watch(started.stdout_fd, READABLE, command.read, command)
        if timeout is not None:
            command.timer = self.loop.call_later(timeout, command.time_out, command)
        return command.cancel

    def __contains__(self, pid: object) -> bool:
        """Return whether *pid* is a command of ours that has not been reaped."""
        return pid in self._running

    def reaped(self, pid: int, status: ExitStatus) -> bool:
        """Take the end of *pid*; False when it is no command of ours."""
        command = self._running.pop(pid, None)
        if command is None:
            return False
        command.finish(status)
        return True
