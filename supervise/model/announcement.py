"""What PID 1 says about itself: the stable names of its events.

An announcement is a name from `EVENTS` and JSON values.  It becomes a log line (``supervise |``),
a record of ``supervisectl events`` and, later, hooks.  docs/events.md is generated from here.
"""

from __future__ import annotations

from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# name → (severity, one sentence, fields in the order they are shown)
EVENTS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "supervise.started": (
        "info",
        "PID 1 is up; the first line logged, it says which configuration was read.",
        ("version", "pid", "config", "services", "compiled"),
    ),
    "supervise.notice": (
        "warning",
        "Something this environment does not give; said once, supervise goes on without it.",
        ("message",),
    ),
    "supervise.fault": (
        "error",
        "An internal fault was contained; a bug to report.",
        ("owner", "message", "traceback"),
    ),
    "supervise.reloaded": (
        "info",
        "A new configuration is in force.",
        ("added", "removed", "changed"),
    ),
    "supervise.reload_refused": (
        "error",
        "The new configuration has problems; nothing was changed.",
        ("message",),
    ),
    "supervise.stopping": ("info", "The shutdown has begun.", ("reason", "grace")),
    "supervise.hurried": (
        "warning",
        "A further stop signal cut the grace short.",
        ("signal", "message"),
    ),
    "supervise.swept": (
        "warning",
        "Processes that belonged to no service were still there at the end.",
        ("processes", "killed"),
    ),
    "supervise.exiting": ("info", "PID 1 ends; the container with it.", ("code", "reason")),
    "service.waiting": ("info", "A start waits for its dependencies.", ("service", "message")),
    "service.starting": ("debug", "A process is about to be spawned.", ("service",)),
    "service.started": ("info", "The program has been executed.", ("service", "pid")),
    "service.ready": ("info", "The service is ready for work.", ("service", "after")),
    "service.completed": ("info", "A oneshot has done its work.", ("service", "pid", "after")),
    "service.exited": (
        "warning",
        "The process ended without being asked to.",
        ("service", "pid", "status", "exit_code", "signal", "after"),
    ),
    "service.spawn_failed": (
        "error",
        "The program could not be executed.",
        ("service", "stage", "message"),
    ),
    "service.backoff": (
        "info",
        "It will be started again after a delay.",
        ("service", "delay", "attempt"),
    ),
    "service.failed": ("error", "The service has failed for good.", ("service", "reason")),
    "service.stopping": ("info", "A stop has begun.", ("service", "pid", "signal", "reason")),
    "service.killed": ("warning", "The grace ended; SIGKILL was sent.", ("service", "grace")),
    "service.unkillable": (
        "error",
        "SIGKILL did not end it in time; supervise goes on without it.",
        ("service", "pid"),
    ),
    "service.stopped": ("info", "The service is down.", ("service", "status")),
    "service.healthy": ("info", "The health check succeeds.", ("service",)),
    "service.unhealthy": ("warning", "The health check failed.", ("service", "message")),
    "service.status": ("debug", "The service said how it is (sd_notify).", ("service", "message")),
    "service.reloading": ("info", "The service was asked to reload.", ("service", "how")),
    "service.reloaded": ("info", "Its reload command has succeeded.", ("service", "how")),
    "service.reload_failed": (
        "error",
        "Its reload command has failed; the service goes on.",
        ("service", "message"),
    ),
    "log.dropped": (
        "warning",
        "Lines were thrown away because a log's reader did not keep up.",
        ("service", "lines"),
    ),
    "log.file_failed": (
        "error",
        "A log file cannot be written; lines are lost until it can.",
        ("service", "file", "message"),
    ),
    "log.file_recovered": (
        "info",
        "A log file can be written again.",
        ("service", "file", "lost"),
    ),
    "control.listening": ("debug", "The control socket is open.", ("socket",)),
    "control.refused": ("warning", "A peer was refused.", ("uid", "pid", "message")),
}


class Announcement(Record):
    """One event: *name* is a key of `EVENTS`, *fields* are JSON values."""

    name: str
    fields: Mapping[str, Any]

    @property
    def severity(self) -> str:
        """Return debug, info, warning or error."""
        return EVENTS[self.name][0]
