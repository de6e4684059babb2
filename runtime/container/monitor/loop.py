"""The monitor's loop: descriptors and timers, nothing else.

`supervise` has a richer one for PID 1; this one never has more than a dozen descriptors.
"""

from __future__ import annotations

import heapq
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_DAY = 86400.0  # seconds
READ = select.EPOLLIN
WRITE = select.EPOLLOUT
_ENDED = select.EPOLLHUP | select.EPOLLERR


class MonitorTimer:
    """One callback that is due at a time; `cancel` may be called at any time."""

    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Never call back."""
        self.callback = None

    def __lt__(self, other: MonitorTimer) -> bool:
        return self.due < other.due


class MonitorLoop:
    """Waits, and calls back; nothing wakes it while nothing happens."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[int], None]] = {}
        self._timers: list[MonitorTimer] = []
        self._running = True

    def watch(self, fd: int, events: int, callback: Callable[[int], None]) -> None:
        """Call *callback* with READ, WRITE or both whenever *fd* is ready; 0 only waits for its end.

        An end or error of the other side counts as READ.
        """
        if fd in self._callbacks:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._callbacks[fd] = callback

    def unwatch(self, fd: int) -> None:
        """Forget *fd*; call it before closing; one that is not watched is fine."""
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def after(self, delay: float, callback: Callable[[], None]) -> MonitorTimer:
        """Call back once in *delay* seconds."""
        timer = MonitorTimer(time.monotonic() + delay, callback)
        heapq.heappush(self._timers, timer)
        return timer

    def stop(self) -> None:
        """Let `run` return."""
        self._running = False

    def run(self) -> None:
        """Work until `stop`."""
        self._running = True
        while self._running:
            self.once()

    def once(self) -> None:
        """Wait until something happens, and see to it."""
        for fd, events in self._epoll.poll(self._timeout()):
            callback = self._callbacks.get(fd)
            if callback is not None:  # an earlier one of this turn may have let it go
                callback(events & (READ | WRITE) | (READ if events & _ENDED else 0))
        self._fire()

    def close(self) -> None:
        """Give the descriptor back."""
        self._epoll.close()

    def _timeout(self) -> float | None:
        while self._timers and self._timers[0].callback is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return None
        # epoll_wait(2) counts milliseconds in 31 bits; to wake once a day costs nothing.
        return min(max(0.0, self._timers[0].due - time.monotonic()), _DAY)

    def _fire(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0].due <= now:
            callback = heapq.heappop(self._timers).callback
            if callback is not None:
                callback()
