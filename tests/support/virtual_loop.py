"""The event loop in virtual time: the real one, but for its clock, which jumps.

Only where the real loop would sleep does this one differ: instead it sets its clock to the next
timer.  Timers, barrier, descriptors and the order of a turn are those of PID 1.
"""

from __future__ import annotations

from collections.abc import Callable

from supervise.daemon.loop import Loop

# A turn that does not move the clock is normal; so many in a row are a spinning loop.
_TURNS_WITHOUT_TIME = 10_000


class StandstillError(AssertionError):
    """Nothing will ever happen again, and the loop has not been told to stop."""


class SpinningError(AssertionError):
    """The loop works without end while no time passes."""


class VirtualLoop(Loop):
    """Runs callbacks at their moments without waiting for them."""

    def __init__(self, on_fault: Callable[[str, Exception], None]) -> None:
        super().__init__(on_fault)
        self.clock = 1000.0  # not 0: nothing may take the start of time for "never"
        self.ended = False
        self._turns = 0

    def now(self) -> float:
        return self.clock

    def deliver_signals_to(self, callback: Callable[[int], None]) -> None:
        """Hand signals that are noted to *callback*, without handlers in this process."""
        self._on_signal = callback

    def stop(self) -> None:
        super().stop()
        self.ended = True

    def run_until(self, fact: Callable[[], object], within: float = 3600.0) -> None:
        """Turn until *fact* is true, at most *within* virtual seconds, or the loop is stopped."""
        limit = self.clock + within
        guard = self.call_at(limit, lambda: None)
        self._running = not self.ended
        while self._running and not fact():
            assert self.clock < limit, f"still not true after {within} virtual seconds"
            self.turn()
        guard.cancel()
        assert fact(), "the loop was stopped before it became true"

    def run_for(self, seconds: float) -> None:
        """Let *seconds* pass, or less if the loop is stopped."""
        reached: list[bool] = []
        self.call_later(seconds, lambda: reached.append(True))
        self.run_until(lambda: reached or self.ended, seconds + 1.0)

    def pending_timers(self) -> int:
        """Return how many timers are armed."""
        return sum(entry[2].callback is not None for entry in self._timers)

    def _timeout(self) -> float | None:
        wait = super()._timeout()
        if wait == 0 or self._epoll.poll(0):
            self._turns += 1
            if self._turns > _TURNS_WITHOUT_TIME:
                raise SpinningError("no time passes")
            return 0
        if wait is None:
            raise StandstillError("nothing is left to happen")
        self._turns = 0
        self.clock = self._timers[0][0]
        return 0
