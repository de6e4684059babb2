"""Streaming replies that a slow reader can neither stall nor grow: status, events, logs.

Each holds at most a bounded queue and sends from it only when the client has taken all before;
what does not fit is counted and the count is sent in the next reply.
"""

from __future__ import annotations

from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from supervise.daemon.control.connection import ControlRequest
    from supervise.daemon.control.contract import Operations
    from supervise.daemon.loop import Loop, Timer
    from supervise.model.announcement import Announcement
    from supervise.model.view import ServiceView
    from supervise.wire.lines import LogRecord

MAX_QUEUED = 256 * 1024  # bytes, as `size` reckons them
BATCH = 64 * 1024  # bytes in one reply
OVERHEAD = 100  # bytes an entry costs beside its text
SNAPSHOT_PAUSE = 0.1  # seconds between two snapshots of the status


class Queue:
    """Sends entries in batches: first a backlog, then what `put` adds."""

    def __init__(
        self, loop: Loop, request: ControlRequest, key: str, backlog: Iterable[tuple[int, Any]]
    ) -> None:
        self._loop = loop
        self._request = request
        self._key = key  # the parameter of the reply that holds the entries
        self._entries: deque[tuple[int, Any]] = deque(backlog)  # (size, JSON values or maker)
        self._size = 0  # of what `put` added; the backlog was there at once and only shrinks
        self._backlog = len(self._entries)
        self._dropped = 0
        self._follows = False
        self._scheduled = False

    def begin(self, *, follow: bool, dropped: int = 0) -> None:
        """Start to send; without *follow* the last batch ends the call."""
        self._follows = follow
        self._dropped = dropped
        self._request.on_room = self._pump
        self._pump()

    def put(self, size: int, entry: Callable[[], dict[str, Any]]) -> None:
        """Queue an entry, or count it as dropped; called from deep inside, never raises."""
        if self._size + size > MAX_QUEUED:
            self._dropped += 1
            return
        self._size += size
        self._entries.append((size, entry))
        if not self._scheduled and self._request.has_room:
            self._scheduled = True
            self._loop.call_soon(self._pump, self._request.owner)

    def _pump(self) -> None:
        """Send one batch; the next one has its own turn, or waits for room."""
        self._scheduled = False
        if not self._request.has_room:
            return
        batch, dropped = self._take_batch(), self._dropped
        if not self._follows and not self._entries:
            self._request.reply(**{self._key: batch, "dropped": dropped})
            return
        if batch or dropped:
            self._dropped = 0
            self._request.stream(**{self._key: batch, "dropped": dropped})
        if self._entries and self._request.has_room:
            self._scheduled = True
            self._loop.call_soon(self._pump, self._request.owner)

    def _take_batch(self) -> list[dict[str, Any]]:
        batch, size = [], 0
        while self._entries and size < BATCH:
            entry_size, entry = self._entries.popleft()
            size += entry_size
            if self._backlog:
                self._backlog -= 1
            else:
                self._size -= entry_size
            batch.append(entry())
        return batch


class Snapshots:
    """Sends the status again whenever something changed, at most once a `SNAPSHOT_PAUSE`."""

    def __init__(self, loop: Loop, request: ControlRequest, take: Callable[[], list[Any]]) -> None:
        self._loop = loop
        self._request = request
        self._take = take
        self._changed = False
        self._timer: Timer | None = None

    def begin(self, supervisor: Operations) -> None:
        """Send the first snapshot and listen for changes."""
        self._request.when_over(supervisor.subscribe(self._hear))
        self._request.when_over(self._cancel)
        self._request.on_room = self._pump
        self._changed = True
        self._pump()

    def _hear(self, _event: Announcement, _time: float) -> None:
        self._changed = True
        if self._timer is None and self._request.has_room:
            self._timer = self._loop.call_later(0, self._is_due, self._request.owner)

    def _is_due(self) -> None:
        self._timer = None
        self._pump()

    def _pump(self) -> None:
        if self._changed and self._timer is None and self._request.has_room:
            self._changed = False
            self._timer = self._loop.call_later(SNAPSHOT_PAUSE, self._is_due, self._request.owner)
            self._request.stream(services=self._take())

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def plain_service(view: ServiceView) -> dict[str, Any]:
    """Return *view* as the API's Service."""
    return dict(view.items())


def plain_event(event: Announcement, time: float) -> dict[str, Any]:
    """Return *event* as the API's Event."""
    fields = dict(event.fields)
    return {"time": time, "name": event.name, "severity": event.severity, "fields": fields}


def plain_line(record: LogRecord) -> dict[str, Any]:
    """Return *record* as the API's LogEntry."""
    entry: dict[str, Any] = {
        "time": record.time,
        "service": record.service,
        "stream": record.stream,
        "pid": record.pid,
    }
    try:
        entry["message"] = record.message.decode()
    except UnicodeDecodeError:
        entry["message"] = record.message.decode("utf-8", "replace")
        import binascii  # and libz with it, for bytes that are not text

        entry["raw"] = binascii.b2a_base64(record.message, newline=False).decode()
    if record.partial:
        entry["partial"] = True
    return entry
