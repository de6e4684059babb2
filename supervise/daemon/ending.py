"""The end of the container: the exit policy, the order of the stop, the sweep, the exit code.

Everything happens under one deadline.  Services stop in reverse dependency order, in parallel
where nothing orders them; then whatever else there is, which only PID 1 sees, gets the stop
signal too; SIGKILL comes last.  `supervise.model.shutdown` decides, this carries out.
"""

from __future__ import annotations

from supervise.daemon.service_entry import Service
from supervise.model import ordering
from supervise.model.announcement import Announcement
from supervise.model.process import (
    Process,
    ProcessState,
    has_ended_for_good,
    is_active,
)
from supervise.model.shutdown import Ending, Phase, decide, last_call
from supervise.model.signals import SIGNALS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from supervise.daemon.supervisor import Supervisor

SIGTERM, SIGKILL, SIGCONT = SIGNALS["SIGTERM"], SIGNALS["SIGKILL"], SIGNALS["SIGCONT"]

# After the second stop signal: time to act on a stop signal that was only just sent.
HURRIED_GRACE = 0.25  # seconds
# How long SIGKILL may take; a process in uninterruptible sleep does not end (proc(5), state D).
KILL_PATIENCE = 2.0  # seconds


class Shutdown:
    """Decides that the container ends, and takes it down.

    *main* names the main command, if there is one.  When all is over, `Loop.stop` is called and
    `exit_code` is final.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        *,
        main: str | None,
        remap: dict[int, int],
        hang_up: Callable[[], None] | None = None,
        before_sweep: Callable[[], None] | None = None,
    ) -> None:
        self.phase = Phase.RUNNING
        self.reason = ""
        self._supervisor = supervisor
        self._loop = supervisor.loop
        self._kernel = supervisor.kernel
        self._main = main
        self._remap = remap
        self._before_sweep = before_sweep  # ends our own helpers
        self._hang_up = hang_up  # tells an interactive main command that its terminal goes
        self._ending = Ending()
        self._deadline: float | None = None
        self._asked: set[str] = set()
        self._stop_signals = 0
        self._swept: list[str] = []  # who was there besides the services, "name (pid)"
        self._killed: list[str] | None = None  # and who of them ignored the stop signal
        supervisor.on_change(self._service_changed)

    @property
    def exit_code(self) -> int:
        """Return the container's exit code as things stand."""
        return self._ending.exit_code(tuple(self._remap.items()))

    @property
    def deadline(self) -> float | None:
        """Return when everything must be over, in the loop's seconds; None before the start."""
        return self._deadline

    # -- why it ends

    def _service_changed(self, service: Service, before: Process) -> None:
        process = service.process
        if has_ended_for_good(process) and process.state is not before.state:
            self._ending = self._ending.with_end(process, is_main=service.name == self._main)
            if self.phase is Phase.RUNNING:
                self._consider(process)
        elif service.name == self._main and not is_active(process) and process.last_exit:
            self._ending = self._ending.with_end(process, is_main=True)
        if self.phase is Phase.STOPPING and not is_active(process):
            self._advance(process)

    def _consider(self, ended: Process) -> None:
        if ended.spec.name == self._main:
            self.begin("the main command has ended")
            return
        policy = self._supervisor.plan.exit_policy
        reason = decide(policy, ended, may_run=self._supervisor.dependencies.may_anything_run())
        if reason is None:
            return
        if reason.startswith("nothing"):
            # With a main command the container lasts as long as that does.  Without, look again
            # once all that goes on has been said: more may be about to be started.
            self._loop.call_soon(self.consider_idle)
        else:
            self.begin(reason)

    def consider_idle(self) -> None:
        """End the container when nothing runs and nothing will by itself."""
        if (
            self.phase is Phase.RUNNING
            and self._main is None
            and not self._supervisor.dependencies.may_anything_run()
        ):
            policy = self._supervisor.plan.exit_policy.value
            if policy != "never":
                self.begin("nothing is left to run")

    def stop_signal(self, name: str) -> None:
        """Take a signal that asks for the end: gentle first, then hurried, then at once."""
        self._stop_signals += 1
        if self.phase is Phase.RUNNING:
            self.begin(f"received {name}")
        elif self._stop_signals == 2:
            self._hurried(name, "the rest of the grace is skipped")
            self._deadline = self._loop.now() + HURRIED_GRACE
            self._last_call(HURRIED_GRACE)
            self._arm(HURRIED_GRACE, self._time_is_up)
        elif self._stop_signals > 2:
            self._hurried(name, "everything is killed")
            self._time_is_up()

    def begin(self, reason: str, exit_code: int | None = None) -> None:
        """Start the shutdown; later calls may only set the exit code."""
        if exit_code is not None:
            self._ending = self._ending.replace(requested_code=exit_code)
        if self.phase is not Phase.RUNNING:
            return
        self.phase = Phase.STOPPING
        self.reason = reason
        grace = self._supervisor.plan.grace
        self._announce("supervise.stopping", reason=reason, grace=grace)
        self._deadline = self._loop.now() + grace
        early = last_call(grace)
        self._arm(grace - early, lambda: self._last_call(early))
        self._arm(grace, self._time_is_up)
        self._stop_services()

    # -- services, in reverse dependency order

    def _stop_services(self) -> None:
        self._supervisor.close()
        self._ask_stoppable(self._supervisor.names())
        if self.phase is Phase.STOPPING and not self._supervisor.active:
            self._sweep()

    def _advance(self, ended: Process) -> None:
        """Go on after *ended*: what it depended on may be next."""
        if not self._supervisor.active:
            self._sweep()
        elif ended.spec.name == self._main:
            self._ask_stoppable(self._supervisor.names())
        else:
            self._ask_stoppable(ended.spec.depends_on)

    def _ask_stoppable(self, names: Iterable[str]) -> None:
        active = self._supervisor.active
        if self._main is not None and self._main in active:
            # It uses the services, whatever they are: it goes before all of them.
            candidates = [] if self._main in self._asked else [self._main]
        else:
            candidates = [n for n in names if n in active and n not in self._asked]
        dependents = self._supervisor.dependencies.dependents
        for name in ordering.stoppable(candidates, dependents, active):
            self._ask(name, self._left())

    def _ask(self, name: str, grace: float) -> None:
        self._asked.add(name)
        process = self._supervisor.services[name].process
        if process.state is ProcessState.STOPPING:
            self._supervisor.stop(name)
        else:
            self._supervisor.stop(name, min(grace, process.spec.stop_grace_period))
        if name == self._main and self._hang_up is not None:
            self._hang_up()

    def _last_call(self, grace: float) -> None:
        """Ask whoever has not been asked, by signal: order no longer counts."""
        if self.phase is Phase.STOPPING:
            for name in self._supervisor.active - self._asked:
                self._ask(name, grace)
            self._supervisor.cut_commands_short()

    def _time_is_up(self) -> None:
        if self.phase is Phase.STOPPING:
            self._arm(KILL_PATIENCE + HURRIED_GRACE, self._overdue)
            self._last_call(0.0)
            self._supervisor.hurry()
        elif self.phase is Phase.SWEEPING:
            self._kill_the_rest()

    def _overdue(self) -> None:
        """Go on without whoever is still there, and whatever fault has kept us waiting."""
        if self.phase is Phase.STOPPING:
            self._sweep()

    # -- whatever else there is

    def _sweep(self) -> None:
        self.phase = Phase.SWEEPING
        if self._before_sweep is not None:
            self._before_sweep()
        self._supervisor.reap()  # what has ended already is no one to sweep
        if not self._kernel.has_children():
            self._finish()
            return
        self._swept = self._kernel.children()
        self._kernel.kill_everyone(SIGTERM)
        self._kernel.kill_everyone(SIGCONT)
        self._arm(max(self._left(), HURRIED_GRACE), self._kill_the_rest)

    def children_ended(self) -> None:
        """Look again after each SIGCHLD: the sweep ends with the last child."""
        if self.phase is Phase.SWEEPING and not self._kernel.has_children():
            self._finish()

    def _kill_the_rest(self) -> None:
        if self.phase is Phase.SWEEPING and self._killed is None:
            self._killed = self._kernel.children()
            self._kernel.kill_everyone(SIGKILL)
            self._arm(KILL_PATIENCE, self._finish)

    def _finish(self) -> None:
        if self.phase is Phase.GONE:
            return
        self.phase = Phase.GONE
        if self._swept:
            self._announce("supervise.swept", processes=self._swept, killed=self._killed or [])
        self._announce("supervise.exiting", code=self.exit_code, reason=self.reason)
        self._loop.stop()

    # -- helpers

    def _left(self) -> float:
        assert self._deadline is not None
        return max(0.0, self._deadline - self._loop.now())

    def _arm(self, delay: float, callback: Callable[[], None]) -> None:
        self._loop.call_later(max(0.0, delay), callback)

    def _hurried(self, signal: str, message: str) -> None:
        self._announce("supervise.hurried", signal=signal, message=message)

    def _announce(self, name: str, **fields: object) -> None:
        self._supervisor.events.announce(Announcement(name, fields))
