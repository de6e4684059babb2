"""One service's output: its pipes (`PipeSource`), its ring, its sinks, its listeners (`Channel`).

The relay makes them and hands out what they hold; nobody else does.
"""

from __future__ import annotations

import os
import time

from supervise.daemon.logs.ring import Ring
from supervise.daemon.loop import READABLE
from supervise.model.announcement import Announcement
from supervise.model.service import OnStall
from supervise.wire import lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervise.daemon.logs.sinks import Announce, Sink
    from supervise.daemon.loop import Loop
    from supervise.wire.lines import LogRecord, Render

    Listener = Callable[[LogRecord], None]

CHUNK = 64 * 1024  # bytes read from one pipe a turn
# With somebody following, each line becomes an object: read less, so that a turn stays short.
_FOLLOWED_CHUNK = 8 * 1024
# What a pipe can hold by default: all that a dead process can have left in it.
_PIPE_SIZE = 64 * 1024


class LogRoute:
    """One sink of one stream and how lines look there."""

    __slots__ = ("dropped", "render", "sink")

    def __init__(self, sink: Sink, render: Render) -> None:
        self.sink = sink
        self.render = render
        self.dropped = 0  # lines thrown away since this was last said


class Channel:
    """What becomes of one service's lines."""

    __slots__ = (
        "_announce",
        "_listeners",
        "_loop",
        "chunk",
        "name",
        "on_stall",
        "ring",
        "routes",
        "sources",
    )

    def __init__(self, loop: Loop, name: str, announce: Announce) -> None:
        self.name = name
        self.ring = Ring()
        self.sources: list[PipeSource] = []
        self.routes: dict[str, list[LogRoute]] = {"stdout": [], "stderr": []}
        self.on_stall = OnStall.BLOCK
        self.chunk = CHUNK
        self._loop = loop
        self._announce = announce
        self._listeners: list[Listener] = []

    def publish(self, source: PipeSource, block: bytes) -> None:
        """Hand one block (see `supervise.wire.lines`) to the ring, the sinks and the listeners."""
        when = time.time()
        stream, pid = source.stream, source.pid
        self.ring.append(when, stream, pid, block)
        for route in self.routes[stream]:
            sink = route.sink
            if sink.full and self.on_stall is OnStall.DROP:
                self._drop(route, block)
                continue
            rendered = route.render(block, when, stream, pid)
            if sink.holder is not None and sink.holder is not source:
                rendered = b"\n" + rendered  # another's raw line stands there unfinished
            sink.holder = None if rendered.endswith(b"\n") else source
            sink.write(rendered, self.name)
        if self._listeners:
            self._tell(lines.records(block, when, self.name, stream, pid))

    def full_sink(self, stream: str) -> Sink | None:
        """Return the sink that *stream* has to wait for, if this service waits for its sinks."""
        if self.on_stall is OnStall.BLOCK:
            for route in self.routes[stream]:
                if route.sink.full:
                    return route.sink
        return None

    def stalled(self) -> bool:
        """Return whether output waits or is being thrown away."""
        return any(
            source.paused or any(route.dropped for route in self.routes[source.stream])
            for source in self.sources
        )

    @property
    def is_followed(self) -> bool:
        """Return whether anybody listens."""
        return bool(self._listeners)

    def follow(self, listener: Listener) -> Callable[[], None]:
        """Call *listener* with each record until the returned function is called."""
        self._listeners.append(listener)
        self.chunk = _FOLLOWED_CHUNK

        def cancel() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)
            if not self._listeners:
                self.chunk = CHUNK

        return cancel

    def report_dropped(self) -> None:
        """Announce what was thrown away since the last report."""
        dropped = 0
        for route in {id(r): r for rs in self.routes.values() for r in rs}.values():
            dropped += route.dropped
            route.dropped = 0
        if dropped:
            self._announce(Announcement("log.dropped", {"service": self.name, "lines": dropped}))

    def _drop(self, route: LogRoute, block: bytes) -> None:
        if not route.dropped:
            route.sink.when_drained(self.report_dropped, None)
        route.dropped += lines.count_lines(block)

    def _tell(self, records: list[LogRecord]) -> None:
        # From the loop, not from here: a fault of a listener must not cost the service's stream.
        for listener in self._listeners:
            self._loop.call_soon(self._telling(listener, records))

    def _telling(self, listener: Listener, records: list[LogRecord]) -> Callable[[], None]:
        def tell() -> None:
            for record in records:
                if listener in self._listeners:  # it may have cancelled meanwhile
                    listener(record)

        return tell


class PipeSource:
    """The read end of one pipe.  An `Owner`: a fault costs this stream and nothing else."""

    __slots__ = (
        "_channel",
        "_fd",
        "_flush_when_empty",
        "_loop",
        "_splitter",
        "name",
        "paused",
        "pid",
        "stream",
    )

    def __init__(self, loop: Loop, channel: Channel, stream: str, pid: int, owned_fd: int) -> None:
        self.name = f"log of {channel.name}"
        self.stream = stream
        self.pid = pid
        self.paused = False
        self._loop = loop
        self._channel = channel
        self._fd = owned_fd
        self._splitter = lines.LineSplitter()
        self._flush_when_empty = False
        os.set_blocking(owned_fd, False)  # the pipe's two ends have descriptions of their own
        loop.watch(owned_fd, READABLE, self._on_readable, self)

    @property
    def is_open(self) -> bool:
        """Return whether there may be more to read."""
        return self._fd >= 0

    def read(self, size: int) -> int:
        """Relay up to *size* bytes; return how many there were, 0 when there is nothing now."""
        if self._fd < 0:
            return 0
        try:
            data = os.read(self._fd, size)
        except BlockingIOError:
            if self._flush_when_empty:
                self._flush_when_empty = False
                self.flush()
            return 0
        if not data:
            self.flush()
            self.close()
            return 0
        for block in self._splitter.feed(data):
            self._channel.publish(self, block)
        return len(data)

    def drain(self) -> None:
        """Relay what a dead process left in the pipe, up to the size of a pipe.

        Descendants may hold the other end open, so reading goes on afterwards; what is left of
        a line is written as soon as the pipe is empty.
        """
        self._flush_when_empty = True
        left = _PIPE_SIZE
        while left > 0 and self.must_wait_for() is None:
            size = self.read(left)
            if size == 0:
                break
            left -= size

    def must_wait_for(self) -> Sink | None:
        """Return the sink whose reader must catch up before more may be read."""
        return self._channel.full_sink(self.stream)

    def flush(self) -> None:
        """Write the unfinished line."""
        for block in self._splitter.flush():
            self._channel.publish(self, block)

    def close(self) -> None:
        """Close the pipe; a writer that is still there gets EPIPE."""
        if self._fd >= 0:
            self._loop.forget(self._fd)
            os.close(self._fd)
            self._fd = -1
        if self in self._channel.sources:
            self._channel.sources.remove(self)

    def abandon(self) -> None:
        """Read on and throw away: closing the pipe would kill a service for a fault of ours."""
        if self._fd >= 0:
            self._loop.forget(self._fd)
            self._loop.watch(self._fd, READABLE, self._discard)

    def _on_readable(self, _events: int) -> None:
        sink = self.must_wait_for()
        if sink is None:
            self.read(self._channel.chunk)
            return
        # Not `change(fd, 0)`: the hang-up of a writer that is gone would be reported for ever.
        self._loop.forget(self._fd)
        self.paused = True
        sink.when_drained(self._resume, self)

    def _resume(self) -> None:
        if self.paused and self._fd >= 0:
            self._loop.watch(self._fd, READABLE, self._on_readable, self)
        self.paused = False

    def _discard(self, _events: int) -> None:
        if not os.read(self._fd, CHUNK):
            self.close()
