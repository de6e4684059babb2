"""A new plan for a running supervisor: what changed is touched, nothing else.

Used by SIGHUP and by ``supervisectl apply``.  A configuration with problems changes nothing.
"""

from __future__ import annotations

from supervise.daemon.service_entry import Service
from supervise.model.announcement import Announcement
from supervise.model.difference import compare, needs_new_process
from supervise.model.errors import ConfigError, Problem
from supervise.model.process import (
    Desired,
    Process,
    ProcessState,
    has_ended_for_good,
    is_active,
)
from supervise.model.service import Plan, ServiceSpec
from supervise.model.view import Difference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervise.daemon.supervisor import Supervisor

    Outcome = Difference | ConfigError
    Load = Callable[[Callable[[Plan | ConfigError], None]], None]

_TOO_LATE = Problem("supervise", 0, 0, "", "the container is stopping; nothing was changed")
_FAULT = Problem("supervise", 0, 0, "", "an internal fault; the log has the traceback")


class Reload:
    """Brings a new plan into force.

    *load* reads the configuration and calls back from the loop; *adopted* is called with each
    plan that has come into force, before any service of it starts.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        *,
        load: Load,
        adopted: Callable[[Plan], None],
        main: ServiceSpec | None,
    ) -> None:
        self._supervisor = supervisor
        self._load = load
        self._adopted = adopted
        self._main = main
        self._reading = False  # one reader at a time: a slow old one must not win over a new one
        self._waiting: list[tuple[bool, Callable[[Outcome], None]]] = []
        supervisor.on_change(self._service_changed)

    def apply(self, *, dry_run: bool, done: Callable[[Outcome], None]) -> None:
        """Read the configuration and, unless *dry_run*, bring it into force.

        *done* gets what changed, or the problems.  Once the container ends nothing changes.  While
        it is being read already, it is read once more afterwards.

        Raises:
            OSError: there is no room for the reading process.
        """
        if self._reading:
            self._waiting.append((dry_run, done))
            return
        self._reading = True
        try:
            self._load(lambda found: self._loaded(found, dry_run=dry_run, done=done))
        except BaseException:
            self._reading = False
            raise

    def from_signal(self) -> None:
        """Apply the configuration on SIGHUP; whoever sent it reads the log."""
        if (False, _nobody) in self._waiting:
            return  # what waits will see what is in the files now
        try:
            self.apply(dry_run=False, done=_nobody)
        except OSError as error:
            self._announce("supervise.reload_refused", message=str(error))

    def _loaded(
        self, found: Plan | ConfigError, *, dry_run: bool, done: Callable[[Outcome], None]
    ) -> None:
        self._reading = False
        try:
            if self._supervisor.closing:
                found = ConfigError((_TOO_LATE,))
            elif isinstance(found, Plan) and self._main and self._main.name in found.services:
                found = _name_is_taken(self._main.name)
            if isinstance(found, ConfigError):
                self._refused(found)
                done(found)
                return
            done(self._compare(with_main(found, self._main), dry_run=dry_run))
        except Exception:
            done(ConfigError((_FAULT,)))  # who waits must not wait for ever
            raise
        finally:
            self._read_again()

    def _compare(self, plan: Plan, *, dry_run: bool) -> Difference:
        difference = compare(self._supervisor.plan, plan)
        if not dry_run:
            self._bring_into_force(plan, difference)
        return difference

    def _read_again(self) -> None:
        if not self._waiting:
            return
        dry_run, done = self._waiting.pop(0)
        try:
            self.apply(dry_run=dry_run, done=done)
        except OSError as error:
            refused = ConfigError((Problem("supervise", 0, 0, "", str(error)),))
            self._refused(refused)
            done(refused)
            self._read_again()

    def _refused(self, error: ConfigError) -> None:
        count = len(error.problems)
        more = f" (and {count - 1} more; supervise check shows all)" if count > 1 else ""
        self._announce("supervise.reload_refused", message=f"{error.problems[0]}{more}")

    def _bring_into_force(self, plan: Plan, difference: Difference) -> None:
        supervisor = self._supervisor
        old = supervisor.plan
        supervisor.adopt_plan(plan)
        self._adopted(plan)
        for name in difference.removed:
            self._remove(supervisor.services[name])
        returning = [n for n in difference.added if supervisor.services[n].removed]
        starting = [n for n in difference.added if plan.services[n].autostart]
        for name in difference.changed + tuple(returning):
            service = supervisor.services[name]
            before = old.services.get(name, service.process.spec)
            if self._change(service, before, plan.services[name]):
                starting.append(name)
        supervisor.start_all(starting)
        supervisor.start_waiting()
        if difference.added or difference.removed or difference.changed:
            self._announce(
                "supervise.reloaded",
                added=list(difference.added),
                removed=list(difference.removed),
                changed=list(difference.changed),
            )

    def _change(self, service: Service, old: ServiceSpec, new: ServiceSpec) -> bool:
        """Let *service* become *new*; True when it is down and should be started."""
        supervisor = self._supervisor
        service.removed = False
        if service.next_spec is not None:
            service.next_spec = new
            return False
        if not needs_new_process(old, new):
            supervisor.replace_spec(service, new)
            return False
        process = service.process
        if process.state is ProcessState.STOPPING and process.desired is Desired.DOWN:
            service.next_spec = new  # whether it starts again has been decided
            return False
        if is_active(process):
            service.next_spec = new
            supervisor.stop_and_start(service)
            supervisor.restart_dependents(service.name)
            return False
        # Mending what failed is a reason to try it again; what a person stopped stays down.
        again = has_ended_for_good(process) and new.autostart
        supervisor.replace_spec(service, new)
        return again

    def _remove(self, service: Service) -> None:
        service.removed = True
        if is_active(service.process):
            self._supervisor.stop(service.name)
        else:
            self._supervisor.drop(service)

    def _service_changed(self, service: Service, _before: Process) -> None:
        if service.removed and not is_active(service.process):
            # Not from within the change: the supervisor is still telling others of it.
            self._supervisor.loop.call_soon(lambda: self._drop(service))

    def _drop(self, service: Service) -> None:
        still = self._supervisor.services.get(service.name)
        if still is service and service.removed and not is_active(service.process):
            self._supervisor.drop(service)

    def _announce(self, name: str, **fields: object) -> None:
        self._supervisor.events.announce(Announcement(name, fields))


def _nobody(_outcome: Outcome) -> None:
    """Take the outcome for whoever sent SIGHUP."""


def _name_is_taken(name: str) -> ConfigError:
    what = "the main command has had this name since the start"
    path = f"services.{name}"
    return ConfigError((Problem("supervise", 0, 0, path, what, "give the service another"),))


def with_main(plan: Plan, main: ServiceSpec | None) -> Plan:
    """Return *plan* with the main command in it, as the last service."""
    if main is None:
        return plan
    return plan.replace(services={**plan.services, main.name: main})
