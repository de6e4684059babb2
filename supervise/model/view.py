"""How a service fares, as clients see it: a snapshot, all JSON values."""

from __future__ import annotations

from supervise.model.hint import Hint
from supervise.model.record import Record


class ServiceView(Record):
    """One line of `supervisectl status`.  Times are seconds, ages rather than clock readings."""

    name: str
    type: str  # service | oneshot
    state: str  # stopped starting running backoff stopping exited failed waiting
    desired: str  # up | down
    ready: bool
    health: str  # healthy | unhealthy | starting | "" without a check
    pid: int | None
    uptime: float | None  # seconds since the program was executed, None without a process
    restarts: int  # unrequested starts after the first
    detail: str  # one human sentence: why it is not up, or what it said of itself
    exit_code: int | None  # of the last process, None while one runs; 128+n for a signal
    next_start: float | None  # seconds until the next try in backoff
    essential: bool


class Blocker(Record):
    """Why a start waits: a dependency that has not reached its condition."""

    service: str  # the dependency
    condition: str  # service_started | service_ready | …
    state: str  # the dependency's state
    final: bool  # it will not get there without help: failed, stopped, completed otherwise


class Explanation(Record):
    """The answer to "why is it not up": the view, what blocks it, and sentences in order."""

    view: ServiceView
    blockers: tuple[Blocker, ...]
    sentences: tuple[str, ...]
    hints: tuple[Hint, ...] = ()  # in the order to follow


class Difference(Record):
    """What a new plan changes; names in plan order."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
