"""The commands a service has for its own stop and reload.

`supervise.daemon.auxiliary` runs them; here is what their ends mean for the service.  The
supervisor alone calls this.
"""

from __future__ import annotations

from supervise.daemon.service_entry import Service
from supervise.model.announcement import Announcement
from supervise.model.process import StopCommandEnded
from supervise.model.signals import signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervise.daemon.auxiliary import AuxiliaryCommands
    from supervise.daemon.events import Events
    from supervise.daemon.kernel import Kernel
    from supervise.model.exitstatus import ExitStatus
    from supervise.model.process import Event

RELOAD_TIMEOUT = 60.0  # seconds


class Errands:
    """Runs them.  *feed* gives an event to the model, *over* is told that a stop command ended."""

    def __init__(
        self,
        kernel: Kernel,
        commands: AuxiliaryCommands,
        events: Events,
        *,
        feed: Callable[[Service, Event], None],
        over: Callable[[Service], None],
    ) -> None:
        self._kernel = kernel
        self._commands = commands
        self._events = events
        self._feed = feed
        self._over = over

    def stop(self, service: Service) -> None:
        """Run the stop command of *service*."""
        spec = service.process.spec
        assert spec.stop_command is not None
        self.call_off(service)

        def ended(_status: ExitStatus | None, _output: bytes) -> None:
            service.cancel_command = None
            self._feed(service, StopCommandEnded())
            self._over(service)

        service.cancel_command = self._commands.run(spec, spec.stop_command, None, ended)

    def call_off(self, service: Service) -> None:
        """Kill the stop command of *service*, if one is under way; its end means nothing then."""
        if service.cancel_command is not None:
            cancel, service.cancel_command = service.cancel_command, None
            cancel()

    def cut_short(self, service: Service) -> bool:
        """End a stop command whose time is up: the signal follows; False when there is none."""
        if service.cancel_command is None:
            return False
        self.call_off(service)
        self._feed(service, StopCommandEnded())
        self._over(service)
        return True

    def reload(self, service: Service) -> str | None:
        """Have *service* re-read its configuration; returns how, None if it has no way.

        How a command ends is announced.
        """
        spec = service.process.spec
        if spec.reload_command is not None:
            command = " ".join(spec.reload_command)
            how = f"ran {command}"
            self._announce(service, "service.reloading", how=how)
            ended = self._reload_ended(service, command)
            self._commands.run(spec, spec.reload_command, RELOAD_TIMEOUT, ended)
        elif spec.reload_signal is not None and service.pid is not None:
            self._kernel.kill(service.pid, spec.reload_signal)
            how = f"sent {signal_name(spec.reload_signal)}"
            self._announce(service, "service.reloading", how=how)
        else:
            return None
        return how

    def _reload_ended(
        self, service: Service, command: str
    ) -> Callable[[ExitStatus | None, bytes], None]:
        def ended(status: ExitStatus | None, output: bytes) -> None:
            text = output.decode(errors="replace").strip()
            if status is not None and str(status) == "exit code 0":
                self._announce(service, "service.reloaded", how=f"ran {command}")
                return
            # Without a status the output says why it could not be run, or there is none.
            why = str(status) if status is not None else "" if text else "it took too long"
            said = ": ".join(filter(None, (why, text)))
            self._announce(service, "service.reload_failed", message=f"{command}: {said}")

        return ended

    def _announce(self, service: Service, name: str, **fields: str) -> None:
        self._events.announce(Announcement(name, {"service": service.name, **fields}))
