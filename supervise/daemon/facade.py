"""What clients may ask of PID 1 as a whole: one object over supervisor, reload and shutdown.

`supervise.daemon.control.server` is given this, so that it knows none of them.
"""

from __future__ import annotations

from supervise.daemon.ending import Shutdown
from supervise.daemon.reload import Reload
from supervise.daemon.supervisor import Supervisor
from supervise.model.shutdown import Phase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from supervise.model.announcement import Announcement
    from supervise.model.errors import ConfigError
    from supervise.model.service import Plan
    from supervise.model.view import Difference, Explanation, ServiceView


class Facade:
    """Delegates; see the methods' owners for what they mean."""

    def __init__(self, supervisor: Supervisor, reload: Reload, shutdown: Shutdown) -> None:
        self._supervisor = supervisor
        self._reload = reload
        self._shutdown = shutdown

    @property
    def plan(self) -> Plan:
        """Return the plan in force."""
        return self._supervisor.plan

    @property
    def stopping(self) -> bool:
        """Return whether the shutdown has begun."""
        return self._shutdown.phase is not Phase.RUNNING

    def names(self) -> list[str]:
        """Return every service in file order, the main command last."""
        return self._supervisor.names()

    def view(self, name: str) -> ServiceView:
        """Return how *name* fares; raises KeyError if there is no such service."""
        return self._supervisor.view(name)

    def explain(self, name: str) -> Explanation:
        """Return why *name* is as it is."""
        return self._supervisor.explain(name)

    def pids(self, name: str) -> list[int]:
        """Return the main pid, then its descendants."""
        return self._supervisor.pids(name)

    def start_all(self, names: Sequence[str]) -> None:
        """Want all of *names* up, and what they depend on."""
        self._supervisor.start_all(names)

    def stop(self, name: str, timeout: float | None = None) -> None:
        """Want *name* down."""
        self._supervisor.stop(name, timeout)

    def restart(self, name: str, timeout: float | None = None) -> None:
        """Replace the process of *name*."""
        self._supervisor.restart(name, timeout)

    def reload(self, name: str) -> str | None:
        """Have *name* reload; returns how, None if it has no way to."""
        return self._supervisor.reload(name)

    def signal(self, name: str, number: int) -> bool:
        """Signal the main process; False if there is none."""
        return self._supervisor.signal(name, number)

    def apply(self, *, dry_run: bool, done: Callable[[Difference | ConfigError], None]) -> None:
        """Read the configuration anew and bring it into force."""
        self._reload.apply(dry_run=dry_run, done=done)

    def shutdown(self, reason: str, exit_code: int | None = None) -> None:
        """Begin to stop everything."""
        self._shutdown.begin(reason, exit_code)

    def subscribe(self, listener: Callable[[Announcement, float], None]) -> Callable[[], None]:
        """Tell *listener* every announcement with its wall-clock time; returns the undoing."""
        return self._supervisor.events.subscribe(listener)

    def recent_events(self) -> list[tuple[float, Announcement]]:
        """Return the recent past, oldest first."""
        return self._supervisor.events.recent()
