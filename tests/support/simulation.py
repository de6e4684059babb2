"""PID 1 in virtual time: everything real but the kernel, the clock and the log pipes.

A simulation boots a plan against scripted programs, takes signals and requests as PID 1 does, and
remembers what was announced and when.  With a *relay* the log pipes are real as well.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from supervise.daemon.auxiliary import AuxiliaryCommands
from supervise.daemon.ending import Shutdown
from supervise.daemon.events import Events, fault
from supervise.daemon.facade import Facade
from supervise.daemon.foreground import Foreground
from supervise.daemon.logs.relay import LogRelay
from supervise.daemon.readiness.probes import Prober
from supervise.daemon.reload import Reload, with_main
from supervise.daemon.service_entry import Service
from supervise.daemon.signalling import Signalling
from supervise.daemon.supervisor import Supervisor
from supervise.model.announcement import EVENTS, Announcement
from supervise.model.errors import ConfigError
from supervise.model.process import ProcessState
from supervise.model.service import (
    Backoff,
    Condition,
    Dependency,
    ExitPolicy,
    Plan,
    RestartMode,
    RestartPolicy,
    ServiceSpec,
    ServiceType,
)
from supervise.model.signals import SIGNALS
from tests.support.fake_kernel import FakeKernel, FakeProcess, Program
from tests.support.virtual_loop import VirtualLoop

SIGTERM, SIGKILL, SIGCONT = SIGNALS["SIGTERM"], SIGNALS["SIGKILL"], SIGNALS["SIGCONT"]
NEVER = RestartPolicy(RestartMode.NO)
ON_FAILURE = RestartPolicy(RestartMode.ON_FAILURE)
STEADY = Backoff(jitter=0.0)
AT_ONCE = Backoff(initial=0.0)

Scripts = Mapping[str, Program | Sequence[Program]]


def service(name: str, **fields: Any) -> ServiceSpec:
    """Return a service whose program is the script of its name; its backoff has no jitter."""
    fields.setdefault("command", (name,))
    fields.setdefault("backoff", STEADY)
    return ServiceSpec(name, **fields)


def oneshot(name: str, **fields: Any) -> ServiceSpec:
    """Return a oneshot, not restarted unless *fields* say so: what the loader makes of one."""
    fields.setdefault("restart", NEVER)
    return service(name, type=ServiceType.ONESHOT, **fields)


def after(*names: str, condition: Condition = Condition.STARTED, **how: bool) -> dict[str, Any]:
    """Return a `depends_on` of the same kind for all of *names*."""
    return {name: Dependency(condition, **how) for name in names}


class Recorder:
    """`Logs` that remember: no output goes through a pipe here.

    *faulty* names services for which everything raises.
    """

    def __init__(self) -> None:
        self.drained: list[str] = []
        self.forgotten: list[str] = []
        self.faulty: set[str] = set()
        self.piped: set[str] = set()

    def is_stalled(self, _service: str) -> bool:
        return False

    def wants_pipe(self, spec: ServiceSpec) -> bool:
        return spec.name in self.piped

    def adopt(self, service: str, stream: str, pid: int, owned_fd: int) -> None:
        os.close(owned_fd)
        if service in self.faulty:
            raise RuntimeError(f"no log for {stream} of {service}, pid {pid}")

    def forget(self, service: str) -> None:
        self.forgotten.append(service)

    def drain(self, service: str) -> None:
        self.drained.append(service)
        if service in self.faulty:
            raise RuntimeError(f"no log for {service}")


class Simulation:
    """One life of PID 1.  Times are virtual seconds since its boot."""

    def __init__(
        self,
        scripts: Scripts,
        *services: ServiceSpec,
        grace: float = 8.0,
        exit_policy: ExitPolicy = ExitPolicy.ESSENTIAL,
        main: ServiceSpec | None = None,
        alone: bool = False,
        rewrite: Mapping[int, int] | None = None,
        remap: Mapping[int, int] | None = None,
        group: bool = True,
        terminal: bool = False,
        relay: Callable[[VirtualLoop, Events], LogRelay] | None = None,
    ) -> None:
        self.loop = VirtualLoop(self._fault)
        self.kernel = FakeKernel(self.loop, scripts)
        self.events = Events()
        self.heard: list[tuple[float, Announcement]] = []
        self.events.subscribe(self._hear)
        self.logs = Recorder()
        self.relay = relay(self.loop, self.events) if relay is not None else None
        self.reopened = 0
        self.terminal_is_lost = False
        self.looked = 0  # into the control socket's directory
        self.commands = AuxiliaryCommands(self.loop, self.kernel)
        self.prober = Prober(self.loop, self.commands.run)
        self.supervisor = Supervisor(
            self.loop,
            self.kernel,
            self.relay or self.logs,
            events=self.events,
            commands=self.commands,
            prober=self.prober,
        )
        self.plan = Plan(
            {each.name: each for each in services}, grace=grace, exit_policy=exit_policy
        )
        self.next_plan: Plan | ConfigError = self.plan
        self.adopted: list[Plan] = []
        foreground = self._foreground(main, group, terminal) if main is not None else None
        self.shutdown = Shutdown(
            self.supervisor,
            main=main.name if main else None,
            remap=dict(remap or {}),
            hang_up=foreground.hang_up if foreground else None,
        )
        self.reload = Reload(self.supervisor, load=self._load, adopted=self._adopt, main=main)
        self.facade = Facade(self.supervisor, self.reload, self.shutdown)
        self.signalling = self._signalling(foreground, alone, rewrite or {}, terminal)
        self.loop.deliver_signals_to(self.signalling.receive)
        self._main = main
        self._booted_at = self.loop.now()

    # -- what happens

    def boot(self) -> None:
        """Do as `Init.start` does."""
        plan = with_main(self.plan, self._main)
        self.supervisor.adopt_plan(plan)
        if self.relay is not None:
            self.relay.configure(plan.services)
        self.supervisor.start_all(n for n, spec in plan.services.items() if spec.autostart)
        self.shutdown.consider_idle()

    def run(self, seconds: float) -> None:
        """Let *seconds* pass, or less if the container ends."""
        self.loop.run_for(seconds)

    def until(self, fact: Callable[[], object], within: float = 3600.0) -> None:
        """Let time pass until *fact* is true."""
        self.loop.run_until(fact, within)

    def exit_code(self, within: float = 3600.0) -> int:
        """Let time pass until the container ends; return its exit code."""
        self.until(lambda: self.loop.ended, within)
        return self.shutdown.exit_code

    def signal(self, number: int) -> None:
        """Send a signal to PID 1; it arrives in the next turn."""
        self.loop.note_signal(number)

    def settle(self) -> None:
        """Let everything happen that takes no time."""
        self.run(0.0)
        self.run(0.0)

    def end(self, name: str, status: Any) -> None:
        """Let the main process of *name* end by itself."""
        self.kernel.end(self.kernel.table[self.pid(name)], status)
        self.settle()

    def apply(self, *services: ServiceSpec, dry_run: bool = False, **plan: Any) -> Any:
        """Apply a configuration of *services*; return what came of it."""
        self.next_plan = self.plan.replace(services={s.name: s for s in services}, **plan)
        return self.apply_next(dry_run=dry_run)

    def apply_next(self, *, dry_run: bool = False) -> Any:
        """Apply `next_plan`; return what came of it."""
        outcome: list[Any] = []
        self.facade.apply(dry_run=dry_run, done=outcome.append)
        self.until(lambda: outcome or self.loop.ended)
        return outcome[0]

    # -- what is seen

    @property
    def now(self) -> float:
        return self.loop.now() - self._booted_at

    def service(self, name: str) -> Service:
        return self.supervisor.services[name]

    def state(self, name: str) -> ProcessState:
        return self.service(name).process.state

    def shown(self, name: str) -> str:
        """Return the state a person sees."""
        return self.supervisor.view(name).state

    def pid(self, name: str) -> int:
        pid = self.service(name).pid
        assert pid is not None, f"{name} has no process"
        return pid

    def process(self, name: str) -> FakeProcess:
        """Return the main process of *name*."""
        return self.kernel.table[self.pid(name)]

    def starts(self, name: str) -> list[float]:
        """Return when starts of *name* were tried."""
        found = (when for when, who, _pid in self.kernel.started if who == name)
        return [round(when - self._booted_at, 6) for when in found]

    def order_of_starts(self) -> list[str]:
        return [who for _when, who, _pid in self.kernel.started]

    def received(self, name: str) -> list[tuple[float, int]]:
        """Return (when, signal) of all processes of a service or program, without SIGCONT."""
        return [
            (round(when - self._booted_at, 6), number)
            for when, process, number in self.kernel.signals
            if name in (process.name, process.marker) and number != SIGCONT
        ]

    def told(self, name: str, service: str | None = None) -> list[Mapping[str, Any]]:
        """Return the fields of all announcements of that name, about *service* if given."""
        return [
            announcement.fields
            for _when, announcement in self.heard
            if announcement.name == name and service in (None, announcement.fields.get("service"))
        ]

    def when(self, name: str, service: str | None = None) -> list[float]:
        """Return when announcements of that name were made."""
        return [
            round(when, 6)
            for when, announcement in self.heard
            if announcement.name == name and service in (None, announcement.fields.get("service"))
        ]

    def faults(self) -> list[str]:
        """Return the messages of contained faults."""
        return [str(fields["message"]) for fields in self.told("supervise.fault")]

    def close(self) -> None:
        self.kernel.close()
        self.loop.close()

    # -- inside

    def _foreground(self, main: ServiceSpec, group: bool, terminal: bool) -> Foreground:
        made = Foreground(self.supervisor, self.kernel, main.name, group=group)
        made.has_terminal = terminal
        return made

    def _signalling(
        self, foreground: Foreground | None, alone: bool, rewrite: Mapping[int, int], terminal: bool
    ) -> Signalling:
        return Signalling(
            self.supervisor,
            self.shutdown,
            foreground=foreground,
            alone=alone,
            rewrite=rewrite,
            reload=self.reload.from_signal,
            reopen=self._reopen,
            directory_changed=self._look_into_the_directory,
            has_terminal=terminal,
            terminal_is_lost=lambda: self.terminal_is_lost,
        )

    def _hear(self, announcement: Announcement, _wall_clock: float) -> None:
        _severity, _sentence, fields = EVENTS[announcement.name]
        assert set(announcement.fields) <= set(fields), announcement
        self.heard.append((self.now, announcement))

    def _fault(self, owner: str, error: Exception) -> None:
        if isinstance(error, AssertionError) and not str(error).startswith("injected"):
            raise error
        self.events.announce(fault(owner, error))

    def _adopt(self, plan: Plan) -> None:
        self.adopted.append(plan)
        if self.relay is not None:
            self.relay.configure(plan.services)

    def _load(self, done: Callable[[Plan | ConfigError], None]) -> None:
        self.loop.call_later(0.01, lambda: done(self.next_plan))

    def _reopen(self) -> None:
        self.reopened += 1

    def _look_into_the_directory(self) -> None:
        self.looked += 1


@contextlib.contextmanager
def booted(scripts: Scripts, *services: ServiceSpec, **how: Any) -> Iterator[Simulation]:
    """Yield a simulation that has booted; no fault of ours may have been contained at the end,
    unless the test has looked at `faults_expected`.
    """
    simulation = Simulation(scripts, *services, **how)
    try:
        simulation.boot()
        yield simulation
        assert simulation.faults() == []
    finally:
        simulation.close()


@contextlib.contextmanager
def booted_with_faults(
    scripts: Scripts,
    *services: ServiceSpec,
    break_it: Callable[[Simulation], None],
    **how: Any,
) -> Iterator[Simulation]:
    """Yield a simulation that was broken by *break_it* before its boot."""
    simulation = Simulation(scripts, *services, **how)
    try:
        break_it(simulation)
        simulation.boot()
        yield simulation
    finally:
        simulation.close()
