"""The event loop: epoll, a timer heap, a wake-up descriptor for signals, one exception barrier.

It knows nothing of services.  It never polls: with nothing to do it sleeps in epoll_wait(2)
without a timeout.  A callback that raises costs its owner, never the loop.
"""

from __future__ import annotations

import heapq
import os
import select
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Protocol

    class CallbackOwner(Protocol):
        """Whom a callback belongs to: what the barrier gives up when the callback raises."""

        name: str

        def abandon(self) -> None:
            """Release everything; called once after a fault, must not assume a sound state."""


READABLE = select.EPOLLIN
WRITABLE = select.EPOLLOUT
HANGUP = select.EPOLLHUP | select.EPOLLERR

_DAY = 86400.0  # seconds
_EVENTS_A_TURN = 64
_MANY_CANCELLED = 256


class Timer:
    """A callback that waits for its moment; `cancel` is idempotent."""

    __slots__ = ("_loop", "callback", "owner", "when")

    def __init__(
        self, loop: Loop, when: float, callback: Callable[[], None], owner: CallbackOwner | None
    ) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback
        self.owner = owner
        self._loop = loop

    def cancel(self) -> None:
        """Make sure the callback does not run."""
        if self.callback is not None:
            self.callback = None
            self.owner = None
            self._loop.timer_was_cancelled()


class Loop:
    """Runs callbacks for descriptors, deadlines and signals until told to stop.

    *on_fault* is told of every exception a callback let out, with the owner's name.
    """

    def __init__(self, on_fault: Callable[[str, Exception], None]) -> None:
        self._on_fault = on_fault
        self._epoll = select.epoll()
        self._watched: dict[int, tuple[Callable[[int], None], CallbackOwner | None]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._sequence = 0
        self._cancelled = 0
        self._soon: list[tuple[Callable[[], None], CallbackOwner | None]] = []
        self._running = False
        self._pending: list[int] = []
        self._on_signal: Callable[[int], None] | None = None
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._epoll.register(self._wake_read, READABLE)

    # -- time

    def now(self) -> float:
        """Return the monotonic clock in seconds; the wall clock plays no part in any delay."""
        return time.monotonic()

    def call_at(
        self, when: float, callback: Callable[[], None], owner: CallbackOwner | None = None
    ) -> Timer:
        """Run *callback* once at *when*, in seconds of `now`."""
        timer = Timer(self, when, callback, owner)
        self._sequence += 1
        heapq.heappush(self._timers, (when, self._sequence, timer))
        return timer

    def call_later(
        self, delay: float, callback: Callable[[], None], owner: CallbackOwner | None = None
    ) -> Timer:
        """Run *callback* once, *delay* seconds from now."""
        return self.call_at(self.now() + delay, callback, owner)

    def call_soon(self, callback: Callable[[], None], owner: CallbackOwner | None = None) -> None:
        """Run *callback* in this turn's end or the next turn, never from within the caller."""
        self._soon.append((callback, owner))

    def timer_was_cancelled(self) -> None:
        """Count a dead heap entry; the heap is rebuilt when most of it is dead."""
        self._cancelled += 1
        if self._cancelled > _MANY_CANCELLED and self._cancelled * 2 > len(self._timers):
            self._timers = [entry for entry in self._timers if entry[2].callback is not None]
            heapq.heapify(self._timers)
            self._cancelled = 0

    # -- descriptors

    def watch(
        self,
        fd: int,
        events: int,
        callback: Callable[[int], None],
        owner: CallbackOwner | None = None,
    ) -> None:
        """Call *callback* with the event mask whenever *fd* is ready (level-triggered).

        Raises:
            OSError: EPERM when *fd* is a regular file, which is always ready.
        """
        self._epoll.register(fd, events)
        self._watched[fd] = (callback, owner)

    def change(self, fd: int, events: int) -> None:
        """Wait for *events* on *fd* from here on; 0 waits for hang-up and errors alone."""
        self._epoll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """Stop watching *fd*; to be called before it is closed.  Unknown descriptors are fine."""
        if self._watched.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    # -- signals

    def take_signals(self, numbers: list[int], callback: Callable[[int], None]) -> None:
        """Deliver *numbers* to *callback* from the loop from here on.

        The handlers only note the number: Python runs them between two bytecodes, so nothing
        else is safe there.  The wake-up byte ends epoll_wait; it may be lost when the pipe is
        full, the note cannot.
        """
        self._on_signal = callback
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, self.note_signal)

    def note_signal(self, number: int, _frame: FrameType | None = None) -> None:
        """Remember that signal *number* arrived; the next turn hands it on."""
        self._pending.append(number)

    # -- running

    def run(self) -> None:
        """Work until `stop`."""
        self._running = True
        while self._running:
            self.turn()

    def stop(self) -> None:
        """Leave `run` at the end of this turn."""
        self._running = False

    def turn(self) -> None:
        """Wait for something to happen, then do all that is due."""
        watched = self._watched
        polled = self._epoll.poll(self._timeout(), _EVENTS_A_TURN)
        ready = [(fd, events, watched.get(fd)) for fd, events in polled]
        self._deliver_signals()
        self._run_due_timers()
        for fd, events, watch in ready:
            if fd == self._wake_read:
                self._drain_wake_ups()
            # An earlier callback of this turn may have forgotten it, and the number may be another
            # descriptor's by now.
            elif watch is not None and watched.get(fd) is watch:
                callback, owner = watch
                try:
                    callback(events)
                except Exception as error:
                    self._contain(error, owner, fd)
        self._deliver_signals()
        self._run_soon()

    def close(self) -> None:
        """Release the loop's own descriptors."""
        signal.set_wakeup_fd(-1)
        self._epoll.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _timeout(self) -> float | None:
        if self._soon or self._pending or not self._running:
            return 0
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
            self._cancelled -= 1
        if not self._timers:
            return None
        # epoll_wait(2) counts milliseconds in 31 bits; to wake once a day costs nothing.
        return min(max(0.0, self._timers[0][0] - self.now()), _DAY)

    def _drain_wake_ups(self) -> None:
        try:
            while len(os.read(self._wake_read, 4096)) == 4096:
                continue
        except BlockingIOError:
            return

    def _deliver_signals(self) -> None:
        while self._pending:
            number = self._pending.pop(0)
            if self._on_signal is None:
                continue
            try:
                self._on_signal(number)
            except Exception as error:
                self._contain(error, None)

    def _run_due_timers(self) -> None:
        now = self.now()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if timer.callback is None:
                self._cancelled -= 1
                continue
            callback, owner = timer.callback, timer.owner
            timer.callback = None
            try:
                callback()
            except Exception as error:
                self._contain(error, owner)

    def _run_soon(self) -> None:
        batch, self._soon = self._soon, []
        for callback, owner in batch:
            try:
                callback()
            except Exception as error:
                self._contain(error, owner)

    def _contain(
        self, error: Exception, owner: CallbackOwner | None, fd: int | None = None
    ) -> None:
        """The exception barrier: report, then cost the owner and nothing else."""
        self._on_fault(owner.name if owner else "supervise", error)
        if owner is not None:
            try:
                owner.abandon()
            except Exception as second:
                self._on_fault(owner.name, second)
        if fd is not None and fd in self._watched and self._watched[fd][1] is owner:
            # Level-triggered: left in place it would raise again at once, for ever.
            self.forget(fd)
