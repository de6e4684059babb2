"""How slow a server may be: what it sends must come soon, and the head of an answer in time.

A time limit on a socket begins anew with each byte, so a byte now and then holds a client for ever:
in a header, in a chunk's size, in a trailer, in the body.  Used by `runtime.registry.transport`
and, for ADD and contexts that are URLs, by `runtime.builder.sources.remote`.
"""

from __future__ import annotations

import http.client
import math
import socket
import threading
import time

from runtime.model.contexts import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Self

_MOST_LINES = 100  # of status before an answer, or behind it: as many as http.client has headers
_LONGEST_LINE = 1 << 16  # bytes
SLOWEST = 1024  # bytes a second: less is a stall


class Pace:
    """Notices a body of which a byte comes now and then."""

    def __init__(self, stall: float) -> None:
        self._stall = stall
        self._since = time.monotonic()
        self._bytes = 0

    def complaint(self, received: int) -> str:
        """Count the bytes *received*; return what to say when they are too few for too long."""
        self._bytes += received
        now = time.monotonic()
        if now - self._since < self._stall:
            return ""
        if self._bytes < SLOWEST * self._stall:
            return f"it sent {self._bytes} bytes in {self._stall:g} s"
        self._since, self._bytes = now, 0
        return ""


class AnswerDeadline:
    """Calls *cut* when what is between `begin` and `end` lasts more than *seconds*."""

    def __init__(self, seconds: float, cut: Callable[[], object]) -> None:
        self.is_over = False
        self._seconds = seconds
        self._cut = cut
        self._until = math.inf
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="deadline", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def begin(self) -> None:
        """Start the clock."""
        self._until = time.monotonic() + self._seconds

    def end(self) -> None:
        """Stop the time."""
        self._until = math.inf

    def _watch(self) -> None:
        while not self._ended.wait(self._seconds / 4):
            if time.monotonic() > self._until:
                self.is_over = True
                self._cut()
                return


class _Answer(http.client.HTTPResponse):
    """An answer with few 1xx before it and few trailers behind it: `http.client` reads any number.

    A flood is faster than a deadline: megabytes of it are in the socket when that is shut.
    """

    _room = _MOST_LINES

    def _read_status(self) -> Any:
        self._count()
        return super()._read_status()  # type: ignore[misc]  # typeshed has no private names

    def _read_and_discard_trailer(self) -> None:
        while (line := self.fp.readline(_LONGEST_LINE)) not in (b"\r\n", b"\n", b""):
            self._count()
            if len(line) == _LONGEST_LINE:
                raise http.client.LineTooLong("trailer line")

    def _count(self) -> None:
        self._room -= 1
        if self._room < 0:
            raise http.client.HTTPException("more lines than any server has to say")


class Punctual:
    """Before a connection class of `http.client`: the head of an answer comes in time.

    Twice the time limit of the socket, from the first byte to the last, those of 1xx included.
    """

    response_class: Any = _Answer
    sock: Any
    timeout: Any

    def getresponse(self) -> Any:
        """Return the answer, whose head has been read; raises TimeoutError."""
        limit = self.timeout
        if not isinstance(limit, int | float):
            limit = self.sock.gettimeout() or 60.0
        found: Any = None
        with AnswerDeadline(2 * limit, cutter(self.sock)) as deadline:
            deadline.begin()
            try:
                found = super().getresponse()  # type: ignore[misc]  # of the class behind this one
            except Exception:
                if not deadline.is_over:
                    raise
        if deadline.is_over:
            if found is not None:
                found.close()
            raise TimeoutError(f"no whole answer within {2 * limit:g} s")
        return found


def cutter(sock: socket.socket) -> Callable[[], None]:
    """Return what ends all reads of *sock*, from another thread."""

    def cut() -> None:
        with suppress(OSError):  # it is closed already
            sock.shutdown(socket.SHUT_RDWR)

    return cut
