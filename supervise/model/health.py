"""Health of one process: a pure state machine with the meaning docker and compose gave it.

Results in, status and the next delay out.  No clock: callers say how old the process was.  It
neither probes (`supervise.daemon.readiness.probes` does) nor acts on its result (the supervisor
does).
Every process starts afresh: a restart begins again with `Health()`.
"""

from __future__ import annotations

import enum

from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.model.service import HealthCheck


class HealthStatus(enum.Enum):
    """What is known of a process that has a health check."""

    STARTING = "starting"  # no check has succeeded, too few have failed
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class Health(Record):
    """How the checks of one process have gone so far."""

    status: HealthStatus = HealthStatus.STARTING
    failures: int = 0  # in a row, without those that the start period forgave


def first_delay(check: HealthCheck) -> float:
    """Return the seconds from the start of the process to its first check."""
    return next_delay(check, Health(), age=0.0)


def after_result(check: HealthCheck, health: Health, *, ok: bool, age: float) -> Health:
    """Return the health after one check that began when the process was *age* seconds old.

    One success is enough.  A failure that began within `start_period` does not count while the
    process is still starting; one that has been healthy, or was found unhealthy, gets no such
    grace.  `retries` counted failures in a row make it unhealthy.
    """
    if ok:
        return Health(HealthStatus.HEALTHY)
    if health.status is HealthStatus.STARTING and age < check.start_period:
        return health
    failures = health.failures + 1
    if failures >= check.retries:
        return Health(HealthStatus.UNHEALTHY, failures)
    return Health(health.status, failures)


def next_delay(check: HealthCheck, health: Health, *, age: float) -> float:
    """Return the seconds from now, the process being *age* old, to the next check.

    `start_interval` rules while the process is starting within its start period, `interval`
    at all other times.
    """
    if health.status is HealthStatus.STARTING and age < check.start_period:
        return check.start_interval
    return check.interval
