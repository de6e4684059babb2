"""`logs`: what a container has said, and with ``-f`` what it says."""

from __future__ import annotations

import os
import select
import sys
import time
from collections import deque

from runtime.cli.containers import lookup
from runtime.cli.follower import Follower
from runtime.container.monitor import jsonlog
from runtime.language.commandline import Verb
from runtime.linux import inotify
from runtime.model import timestamp, units
from runtime.model.container import statuses
from runtime.model.errors import RuntimeFailure
from supervise.model import numerals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from runtime.language.commandline import Arguments
    from runtime.store.layout import Layout

LOGS = Verb(
    "logs",
    "CONTAINER",
    "Show what a container has written to its stdout and stderr",
    """
  -f, --follow         Go on until the container ends
      --since string   Only from this time on: 2026-01-02T03:04:05Z, or 10m ago
  -n, --tail string    Only so many lines from the end (default all)
  -t, --timestamps     Show when each line came
      --until string   Only up to this time
""",
    least=1,
    most=1,
)


class LogSelection:
    """Which lines are shown, and how."""

    def __init__(self, words: Arguments) -> None:
        now = time.time()
        self.since = _moment(words, "since", now)
        self.until = _moment(words, "until", now)
        self.timestamps = words.flag("timestamps")
        text = words.text("tail", "all")
        # As docker: what is no number, or is negative, means all.
        self.tail = numerals.whole(text)

    def lets(self, when: str) -> bool:
        """Return whether a line of the time *when* is shown."""
        if self.since is None and self.until is None:
            return True
        try:
            seconds = timestamp.parse(when)
        except ValueError:  # no line of ours
            return False
        after = self.since is None or seconds >= self.since
        return after and (self.until is None or seconds <= self.until)

    def show(self, record: dict[str, Any]) -> None:
        """Write one line to where the container wrote it."""
        text = record["log"].encode("utf-8", "replace")
        if self.timestamps:
            text = f"{_padded(record['time'])} ".encode() + text
        target = sys.stderr if record["stream"] == "stderr" else sys.stdout
        target.buffer.write(text)


def _moment(words: Arguments, option: str, now: float) -> float | None:
    if not words.given(option):
        return None
    try:
        return units.moment(words.text(option), now)
    except ValueError as error:
        raise RuntimeFailure(f"--{option}: {error}", code=1) from None


def _padded(when: str) -> str:
    """Return the time with nine digits after the point, so that lines align."""
    whole, _, fraction = when.removesuffix("Z").partition(".")
    return f"{whole}.{fraction:0<9}Z"


def logs(layout: Layout, words: Arguments) -> int:
    """Show a container's output."""
    wanted = LogSelection(words)
    spec, state = lookup.one(layout, words.operands[0])
    directory = layout.container(spec.id)
    follows = words.flag("follow") and state.status in statuses.ALIVE
    watch_fd = inotify.watch(directory) if follows else -1
    monitor_fd = _pidfd(state.monitor_pid) if follows else -1
    tail = Follower(f"{directory}/{jsonlog.NAME}", _is_line)
    _show_past(tail, wanted)
    if follows:
        _follow(tail, wanted, watch_fd, monitor_fd)
    return 0


def _is_line(record: dict[str, Any]) -> bool:
    """Return whether *record* is a line of a container's log, not of something else."""
    texts = (record.get("log"), record.get("time"), record.get("stream"))
    return all(isinstance(text, str) for text in texts)


def _pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return -1  # it has just ended


def _show_past(tail: Follower, wanted: LogSelection) -> None:
    records: Iterator[dict[str, Any]] = filter(lambda each: wanted.lets(each["time"]), tail.past())
    if wanted.tail is not None:
        records = iter(deque(records, maxlen=wanted.tail))
    for record in records:
        wanted.show(record)
    _flush()


def _follow(tail: Follower, wanted: LogSelection, watch_fd: int, monitor_fd: int) -> None:
    """Show what comes until the monitor ends, or the time for it is over."""
    poll = select.poll()
    poll.register(watch_fd, select.POLLIN)
    if monitor_fd >= 0:
        poll.register(monitor_fd, select.POLLIN)
    over = monitor_fd < 0
    while True:
        for record in tail.more():
            if wanted.lets(record["time"]):
                wanted.show(record)
        _flush()
        if over or (wanted.until is not None and time.time() > wanted.until):
            return
        left = None if wanted.until is None else units.patience(wanted.until - time.time())
        for fd, _ in poll.poll(left):
            over = over or fd == monitor_fd
            if fd == watch_fd:
                inotify.drain(watch_fd)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
