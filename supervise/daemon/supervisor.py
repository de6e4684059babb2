"""The owner of all processes: feeds events into the model and carries its effects out.

It decides nothing about the life of a process (`supervise.model.lifecycle` does) and makes no
system call (`supervise.daemon.kernel` does).  Requests come from `control` and `signalling`,
the end of the container is `ending`'s, a new plan is `reload`'s.
"""

from __future__ import annotations

import os
from collections import deque

from supervise.daemon.deaths import Deaths
from supervise.daemon.dependencies import Dependencies
from supervise.daemon.errands import Errands
from supervise.daemon.events import fault
from supervise.daemon.launcher import Launcher
from supervise.daemon.service_entry import Service
from supervise.daemon.survivors import Survivors
from supervise.model import explain, lifecycle
from supervise.model.announcement import Announcement
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
    HealthChanged,
    HurryRequested,
    InternalFault,
    Process,
    ProcessState,
    RestartRequested,
    RunStopCommand,
    Scope,
    SendSignal,
    ShutdownBegan,
    Spawn,
    StartRequested,
    StatusReported,
    StopRequested,
    StopWatching,
    Wanted,
    WatchHealth,
    WatchReadiness,
    is_active,
)
from supervise.model.service import Plan, ServiceSpec
from supervise.model.shutdown import last_call
from supervise.model.view import Blocker, Explanation, ServiceView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from supervise.daemon.auxiliary import AuxiliaryCommands
    from supervise.daemon.events import Events
    from supervise.daemon.kernel import Kernel
    from supervise.daemon.launcher import OutputRelay
    from supervise.daemon.loop import Loop
    from supervise.daemon.readiness.probes import Prober


class Supervisor:
    """All services of a plan, alive or not."""

    def __init__(
        self,
        loop: Loop,
        kernel: Kernel,
        logs: OutputRelay,
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
        self.dependencies = Dependencies(self.services)
        self.active: set[str] = set()  # names that have, or are about to have, a process
        self.closing = False  # the container ends: nothing starts any more
        self._logs = logs
        self._prober = prober
        self._by_pid: dict[int, Service] = {}
        self._survivors = Survivors(loop, kernel, self._by_pid, commands)
        self._launcher = Launcher(loop, kernel, logs, self._by_pid, self.feed)
        self._deaths = Deaths(
            kernel,
            commands,
            self._survivors,
            self._launcher,
            logs,
            services=self.services,
            by_pid=self._by_pid,
            feed=self.feed,
            fault=self._fault,
        )
        self._errands = Errands(
            kernel, commands, events, feed=self.feed, over=self._deaths.look_for_survivors
        )
        self._queue: deque[tuple[Service, Event]] = deque()
        self._feeding = False
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
        found = {name: self.services[name] for name in ordered}
        self.services.clear()
        self.services.update(found)
        self.dependencies.rebuild()

    def drop(self, service: Service) -> None:
        """Forget a service that is down and no longer in the plan."""
        assert not is_active(service.process)
        service.disarm_all()
        self._prober.forget(service.name)
        self.kernel.forget(service.name)
        self._logs.forget(service.name)
        self.services.pop(service.name, None)
        self.dependencies.relink(service.process.spec, None)
        self._start_released(service.name)

    def replace_spec(self, service: Service, spec: ServiceSpec) -> None:
        """Let *spec* describe the service from its next decision on."""
        if spec.depends_on != service.process.spec.depends_on:
            self.dependencies.relink(service.process.spec, spec)
        service.process = service.process.replace(spec=spec)
        self.kernel.forget(service.name)

    def names(self) -> list[str]:
        """Return the services in file order."""
        return list(self.services)

    def view(self, name: str) -> ServiceView:
        """Return how *name* fares; raises KeyError when there is no such service."""
        process = self.services[name].process
        stalled = self._logs.is_stalled(name)
        return explain.view(process, self.blockers(name), self.loop.now(), stalled=stalled)

    def explain(self, name: str) -> Explanation:
        """Return why *name* is as it is; raises KeyError when there is no such service."""
        process = self.services[name].process
        probe = self._prober.last_failure(name)
        stalled = self._logs.is_stalled(name)
        now = self.loop.now()
        return explain.explain(process, self.blockers(name), now, probe, stalled=stalled)

    def blockers(self, name: str) -> list[Blocker]:
        """Return what keeps *name* from starting; empty when it is up or may start."""
        process = self.services[name].process
        if process.state is not ProcessState.STOPPED or process.desired is Desired.DOWN:
            return []
        return self.dependencies.blockers(process)

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
        for name in self.dependencies.in_start_order(asked):
            process = self.services[name].process
            done = process.state is ProcessState.EXITED
            leaving = process.state is ProcessState.STOPPING and process.desired is Desired.DOWN
            if name in wanted or leaving or not (done or is_active(process)):
                self.want(name)

    def start_waiting(self) -> None:
        """Start all that wait and need not any longer: their plan has changed."""
        for service in tuple(self.services.values()):
            if self.dependencies.may_start(service.process):
                self.feed(service, StartRequested())

    def want(self, name: str) -> None:
        """Start *name* as soon as its dependencies allow it."""
        service = self.services[name]
        process = service.process
        if self.closing or service.removed:
            return
        if process.state is ProcessState.STOPPING and process.desired is Desired.DOWN:
            service.start_again = True  # what it depends on may be on its way down as well
            return
        blockers = [] if is_active(process) else self.dependencies.blockers(process)
        if not blockers:
            self.feed(service, StartRequested())
            return
        self.feed(service, Wanted())
        waiting = process.replace(state=ProcessState.STOPPED, desired=Desired.UP)
        message = explain.detail(waiting, blockers, self.loop.now())
        self._announce(service, "service.waiting", message=message)

    def stop(self, name: str, timeout: float | None = None) -> None:
        """Want *name* down; SIGKILL after *timeout* seconds instead of its own grace."""
        service = self.services[name]
        service.start_again = False
        self.feed(service, StopRequested(timeout))

    def restart(self, name: str, timeout: float | None = None) -> None:
        """Replace the process of *name*, and of those that depend on it with `restart: true`."""
        service = self.services[name]
        if self.closing:
            return
        if not is_active(service.process):
            self.start(name)
        elif service.process.spec.depends_on or service.process.state is ProcessState.STOPPING:
            # What it depends on may be restarted as well, or its plan may have changed.
            self.stop_and_start(service, timeout)
        else:
            self.feed(service, RestartRequested(timeout))
        self.restart_dependents(name, timeout)

    def restart_dependents(self, name: str, timeout: float | None = None) -> None:
        """Replace those that depend on *name* with `restart: true`, once *name* is on its way."""
        for dependent in self.dependencies.restarted_with(name):
            self.stop_and_start(self.services[dependent], timeout)

    def stop_and_start(self, service: Service, timeout: float | None = None) -> None:
        """Stop it, then start it as soon as its dependencies allow it."""
        service.start_again = not (self.closing or service.removed)
        self.feed(service, StopRequested(timeout))

    def close(self) -> None:
        """Start nothing any more, whoever asks or whatever ends; what runs goes on."""
        self.closing = True
        for service in tuple(self.services.values()):
            service.start_again = False
            self.feed(service, ShutdownBegan())

    def reload(self, name: str) -> str | None:
        """Have *name* re-read its configuration; returns what was done, None if it has no way."""
        return self._errands.reload(self.services[name])

    def signal(self, name: str, number: int) -> bool:
        """Send *number* to the main process of *name*; False when it has none."""
        pid = self.services[name].pid
        return pid is not None and self.kernel.kill(pid, number)

    def cut_commands_short(self) -> None:
        """Send the stop signal to those whose stop command still runs."""
        for service in tuple(self.services.values()):
            self._errands.cut_short(service)

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

    def reap(self) -> None:
        """Take in every child that has ended."""
        self._deaths.reap()

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
        if self.closing and isinstance(event, _STARTS):
            return
        try:
            after, effects = lifecycle.on_event(before, event, self.loop.now(), _jitter())
            service.process = after
            self._carry_out_all(service, effects)
            if after is not before:
                self._changed(service, before)
        except Exception as error:  # noqa: BLE001 - a barrier: it costs this service
            self._fault(service, error)

    def _carry_out_all(self, service: Service, effects: list[Effect]) -> None:
        """Act first and talk afterwards: a successor is executed before the log line is written."""
        try:
            for effect in effects:
                if not isinstance(effect, Announce):
                    self._carry_out(service, effect)
        finally:
            for effect in effects:
                if isinstance(effect, Announce):
                    self.events.announce(effect.announcement)

    def _fault(self, service: Service | None, error: Exception) -> None:
        self.events.announce(fault(service.name if service else "reaper", error))
        if service is not None:
            try:
                self._give_up(service)
            except Exception as second:  # noqa: BLE001 - a barrier: the others must go on
                self.events.announce(fault(service.name, second))

    def _carry_out(self, service: Service, effect: Effect) -> None:
        match effect:
            case Spawn():
                self._launcher.launch(service)
            case SendSignal(number, scope):
                self._send_signal(service, number, scope)
            case ArmTimer(deadline, delay):
                self._arm(service, deadline, delay)
            case DisarmTimer(deadline):
                service.disarm(deadline)
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
                self._errands.stop(service)

    def _send_signal(self, service: Service, number: int, scope: Scope) -> None:
        if number == lifecycle.SIGKILL:
            self._errands.call_off(service)
        if scope is Scope.ALL:
            self._survivors.signal_all(service, number)
        elif service.pid is not None:
            self.kernel.kill(service.pid, number)

    def _arm(self, service: Service, deadline: Deadline, delay: float) -> None:
        service.disarm(deadline)

        def reached() -> None:
            service.timers.pop(deadline, None)
            if deadline is Deadline.STOP:
                # Where orphans are not ours to adopt they end unseen: look before killing.
                self._deaths.look_for_survivors(service)
            if deadline is Deadline.STOP and self._errands.cut_short(service):
                # The command has had its time; nobody is killed without the signal before.
                if service.process.state is ProcessState.STOPPING:
                    self._arm(service, deadline, last_call(service.process.spec.stop_grace_period))
                return
            self.feed(service, DeadlineReached(deadline))

        service.timers[deadline] = self.loop.call_later(delay, reached, service)

    # -- what follows a change

    def _changed(self, service: Service, before: Process) -> None:
        after = service.process
        if before.state is ProcessState.STOPPING and after.state is not ProcessState.STOPPING:
            self._errands.call_off(service)
        if is_active(after):
            self.active.add(service.name)
        else:
            self.active.discard(service.name)
            self._after_stop(service)
        self._start_released(service.name)
        for listener in tuple(self._on_change):
            try:
                listener(service, before)
            except Exception as error:  # noqa: BLE001 - a barrier: it is not the service's fault
                self.events.announce(fault("supervise", error))

    def _start_released(self, name: str) -> None:
        for each in tuple(self.dependencies.released_by(name)):
            self.feed(self.services[each], StartRequested())

    def _after_stop(self, service: Service) -> None:
        if service.next_spec is not None:
            self.replace_spec(service, service.next_spec)
            service.next_spec = None
        if service.start_again and service.process.desired is Desired.DOWN:
            service.start_again = False
            if service.pid is None:  # else it survives SIGKILL: no second one beside it
                self.want(service.name)

    def _give_up(self, service: Service) -> None:
        """Something of ours failed for this service: kill it and call it failed."""
        before = service.process
        service.process, effects = lifecycle.on_event(before, InternalFault(), self.loop.now())
        self.active.discard(service.name)
        service.disarm_all()
        self._launcher.forget_verdict(service)
        if service.pid is not None:
            self.kernel.kill_group(service.pid, lifecycle.SIGKILL)
            self.kernel.kill(service.pid, lifecycle.SIGKILL)  # forked, but not yet a group leader
        service.pid = None
        self._carry_out_all(service, effects)
        try:
            self._prober.forget(service.name)
            self._survivors.signal_all(service, lifecycle.SIGKILL)
        finally:
            self._changed(service, before)

    def _announce(self, service: Service, name: str, **fields: object) -> None:
        self.events.announce(Announcement(name, {"service": service.name, **fields}))


_STARTS = (StartRequested, RestartRequested, Wanted)


def _jitter() -> float:
    """Return an unpredictable number between -1 and 1; `random` would cost 10 ms to import."""
    return int.from_bytes(os.urandom(2), "little") / 32767.5 - 1.0
