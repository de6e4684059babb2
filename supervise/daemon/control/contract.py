"""What the control plane needs of the rest of PID 1: the supervisor and the kept log lines."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from supervise.model.announcement import Announcement
    from supervise.model.errors import ConfigError
    from supervise.model.service import Plan
    from supervise.model.view import Difference, Explanation, ServiceView
    from supervise.wire.lines import LogRecord

    class Operations(Protocol):
        """What the control plane needs of the supervisor."""

        @property
        def plan(self) -> Plan:
            """Return the plan in force."""

        @property
        def stopping(self) -> bool:
            """Return whether the shutdown has begun."""

        def names(self) -> list[str]:
            """Return every service in file order, the main command included."""

        def view(self, name: str) -> ServiceView:
            """Return how *name* fares; raises KeyError if there is no such service."""

        def explain(self, name: str) -> Explanation:
            """Return why *name* is not up."""

        def pids(self, name: str) -> list[int]:
            """Return the main pid, then its descendants."""

        def start_all(self, names: Sequence[str]) -> None:
            """Ask for *names* and what they depend on to be up; the result shows in events."""

        def stop(self, name: str, timeout: float | None = None) -> None:
            """Ask for *name* to be down, SIGKILL after *timeout* seconds or its own grace."""

        def restart(self, name: str, timeout: float | None = None) -> None:
            """Ask for *name* to be stopped as `stop` does, then started."""

        def reload(self, name: str) -> str | None:
            """Have *name* reload and return how; None if it has no way to."""

        def signal(self, name: str, number: int) -> bool:
            """Signal the main process; False if there is none."""

        def apply(self, *, dry_run: bool, done: Callable[[Difference | ConfigError], None]) -> None:
            """Read the configuration anew; *done* is called from the loop."""

        def shutdown(self, reason: str, exit_code: int | None = None) -> None:
            """Begin to stop everything."""

        def subscribe(self, listener: Callable[[Announcement, float], None]) -> Callable[[], None]:
            """Tell *listener* every announcement with its wall-clock time; return the undoing."""

        def recent_events(self) -> list[tuple[float, Announcement]]:
            """Return the recent past, oldest first."""

    class LogReader(Protocol):
        """What the control plane needs of the logs."""

        def tail(
            self, services: Sequence[str], lines: int | None, since: float | None
        ) -> Sequence[LogRecord]:
            """Return the last lines, oldest first, merged by time."""

        def follow(
            self, services: Sequence[str], listener: Callable[[LogRecord], None]
        ) -> Callable[[], None]:
            """Tell *listener* every line to come; return the undoing."""
