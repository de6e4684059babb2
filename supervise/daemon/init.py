"""The running init: everything wired together around one loop.

`main` boots it; here is who knows whom.
"""

from __future__ import annotations

import os

from supervise import __version__
from supervise.daemon.auxiliary import AuxiliaryCommands
from supervise.daemon.configuration import Loading
from supervise.daemon.ending import Shutdown
from supervise.daemon.events import Events
from supervise.daemon.kernel import LinuxKernel
from supervise.daemon.logs.console import Console
from supervise.daemon.logs.relay import LogRelay
from supervise.daemon.options import BootOptions
from supervise.daemon.readiness import attribution
from supervise.daemon.readiness.probes import Prober
from supervise.daemon.reload import Reload, with_main
from supervise.daemon.signalling import Signalling
from supervise.daemon.supervisor import Supervisor
from supervise.linux import descriptors, prctl, procfs, spawn
from supervise.model.announcement import Announcement
from supervise.model.service import (
    LogFormat,
    LogSettings,
    Plan,
    RestartMode,
    RestartPolicy,
    ServiceSpec,
    Stdin,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervise.daemon.control.server import ControlServer
    from supervise.daemon.foreground import Foreground
    from supervise.daemon.loop import Loop
    from supervise.daemon.readiness.notifications import NotifySocket
    from supervise.model.errors import ConfigError
    from supervise.wire.notify import Notification

# How long slow readers of our output may hold up the end.
FLUSH_PATIENCE = 0.4  # seconds


class Init:
    """All of PID 1 but its boot."""

    def __init__(
        self, loop: Loop, asked: BootOptions, working_dir: str, notices: list[str]
    ) -> None:
        self.running = False
        self.events = Events()
        self._loop = loop
        self._asked = asked
        self._working_dir = working_dir
        self._notices = notices  # the boot adds to it until the plan is there
        notices += _take_the_process_over()
        self._console = Console(loop)
        self._relay = LogRelay(loop, self._console, self.events.announce)
        self.events.subscribe(self._alone_on_console if asked.alone else self._relay.event)
        environ = dict(os.environ)
        self._kernel = LinuxKernel(environ, None if working_dir == "/" else working_dir)
        self._commands = AuxiliaryCommands(loop, self._kernel)
        self._prober = Prober(loop, self._commands.run)
        self._supervisor = Supervisor(
            loop,
            self._kernel,
            self._relay,
            events=self.events,
            commands=self._commands,
            prober=self._prober,
        )
        self._control: ControlServer | None = None
        self._notify: NotifySocket | None = None

    def start(self, plan: Plan, *, compiled: str | None = None) -> None:
        """Bring *plan* up: announce what was read, open the sockets, start the services.

        *compiled*: the compiled plan that it comes from, if it does.
        """
        main = _main_command(self._asked.command, taken=plan.services)
        plan = with_main(plan, main)
        self._wire(main)
        self._supervisor.adopt_plan(plan)
        self._relay.configure(plan.services, event_format=plan.log_format)
        self.running = True
        if not self._asked.alone:
            self._announce_start(plan, compiled)
        for message in self._notices:
            self._notice(message)
        if _waits_for_notifications(plan):
            self._open_sockets(plan)
        self._supervisor.start_all(n for n, spec in plan.services.items() if spec.autostart)
        self.shutdown.consider_idle()
        # The programs are executed by now, and no client of theirs is up within the few
        # milliseconds that this takes.
        if self._control is None and not self._asked.alone:
            self._open_sockets(plan)

    def finish(self) -> int:
        """Write out what is left, close everything, and return the exit code."""
        if self._control is not None:
            self._control.close()
        if self._notify is not None:
            self._notify.close()
        if self._foreground is not None:
            self._foreground.take_back()
        self._relay.finish(self._loop.now() + FLUSH_PATIENCE)
        return self.shutdown.exit_code

    def _alone_on_console(self, announcement: Announcement, when: float) -> None:
        """With a main command alone, say only what a shell in our place would say."""
        if announcement.name in ("service.spawn_failed", "supervise.fault", "supervise.notice"):
            self._relay.event(announcement, when)

    # -- wiring

    def _wire(self, main: ServiceSpec | None) -> None:
        name = main.name if main is not None else None
        self._foreground: Foreground | None = None
        if main is not None:
            from supervise.daemon.foreground import Foreground

            group = self._asked.group
            self._foreground = Foreground(self._supervisor, self._kernel, main.name, group=group)
        self.shutdown = Shutdown(
            self._supervisor,
            main=name,
            remap=dict(self._asked.remap_exit),
            hang_up=self._foreground.hang_up if self._foreground else None,
            before_sweep=self._relay.stop_helpers,
        )
        self._reload = Reload(
            self._supervisor, load=self._load, adopted=self._plan_adopted, main=main
        )
        self.signalling = Signalling(
            self._supervisor,
            self.shutdown,
            foreground=self._foreground,
            alone=self._asked.alone,
            rewrite=dict(self._asked.rewrite),
            reload=self._reload_by_signal,
            reopen=self._reopen,
            directory_changed=self._directory_changed,
            has_terminal=os.isatty(0),
            terminal_is_lost=_terminal_is_lost,
        )

    def _open_sockets(self, plan: Plan) -> None:
        from supervise.daemon.control.server import ControlServer
        from supervise.daemon.facade import Facade

        facade = Facade(self._supervisor, self._reload, self.shutdown)
        self._control = ControlServer(
            self._loop, facade, self._relay, plan.control, self.events.announce
        )
        self._provide_notify_socket(plan)

    def _provide_notify_socket(self, plan: Plan) -> None:
        """Open the notify socket once a service needs it."""
        if not _waits_for_notifications(plan) or self._notify is not None:
            return
        from supervise.daemon.readiness.notifications import NotifySocket

        place = self._control.place if self._control is not None else None
        directory = os.path.dirname(place) if place and place.startswith("/") else None
        try:
            self._notify = NotifySocket(self._loop, directory, self._notified)
        except OSError as error:
            self._notice(f"no notify socket, no service can say that it is ready: {error.strerror}")
            return
        self._kernel.notify_socket = self._notify.address

    def _notified(self, pid: int, uid: int, notification: Notification) -> None:
        """Take a datagram from *pid*, the service's main process or a descendant of it."""
        name = attribution.service_of(self._supervisor, pid, uid)
        if name is None:
            return
        if notification.status is not None:
            self._supervisor.report_status(name, notification.status)
        spec = self._supervisor.services[name].process.spec
        if notification.ready and spec.ready is not None and spec.ready.probe.notify:
            self._supervisor.report_ready(name)

    # -- a new plan

    def _load(self, done: Callable[[Plan | ConfigError], None]) -> None:
        Loading(
            self._loop,
            list(self._asked.config) or None,
            environ=os.environ,
            working_dir=self._working_dir,
            done=done,
            warn=self._notice,
        )

    def _plan_adopted(self, plan: Plan) -> None:
        self._relay.configure(plan.services, event_format=plan.log_format)
        if self._control is not None:
            self._control.ensure_listening(plan.control)
        self._provide_notify_socket(plan)

    def _reload_by_signal(self) -> None:
        if self._control is not None:
            self._control.ensure_listening()
        self._reload.from_signal()

    def _reopen(self) -> None:
        self._relay.reopen()
        if self._control is not None:
            self._control.ensure_listening()

    def _directory_changed(self) -> None:
        if self._control is not None:
            self._control.directory_changed()

    def _notice(self, message: str) -> None:
        self.events.announce(Announcement("supervise.notice", {"message": message}))

    def _announce_start(self, plan: Plan, compiled: str | None) -> None:
        self.events.announce(
            Announcement(
                "supervise.started",
                {
                    "version": __version__,
                    "pid": os.getpid(),
                    "config": [s.path for s in plan.sources if s.kind == "yaml"],
                    "services": len(plan.services),
                    "compiled": compiled,
                },
            )
        )


def _waits_for_notifications(plan: Plan) -> bool:
    return any(s.ready is not None and s.ready.probe.notify for s in plan.services.values())


def _terminal_is_lost() -> bool:
    from supervise.linux import tty  # its termios is 0.3 MB that few containers need

    return tty.has_hung_up(0)


def _take_the_process_over() -> list[str]:
    """Set up what belongs to the process as a whole; returns what this environment refuses."""
    notices: list[str] = []
    descriptors.keep_from_children()
    spawn.raise_descriptor_limit()
    if os.getpid() != 1:
        try:
            prctl.set_child_subreaper()
        except OSError as error:
            notices.append(
                f"cannot adopt orphans, as I am not PID 1 and no subreaper: {error.strerror}"
            )
    if not procfs.is_ours():
        notices.append(
            "/proc is missing or shows another pid namespace: "
            "descendants that left their process group cannot be found"
        )
    return notices


def _main_command(argv: tuple[str, ...], taken: object) -> ServiceSpec | None:
    """Return the service that stands for what follows `--`."""
    if not argv:
        return None
    assert isinstance(taken, dict)
    name = "main"
    while name in taken:
        name += "-command"
    return ServiceSpec(
        name,
        argv,
        stdin=Stdin.TTY,
        restart=RestartPolicy(RestartMode.NO),
        essential=True,
        logs=LogSettings(format=LogFormat.RAW),
    )
