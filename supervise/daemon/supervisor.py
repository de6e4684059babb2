"""The owner of all processes: feeds events into the model and carries its effects out.

It decides nothing about the life of a process (`supervise.model.lifecycle` does) and makes no
system call (`supervise.daemon.kernel` does).  Requests come from `control` and `signalling`,
the end of the container is `ending`'s, a new plan is `reload`'s.
"""

from __future__ import annotations

import os
from collections import deque

from supervise.daemon.events import fault
from supervise.daemon.loop import READABLE
from supervise.daemon.service import Service
from supervise.daemon.survivors import Survivors
from supervise.linux.request import SpawnError
from supervise.model import explain, lifecycle, ordering
from supervise.model.announcement import Announcement
from supervise.model.exitstatus import ExitStatus
from supervise.model.process import (
    Announce,
    ArmTimer,
    BecameReady,
    Deadline,
    DeadlineReached,
    Desired,
    DisarmTimer,
    Effect,
    Event,
    Exited,
    HealthChanged,
    HurryRequested,
    Process,
    ProcessState,
    RestartRequested,
    RunStopCommand,
    Scope,
    SendSignal,
    Spawn,
    Spawned,
    SpawnFailed,
    StartRequested,
    StatusReported,
    StopCommandEnded,
    StopRequested,
    StopWatching,
    SurvivorsGone,
    Wanted,
    WatchHealth,
    WatchReadiness,
    is_active,
)
from supervise.model.service import Plan, ServiceSpec
from supervise.model.signals import signal_name
from supervise.model.view import Blocker, Explanation, ServiceView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Protocol

    from supervise.daemon.auxiliary import AuxiliaryCommands
    from supervise.daemon.events import Events
    from supervise.daemon.kernel import Kernel, Started
    from supervise.daemon.loop import Loop
    from supervise.daemon.probes import Prober

    class Logs(Protocol):
        """Where the output of processes goes."""

        def wants_pipe(self, spec: ServiceSpec) -> bool:
            """Tell whether *spec*'s output passes through us at all."""

        def adopt(self, service: str, stream: str, pid: int, owned_fd: int) -> None:
            """Take over the read end of a pipe."""

        def drain(self, service: str) -> None:
            """Read what a dead process has left in its pipes."""


class Supervisor:
    """All services of a plan, alive or not."""

    def __init__(
        self,
        loop: Loop,
        kernel: Kernel,
        logs: Logs,
        *,
        events: Events,
        commands: AuxiliaryCommands,
        prober: Prober,
    ) -> None:
        self.loop = loop
        self.kernel = kernel
        self.events = events
        self.commands = commands
        self.plan = Plan()
        self.services: dict[str, Service] = {}
        self.dependents: dict[str, list[str]] = {}
        self.active: set[str] = set()  # names that have, or are about to have, a process
        self._logs = logs
        self._prober = prober
        self._by_pid: dict[int, Service] = {}
        self._survivors = Survivors(loop, kernel, self._by_pid)
        self._queue: deque[tuple[Service, Event]] = deque()
        self._feeding = False
        self._awaiting_survivors: set[str] = set()
        self._on_change: list[Callable[[Service, Process], None]] = []

    # -- what it holds

    def adopt_plan(self, plan: Plan) -> None:
        """Make *plan* the one in force; services that are new to it are added, stopped."""
        self.plan = plan
        for name, spec in plan.services.items():
            if name not in self.services:
                process = Process(spec, since=self.loop.now())
                self.services[name] = Service(process, self._give_up)
        # The plan's order is the order shown; what is on its way out stays last.
        ordered = [n for n in plan.services if n in self.services]
        ordered += [n for n in self.services if n not in plan.services]
        self.services = {name: self.services[name] for name in ordered}
        self.dependents = ordering.reverse(
            {name: tuple(s.process.spec.depends_on) for name, s in self.services.items()}
        )

    def drop(self, service: Service) -> None:
        """Forget a service that is down and no longer in the plan."""
        assert not is_active(service.process)
        service.disarm_all()
        self._prober.forget(service.name)
        self.kernel.forget(service.name)
        self.services.pop(service.name, None)

    def replace_spec(self, service: Service, spec: ServiceSpec) -> None:
        """Let *spec* describe the service from its next decision on."""
        service.process = service.process.replace(spec=spec)
        self.kernel.forget(service.name)

    def names(self) -> list[str]:
        """Return the services in file order."""
        return list(self.services)

    def processes(self) -> dict[str, Process]:
        """Return every process by the name of its service."""
        return {name: service.process for name, service in self.services.items()}

    def view(self, name: str) -> ServiceView:
        """Return how *name* fares; raises KeyError when there is no such service."""
        process = self.services[name].process
        return explain.view(process, self.blockers(name), self.loop.now())

    def explain(self, name: str) -> Explanation:
        """Return why *name* is as it is; raises KeyError when there is no such service."""
        process = self.services[name].process
        probe = self._prober.last_failure(name)
        return explain.explain(process, self.blockers(name), self.loop.now(), probe)

    def blockers(self, name: str) -> list[Blocker]:
        """Return what keeps *name* from starting; empty when it is up or may start."""
        process = self.services[name].process
        if process.state is not ProcessState.STOPPED or process.desired is Desired.DOWN:
            return []
        return self._blockers(process)

    def pids(self, name: str) -> list[int]:
        """Return the main pid of *name* and its descendants'; empty when it is down."""
        pid = self.services[name].pid
        return [] if pid is None else [pid, *self.kernel.below(pid)]

    def on_change(self, listener: Callable[[Service, Process], None]) -> None:
        """Tell *listener* of each change of a process, with what it was before."""
        self._on_change.append(listener)

    # -- requests

    def start(self, name: str) -> None:
        """Want *name* up, and what it depends on first."""
        self.start_all([name])

    def start_all(self, names: Iterable[str]) -> None:
        """Want all of *names* up, and what they depend on first."""
        asked = list(names)
        wanted = set(asked)
        for name in ordering.closure(self._requirements(), asked):
            process = self.services[name].process
            done = process.state is ProcessState.EXITED
            if name in wanted or not (done or is_active(process)):
                self.want(name)

    def want(self, name: str) -> None:
        """Start *name* as soon as its dependencies allow it."""
        service = self.services[name]
        if is_active(service.process) or not self._blockers(service.process):
            self.feed(service, StartRequested())
            return
        self.feed(service, Wanted())
        self._announce(service, "service.waiting", message=self.view(name).detail)

    def stop(self, name: str, timeout: float | None = None) -> None:
        """Want *name* down; SIGKILL after *timeout* seconds instead of its own grace."""
        service = self.services[name]
        service.start_again = False
        self.feed(service, StopRequested(timeout))

    def restart(self, name: str, timeout: float | None = None) -> None:
        """Replace the process of *name*, and of those that depend on it with `restart: true`."""
        for each in self.dependents.get(name, ()):
            service = self.services[each]
            dependency = service.process.spec.depends_on.get(name)
            if dependency is not None and dependency.restart and is_active(service.process):
                self.stop_and_start(service, timeout)
        service = self.services[name]
        if is_active(service.process):
            self.feed(service, RestartRequested(timeout))
        else:
            self.start(name)

    def stop_and_start(self, service: Service, timeout: float | None = None) -> None:
        """Stop it, then start it as soon as its dependencies allow it."""
        service.start_again = True
        self.feed(service, StopRequested(timeout))

    def reload(self, name: str) -> str | None:
        """Have *name* re-read its configuration; returns what was done, None if it has no way."""
        service = self.services[name]
        spec = service.process.spec
        if spec.reload_command is not None:
            how = " ".join(spec.reload_command)
            self.commands.run(spec, spec.reload_command, 60.0, self._reload_ended(service, how))
            how = f"ran {how}"
        elif spec.reload_signal is not None and service.pid is not None:
            self.kernel.kill(service.pid, spec.reload_signal)
            how = f"sent {signal_name(spec.reload_signal)}"
        else:
            return None
        self._announce(service, "service.reloading", how=how)
        return how

    def signal(self, name: str, number: int) -> bool:
        """Send *number* to the main process of *name*; False when it has none."""
        pid = self.services[name].pid
        return pid is not None and self.kernel.kill(pid, number)

    def hurry(self) -> None:
        """Waive the rest of the grace of everything that is stopping."""
        for service in tuple(self.services.values()):
            self.feed(service, HurryRequested())

    def report_ready(self, name: str) -> None:
        """Take the service's own word that it is ready."""
        self.feed(self.services[name], BecameReady())

    def report_status(self, name: str, text: str) -> None:
        """Take what the service says of itself."""
        self.feed(self.services[name], StatusReported(text))

    def service_of_pid(self, pid: int) -> str | None:
        """Return the service whose main process is *pid*."""
        service = self._by_pid.get(pid)
        return service.name if service else None

    # -- deaths

    def reap(self) -> None:
        """Take in every child that has ended."""
        while ended := self.kernel.reap():
            for pid, status in ended:
                service = self._by_pid.pop(pid, None)
                try:
                    if service is not None:
                        self._main_process_ended(service, pid, status)
                    else:
                        self.commands.reaped(pid, status)
                except Exception as error:  # noqa: BLE001 - the other statuses must not be lost
                    self._fault(service, error)
        for name in tuple(self._awaiting_survivors):
            self._look_for_survivors(name)

    def _main_process_ended(self, service: Service, pid: int, status: ExitStatus) -> None:
        started = service.started
        if started is not None and started.pid == pid:
            self._confirm(service)  # died before its verdict was read: the pipe tells which
        if service.pid != pid:
            return  # it was given up, or the exec had failed
        service.pid = None
        self._logs.drain(service.name)
        survivors = self._survivors.remain(service, pid)
        self.feed(service, Exited(status, survivors))
        if survivors and service.process.state is ProcessState.STOPPING:
            self._awaiting_survivors.add(service.name)

    def _look_for_survivors(self, name: str) -> None:
        service = self.services.get(name)
        if service is None or service.process.state is not ProcessState.STOPPING:
            self._awaiting_survivors.discard(name)
        elif not self._survivors.still_remain(service):
            self._awaiting_survivors.discard(name)
            self._logs.drain(name)
            self.feed(service, SurvivorsGone())

    # -- events in, effects out

    def feed(self, service: Service, event: Event) -> None:
        """Give *event* to the model; effects that cause events are carried out in order."""
        self._queue.append((service, event))
        if self._feeding:
            return
        self._feeding = True
        try:
            while self._queue:
                self._step(*self._queue.popleft())
        finally:
            self._feeding = False

    def _step(self, service: Service, event: Event) -> None:
        before = service.process
        try:
            after, effects = lifecycle.on_event(before, event, self.loop.now(), _jitter())
            service.process = after
            for effect in effects:
                self._carry_out(service, effect)
            if after is not before:
                self._changed(service, before)
        except Exception as error:  # noqa: BLE001 - a barrier: it costs this service
            self._fault(service, error)

    def _fault(self, service: Service | None, error: Exception) -> None:
        self.events.announce(fault(service.name if service else "reaper", error))
        if service is not None:
            self._give_up(service)

    def _carry_out(self, service: Service, effect: Effect) -> None:
        match effect:
            case Spawn():
                self._spawn(service)
            case SendSignal(number, Scope.ALL):
                self._survivors.signal_all(service, number)
            case SendSignal(number):
                if service.pid is not None:
                    self.kernel.kill(service.pid, number)
            case ArmTimer(deadline, delay):
                self._arm(service, deadline, delay)
            case DisarmTimer(deadline):
                service.disarm(deadline)
            case Announce(announcement):
                self.events.announce(announcement)
            case WatchReadiness():
                self._prober.watch_ready(
                    service.name,
                    service.process.spec,
                    lambda: self.feed(service, BecameReady()),
                )
            case WatchHealth():
                self._prober.watch_health(
                    service.name,
                    service.process.spec,
                    lambda health, message: self.feed(service, HealthChanged(health, message)),
                )
            case StopWatching():
                self._prober.forget(service.name)
            case RunStopCommand():
                self._run_stop_command(service)

    def _arm(self, service: Service, deadline: Deadline, delay: float) -> None:
        service.disarm(deadline)

        def reached() -> None:
            service.timers.pop(deadline, None)
            if deadline is Deadline.STOP and service.name in self._awaiting_survivors:
                # Where orphans are not ours to adopt they end unseen: look before killing.
                self._look_for_survivors(service.name)
            self.feed(service, DeadlineReached(deadline))

        service.timers[deadline] = self.loop.call_later(delay, reached, service)

    def _spawn(self, service: Service) -> None:
        spec = service.process.spec
        service.strays.clear()
        try:
            started = self.kernel.start(spec, piped=self._logs.wants_pipe(spec))
        except SpawnError as error:
            failure = SpawnFailed(error.stage, error.errno, error.message)
            # Not at once: with a backoff of zero this would never return to the loop.
            self.loop.call_soon(lambda: self.feed(service, failure), service)
            return
        service.pid = started.pid
        self._by_pid[started.pid] = service
        for stream, fd in (("stdout", started.stdout_fd), ("stderr", started.stderr_fd)):
            if fd is not None:
                self._logs.adopt(service.name, stream, started.pid, fd)
        if started.confirm_fd is None:
            self.feed(service, Spawned(started.pid))
            return
        service.started = started
        self.loop.watch(started.confirm_fd, READABLE, lambda _: self._confirm(service), service)

    def _confirm(self, service: Service) -> None:
        """Take the verdict of the exec: the pipe was closed by it, or says why there was none."""
        started: Started | None
        started, service.started = service.started, None
        assert started is not None
        assert started.confirm_fd is not None
        self.loop.forget(started.confirm_fd)
        try:
            self.kernel.confirm(started)
        except SpawnError as error:
            service.pid = None
            self._by_pid.pop(started.pid, None)
            self.feed(service, SpawnFailed(error.stage, error.errno, error.message))
        else:
            self.feed(service, Spawned(started.pid))

    def _run_stop_command(self, service: Service) -> None:
        command = service.process.spec.stop_command
        assert command is not None

        def ended(_status: ExitStatus | None, _output: bytes) -> None:
            self.feed(service, StopCommandEnded())

        service.cancel_command = self.commands.run(service.process.spec, command, None, ended)

    def _reload_ended(
        self, service: Service, how: str
    ) -> Callable[[ExitStatus | None, bytes], None]:
        def ended(status: ExitStatus | None, output: bytes) -> None:
            if status is None or str(status) != "exit code 0":
                text = output.decode(errors="replace").strip()
                self._announce(service, "service.reloading", how=f"{how} failed: {status}: {text}")

        return ended

    # -- what follows a change

    def _changed(self, service: Service, before: Process) -> None:
        if is_active(service.process):
            self.active.add(service.name)
        else:
            self.active.discard(service.name)
            self._after_stop(service)
        for name in self.dependents.get(service.name, ()):
            dependent = self.services.get(name)
            if dependent is not None and self._may_start(dependent.process):
                self.feed(dependent, StartRequested())
        for listener in tuple(self._on_change):
            listener(service, before)

    def _after_stop(self, service: Service) -> None:
        if service.cancel_command is not None:
            service.cancel_command()
            service.cancel_command = None
        if service.next_spec is not None:
            self.replace_spec(service, service.next_spec)
            service.next_spec = None
        if service.start_again and service.process.desired is Desired.DOWN:
            service.start_again = False
            self.want(service.name)

    def _may_start(self, process: Process) -> bool:
        waiting = process.state is ProcessState.STOPPED and process.desired is Desired.UP
        return waiting and not self._blockers(process)

    def _blockers(self, process: Process) -> list[Blocker]:
        others = {
            name: self.services[name].process
            for name in process.spec.depends_on
            if name in self.services
        }
        return ordering.blockers(process, others)

    def _give_up(self, service: Service) -> None:
        """Something of ours failed for this service: kill it and call it failed."""
        service.disarm_all()
        self._prober.forget(service.name)
        if service.started is not None and service.started.confirm_fd is not None:
            self.loop.forget(service.started.confirm_fd)
            os.close(service.started.confirm_fd)
        service.started = None
        if service.pid is not None:
            self.kernel.kill_group(service.pid, lifecycle.SIGKILL)
        service.pid = None
        before = service.process
        service.process = before.replace(
            state=ProcessState.FAILED,
            pid=None,
            ready=False,
            next_start=None,
            failure="an internal fault of supervise; its log has the traceback",
        )
        self._announce(service, "service.failed", reason=service.process.failure)
        self._changed(service, before)

    def _requirements(self) -> dict[str, list[str]]:
        return {
            name: [
                target
                for target, dependency in service.process.spec.depends_on.items()
                if dependency.required and target in self.services
            ]
            for name, service in self.services.items()
        }

    def _announce(self, service: Service, name: str, **fields: object) -> None:
        self.events.announce(Announcement(name, {"service": service.name, **fields}))


def _jitter() -> float:
    """Return an unpredictable number between -1 and 1; `random` would cost 10 ms to import."""
    return int.from_bytes(os.urandom(2), "little") / 32767.5 - 1.0
