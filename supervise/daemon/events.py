"""The hub of announcements: backlog, console and subscribers.

Everything PID 1 has to say passes here once.  A subscriber that raises loses its subscription.
"""

from __future__ import annotations

import time
from collections import deque

from supervise.model.announcement import Announcement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Listener = Callable[[Announcement, float], None]

BACKLOG = 1000


class Events:
    """Hands every announcement, with the wall clock's seconds, to all who listen."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._backlog: deque[tuple[float, Announcement]] = deque(maxlen=BACKLOG)

    def announce(self, announcement: Announcement) -> None:
        """Tell all listeners, in the order of their subscription."""
        when = time.time()
        self._backlog.append((when, announcement))
        faults: list[Announcement] = []
        for listener in tuple(self._listeners):
            try:
                listener(announcement, when)
            except Exception as error:  # noqa: BLE001 - a barrier: it costs the listener
                self.unsubscribe(listener)
                faults.append(fault("a listener", error))
        for report in faults:
            self.announce(report)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Add *listener*; returns the function that removes it."""
        self._listeners.append(listener)
        return lambda: self.unsubscribe(listener)

    def unsubscribe(self, listener: Listener) -> None:
        """Remove *listener*; one that is gone already is fine."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def recent(self) -> list[tuple[float, Announcement]]:
        """Return the last announcements with their times, oldest first."""
        return list(self._backlog)


def fault(owner: str, error: BaseException) -> Announcement:
    """Return the announcement of an internal fault, with its traceback."""
    message = f"{type(error).__name__}: {error}"
    return Announcement(
        "supervise.fault", {"owner": owner, "message": message, "traceback": _traceback(error)}
    )


def _traceback(error: BaseException) -> str:
    """Return the places *error* came through, outermost first, and its causes before it.

    The standard module would read source files that may be gone, and costs 300 kB and 9 ms.
    """
    cause = error.__cause__ or error.__context__
    lines = [_traceback(cause), "then, because of it:"] if cause is not None else []
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        lines.append(f"  {code.co_filename}:{step.tb_lineno} in {code.co_qualname}")
        step = step.tb_next
    lines.append(f"{type(error).__name__}: {error}")
    return "\n".join(lines)
