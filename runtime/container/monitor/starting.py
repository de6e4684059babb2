"""A start that is under way: what commands may ask before the container's program runs.

Up to execve(2) the first process is ours and listens to nothing; what an image or a file system
does may hold it up.  The monitor serves its clients meanwhile, and whoever wants the container to
end ends the start.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]

from runtime.container.monitor.loop import READ
from runtime.model.errors import RuntimeFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.container.monitor.loop import MonitorLoop
    from runtime.container.start.launch import Launch

_HEARD = frozenset({2, 15})  # INT, TERM
_ENDING = frozenset({1, 2, 3, 9, 15})  # HUP, INT, QUIT, KILL, TERM


class Start:
    """One start; its monitor owns it until the program runs or the start has failed."""

    def __init__(self, loop: MonitorLoop) -> None:
        self._loop = loop
        self._launch: Launch | None = None
        self._ended_by = 0  # a signal's number
        self._waits = False
        self.signals: list[int] = []  # those that are for the program, once it runs

    def await_window(self) -> None:
        """Let the first client say how large its terminal is, before the program asks."""
        self._waits = not self._ended_by
        while self._waits:
            self._loop.once()

    def wait_no_longer(self) -> None:
        """Let `await_window` return: the size is known, or nobody will say it."""
        self._waits = False

    def run(
        self, launch: Launch, name: str, stdio: tuple[int, int, int], window: tuple[int, int]
    ) -> None:
        """Let *launch* run and the loop work while it waits; raises as `Launch.run`.

        A start that was to end is one that failed, however far it came.
        """
        self._check(name)
        self._launch = launch
        launch.await_word = self._serve
        try:
            launch.run(stdio, window)
        except RuntimeFailure:
            self._check(name)  # then that is the reason
            raise
        try:
            self._check(name)
        except RuntimeFailure:
            launch.undo()
            raise

    def signal(self, number: int) -> None:
        """Keep a signal for the program; one that asks it to end ends the start, at once."""
        if number in _ENDING:
            self.end(number)
        else:
            self.signals.append(number)

    def end(self, number: int) -> None:
        """End the start, as signal *number* ends a program.  Idempotent."""
        self._ended_by = self._ended_by or number
        self._waits = False
        if self._launch is not None:
            self._launch.kill()

    def _check(self, name: str) -> None:
        """Raise RuntimeFailure if the start of container *name* was to end."""
        if self._ended_by:
            raise RuntimeFailure(
                f"cannot start '{name}': it was told to end while it was being started",
                code=128 + self._ended_by,
            )

    def _serve(self, fd: int) -> None:
        """Work until *fd* can be read; the monitor hears what asks itself to end."""
        if self._ended_by:
            assert self._launch is not None
            self._launch.kill()  # the request came before there was a process
        ready: list[int] = []
        self._loop.watch(fd, READ, ready.append)
        # All are blocked, so that a forked child never runs our handlers.
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, _HEARD)
        try:
            while not ready:
                self._loop.once()
        finally:
            _signal.pthread_sigmask(_signal.SIG_BLOCK, _HEARD)
            self._loop.unwatch(fd)
