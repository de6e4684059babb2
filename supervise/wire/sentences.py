"""Announcements as people read them: one sentence an event, and the same as JSON and logfmt.

Pure.  The console writes them under ``supervise |``; clients that stream events may use them too.
"""

from __future__ import annotations

from json import dumps

from supervise.wire.lines import logfmt_value, utc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.model.announcement import Announcement

OURSELVES = "supervise"  # stands where a service's name would

# A part in brackets is left out when one of its fields is missing, None or empty.
_SENTENCES = {
    "supervise.started": "Supervise {version} is up[ as pid {pid}][, configured by {config}]"
    "[ as compiled in {compiled}][, services: {services}]",
    "supervise.notice": "{message}",
    "supervise.fault": "Contained a fault of {owner}: {message}[\n{traceback}]",
    "supervise.reloaded": "Reloaded the configuration[, added: {added}][, removed: {removed}]"
    "[, changed: {changed}]",
    "supervise.reload_refused": "Cannot reload the configuration: {message}",
    "supervise.stopping": "Shutting down[: {reason}][ (grace {grace} s)]",
    "supervise.hurried": "Cut the grace short[ on {signal}][: {message}]",
    "supervise.swept": "Ended processes that belonged to no service[: {processes}]"
    "[; had to kill: {killed}]",
    "supervise.exiting": "Exiting with code {code}[: {reason}]",
    "service.waiting": "Waiting to start {service}[: {message}]",
    "service.starting": "Starting {service}",
    "service.started": "Started {service}[ (pid {pid})]",
    "service.ready": "{service} is ready[ after {after} s]",
    "service.completed": "{service} completed[ (pid {pid})][ after {after} s]",
    "service.exited": "{service}[ (pid {pid})] ended[ after {after} s][: {status}]",
    "service.spawn_failed": "Cannot start {service}: {message}[ (at {stage})]",
    "service.backoff": "Starting {service} again in {delay} s[ (attempt {attempt})]",
    "service.failed": "{service} failed for good[: {reason}]",
    "service.stopping": "Stopping {service}[ (pid {pid})][ with {signal}][: {reason}]",
    "service.killed": "Killed {service}[: it did not end within {grace} s]",
    "service.unkillable": "Cannot kill {service}[ (pid {pid})]: it survived SIGKILL",
    "service.stopped": "Stopped {service}[ ({status})]",
    "service.healthy": "{service} is healthy",
    "service.unhealthy": "{service} is unhealthy[: {message}]",
    "service.status": "{service} says: {message}",
    "service.reloading": "Reloading {service}[ with {how}]",
    "service.reloaded": "Reloaded {service}[: {how}]",
    "service.reload_failed": "Cannot reload {service}: {message}",
    "log.dropped": "Dropped {lines} lines of {service}",
    "log.file_failed": "Cannot write '{file}'[ for {service}]: {message}",
    "log.file_recovered": "Writing '{file}' again[, {lost} lines were lost]",
    "control.listening": "Listening on {socket}",
    "control.refused": "Refused a client[ (uid {uid}, pid {pid})][: {message}]",
}

_FREE_TEXT = frozenset(["supervise.notice"])  # the sentence is the message, made a log line


def sentence(announcement: Announcement) -> str:
    """Return what happened in words; a traceback follows on lines of its own."""
    template = _SENTENCES.get(announcement.name, announcement.name)
    fields = {key: _words(value) for key, value in announcement.fields.items()}
    out = []
    # Brackets do not nest: every second part stands in them.
    for number, part in enumerate(template.replace("]", "[").split("[")):
        if number % 2 == 0 or all(fields.get(name) for name in _names(part)):
            out.append(part.format_map(_Lenient(fields)))
    text = "".join(out).rstrip("\n")
    # A first word that is no word but the name of a file stays as it is.
    is_prose = announcement.name in _FREE_TEXT and text.partition(" ")[0].isalpha()
    return text[:1].upper() + text[1:] if is_prose else text


def render_prefix(announcement: Announcement, prefix: str) -> bytes:
    """Return the event as lines that each start with *prefix*."""
    lines = sentence(announcement).split("\n")
    return "".join([f"{prefix}{line}\n" for line in lines]).encode("utf-8", "backslashreplace")


def render_json(announcement: Announcement, when: float) -> bytes:
    """Return one JSON object: time, service, event, severity, the event's fields, message.

    ``service`` is the service the event is about, and ``supervise`` when it is about none;
    ``message`` is the sentence unless the event has a message of its own.
    """
    values = {
        "time": utc(when),
        "service": OURSELVES,
        "event": announcement.name,
        "severity": announcement.severity,
        "message": sentence(announcement),
        **announcement.fields,
    }
    text = dumps(values, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def render_logfmt(announcement: Announcement, when: float) -> bytes:
    """Return one logfmt line with the keys of `render_json`; lists are joined by commas."""
    pairs = {
        "time": utc(when),
        "service": OURSELVES,
        "event": announcement.name,
        "severity": announcement.severity,
        "message": sentence(announcement),
        **announcement.fields,
    }
    text = " ".join([f"{key}={logfmt_value(_joined(value))}" for key, value in pairs.items()])
    return text.encode("utf-8", "backslashreplace") + b"\n"


class _Lenient(dict[str, str]):
    """Fields by name; one that is missing reads as a question mark."""

    def __missing__(self, key: str) -> str:
        return "?"


def _names(part: str) -> list[str]:
    return [piece.partition("}")[0] for piece in part.split("{")[1:]]


def _words(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(_joined(value))


def _joined(value: object) -> object:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return value
