"""Runs `compress`, one file at a time, in a child that PID 1 does not wait for.

The child tells its end by a pipe, so it does not matter who reaps it, or when.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

from supervise.daemon.logs import compress
from supervise.daemon.loop import READABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervise.daemon.loop import Loop, Timer

    # Told how it ended: an empty text, or why it failed.
    Done = Callable[[str], None]


# A gibibyte takes half a minute; what takes this long keeps others waiting.
PATIENCE = 600.0  # seconds


class Compressor:
    """One child at a time; what else there is to do queues up as *jobs* that may come to nothing.

    An `Owner` of its result pipe.
    """

    name = "log compression"

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._jobs: list[Callable[[], bool]] = []
        self._pid = 0
        self._result_fd = -1
        self._done: Done | None = None
        self._said = b""
        self._timer: Timer | None = None

    @property
    def pids(self) -> frozenset[int]:
        """Return the children that are ours, for whoever reaps."""
        return frozenset([self._pid] if self._pid else [])

    def enqueue(self, job: Callable[[], bool]) -> None:
        """Call *job* when it is its turn; it calls `run` and returns True, or returns False."""
        self._jobs.append(job)
        self._next()

    def run(self, source_fd: int, target_fd: int, done: Done, *, limit: int) -> None:
        """Compress from one descriptor to the other, *limit* bytes at most; both stay the caller's.

        Raises:
            OSError: there is no interpreter to run, or the kernel gives no more processes.
        """
        result_fd, child_fd = os.pipe2(os.O_CLOEXEC)
        python = sys.executable or "python3"
        try:
            os.set_blocking(result_fd, False)
            self._pid = os.posix_spawn(
                python,
                [python, "-I", "-S", compress.__file__, str(limit)],
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, source_fd, 0),
                    (os.POSIX_SPAWN_DUP2, target_fd, 1),
                    (os.POSIX_SPAWN_DUP2, child_fd, 2),
                ],
                setpgroup=0,
                setsigmask=[],
                setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
            )
        except OSError:
            os.close(result_fd)
            raise
        finally:
            os.close(child_fd)
        self._result_fd, self._done, self._said = result_fd, done, b""
        self._loop.watch(result_fd, READABLE, self._on_result, self)
        self._timer = self._loop.call_later(PATIENCE, self._took_too_long, self)

    def stop(self) -> None:
        """Kill the child and forget the queue; its unfinished file is removed at the next start."""
        self._jobs = []
        if self._pid:
            # An end of file here means that it is dead and perhaps reaped: its pid may be another's.
            self._on_result(READABLE)
        self._end("stopped")

    def abandon(self) -> None:
        """Go on without the child that is running."""
        if self._pid:
            self._finish("a fault of supervise")

    def _took_too_long(self) -> None:
        self._on_result(READABLE)
        self._end(f"it took more than {PATIENCE:g} s")

    def _end(self, reason: str) -> None:
        if self._pid:
            with suppress(OSError):  # a sandbox forbids it: then it ends by itself
                os.kill(self._pid, signal.SIGKILL)
            self._finish(reason)

    def _on_result(self, _events: int) -> None:
        try:
            said = os.read(self._result_fd, 4096)
        except BlockingIOError:
            return
        self._said += said
        if not said:
            text = self._said.decode("utf-8", "replace").strip()
            self._finish("" if self._said == compress.DONE else text or "the compressor died")

    def _finish(self, reason: str) -> None:
        self._loop.forget(self._result_fd)
        os.close(self._result_fd)
        self._pid, self._result_fd = 0, -1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        done, self._done = self._done, None
        self._loop.call_soon(self._next)
        if done is not None:
            done(reason)

    def _next(self) -> None:
        while not self._pid and self._jobs:
            self._jobs.pop(0)()
