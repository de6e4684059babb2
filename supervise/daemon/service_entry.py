"""What PID 1 holds for one service beside its pure Process: timers, descriptors, survivors."""

from __future__ import annotations

from supervise.model.process import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervise.daemon.kernel import StartedChild
    from supervise.daemon.loop import Timer
    from supervise.model.process import Deadline
    from supervise.model.service import ServiceSpec


class Service:
    """A service and everything the daemon must give back for it.

    It is the `Owner` of its callbacks: a fault in one of them costs this service alone.
    """

    __slots__ = (
        "_on_abandon",
        "cancel_command",
        "name",
        "next_spec",
        "pid",
        "process",
        "removed",
        "start_again",
        "started",
        "strays",
        "timers",
    )

    def __init__(self, process: Process, on_abandon: Callable[[Service], None]) -> None:
        self.name = process.spec.name
        self.process = process
        self.pid: int | None = None  # of the child, also before its exec is confirmed
        self.started: StartedChild | None = None  # a start that is not confirmed yet
        self.timers: dict[Deadline, Timer] = {}
        # (pid, start time) of descendants that were told to end: they are waited for
        self.strays: set[tuple[int, int]] = set()
        self.cancel_command: Callable[[], None] | None = None
        self.next_spec: ServiceSpec | None = None  # takes effect once it is down
        self.removed = False  # goes once it is down
        self.start_again = False  # once it is down and its dependencies allow it
        self._on_abandon = on_abandon

    def abandon(self) -> None:
        """Give the service up after a fault in one of its callbacks."""
        self._on_abandon(self)

    def disarm(self, deadline: Deadline) -> None:
        """Cancel the timer, if there is one."""
        timer = self.timers.pop(deadline, None)
        if timer is not None:
            timer.cancel()

    def disarm_all(self) -> None:
        """Cancel every timer."""
        for deadline in tuple(self.timers):
            self.disarm(deadline)
