"""The methods that change nothing: how things are, now or as a stream."""

from __future__ import annotations

import os
import sys

from supervise import __version__
from supervise.daemon.control import selection
from supervise.daemon.control.expectations import Reached
from supervise.daemon.control.operations import Operation
from supervise.daemon.control.selection import RefusalError
from supervise.daemon.control.streams import (
    OVERHEAD,
    Queue,
    Snapshots,
    plain_event,
    plain_line,
    plain_service,
)
from supervise.wire import hints, varlink
from supervise.wire.interface import InvalidParameterError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from supervise.daemon.control.connection import ControlRequest
    from supervise.daemon.control.contract import LogReader, Operations
    from supervise.daemon.control.expectations import Expectation
    from supervise.daemon.loop import Loop
    from supervise.model.announcement import Announcement
    from supervise.model.view import ServiceView
    from supervise.wire.lines import LogRecord


class Queries:
    """Answers from the supervisor and the kept log lines."""

    def __init__(self, loop: Loop, supervisor: Operations, logs: LogReader) -> None:
        self._loop = loop
        self._supervisor = supervisor
        self._logs = logs

    def status(self, request: ControlRequest, *, services: list[str] | None) -> None:
        """Send the views, once or at every change."""
        if services is not None:
            selection.named(self._supervisor, services)

        def take() -> list[dict[str, Any]]:
            names = self._supervisor.names()
            there = set(names)  # apply may have removed some since the call
            wanted = names if services is None else [name for name in services if name in there]
            return [plain_service(self._supervisor.view(name)) for name in wanted]

        if request.more:
            Snapshots(self._loop, request, take).begin(self._supervisor)
        else:
            request.reply(services=take())

    def explain(self, request: ControlRequest, *, service: str) -> None:
        """Say why a service is not up."""
        selection.named(self._supervisor, [service])
        explanation = self._supervisor.explain(service)
        spec = selection.spec(self._supervisor, service)
        origin = spec.origin if spec is not None else None
        request.reply(
            service=plain_service(explanation.view),
            blockers=[dict(blocker.items()) for blocker in explanation.blockers],
            sentences=[
                *explanation.sentences,
                *([hints.sentence(explanation.hints)] if explanation.hints else []),
            ],
            hints=[hints.plain(hint) for hint in explanation.hints],
            origin=dict(origin.items()) if origin is not None else None,
        )

    def processes(self, request: ControlRequest, *, services: list[str] | None) -> None:
        """List the pids of services."""
        names = selection.named(self._supervisor, services)
        groups = [{"service": name, "pids": self._supervisor.pids(name)} for name in names]
        request.reply(services=groups)

    def graph(self, request: ControlRequest) -> None:
        """Show who depends on whom."""
        request.reply(nodes=[self._node(name) for name in self._supervisor.names()])

    def health(self, request: ControlRequest) -> None:
        """Judge everything that should be up."""
        complaints = []
        if self._supervisor.stopping:
            complaints.append({"service": "supervise", "reason": "is shutting down"})
        for name in self._supervisor.names():
            reason = self._complaint(self._supervisor.view(name))
            if reason:
                complaints.append({"service": name, "reason": reason})
        request.reply(healthy=not complaints, complaints=complaints)

    def version(self, request: ControlRequest) -> None:
        """Say which supervise this is."""
        python = ".".join(map(str, sys.version_info[:3]))
        request.reply(version=__version__, python=python, pid=os.getpid())

    def wait(
        self, request: ControlRequest, *, services: list[str], until: str, timeout: float | None
    ) -> None:
        """Answer when the services have come to a milestone."""
        names = selection.named(self._supervisor, services)
        waits: dict[str, Expectation] = {
            name: Reached(name, until, selection.spec(self._supervisor, name)) for name in names
        }
        Operation(self._loop, self._supervisor, request, waits).begin(lambda: None, timeout)

    def logs(
        self,
        request: ControlRequest,
        *,
        services: list[str] | None,
        lines: int | None,
        since: float | None,
        follow: bool | None,
    ) -> None:
        """Send kept lines, and with *follow* what comes."""
        names = selection.named(self._supervisor, services)
        if follow and not request.more:
            raise RefusalError(varlink.EXPECTED_MORE)
        if lines is not None and lines < 0:
            raise InvalidParameterError("lines")
        records = [] if lines == 0 else list(self._logs.tail(names, lines, since))
        if not request.more:
            kept = _newest(records)
            entries = [plain_line(record) for record in kept]
            request.reply(entries=entries, dropped=len(records) - len(kept))
            return
        backlog = [(_size(record), _maker(record)) for record in records]
        queue = Queue(self._loop, request, "entries", backlog)
        if follow:
            self._follow(
                request,
                names if services else None,
                lambda record: queue.put(_size(record), _maker(record)),
            )
        queue.begin(follow=bool(follow))

    def _follow(
        self,
        request: ControlRequest,
        services: list[str] | None,
        listener: Callable[[LogRecord], None],
    ) -> None:
        """Have *listener* told of lines to come; for None also of services to come."""
        if services is not None:
            request.when_over(self._logs.follow(services, listener))
            return
        undo = [self._logs.follow(self._supervisor.names(), listener)]

        def follow_anew() -> None:
            if undo:
                undo.pop()()
                undo.append(self._logs.follow(self._supervisor.names(), listener))

        def hear(event: Announcement, _time: float) -> None:
            if event.name == "supervise.reloaded":
                self._loop.call_soon(follow_anew, request.owner)

        request.when_over(self._supervisor.subscribe(hear))

        def end() -> None:
            undo.pop()()

        request.when_over(end)

    def events(self, request: ControlRequest, *, backlog: bool | None, follow: bool | None) -> None:
        """Send the recent past, and with *follow* what comes."""
        if follow and not request.more:
            raise RefusalError(varlink.EXPECTED_MORE)
        past = self._supervisor.recent_events() if backlog is not False else []
        if not request.more:
            request.reply(events=[plain_event(event, time) for time, event in past], dropped=0)
            return

        def entry(event: Announcement, time: float) -> tuple[int, Callable[[], dict[str, Any]]]:
            size = OVERHEAD + sum(len(str(value)) for value in event.fields.values())
            return size, lambda: plain_event(event, time)

        queue = Queue(self._loop, request, "events", [entry(event, time) for time, event in past])
        if follow:
            hear = self._supervisor.subscribe(lambda event, time: queue.put(*entry(event, time)))
            request.when_over(hear)
        queue.begin(follow=bool(follow))

    def _complaint(self, view: ServiceView) -> str:
        """Return what is wrong with a service, empty if nothing is."""
        spec = selection.spec(self._supervisor, view.name)
        detail = f": {view.detail}" if view.detail else ""
        if view.desired != "up":
            return ""
        if view.state == "running" or (view.state == "exited" and view.type == "oneshot"):
            succeeds = spec.success_exit_codes if spec is not None else (0,)
            if view.state == "exited":
                return "" if view.exit_code in succeeds else f"failed{detail}"
            if spec is not None and spec.ready is not None and not view.ready:
                return f"is not ready{detail}"
            return {"unhealthy": f"is unhealthy{detail}", "starting": "has not been checked"}.get(
                view.health, ""
            )
        if view.type == "oneshot" and view.state == "starting":
            return ""
        return f"is {view.state}{detail}"

    def _node(self, name: str) -> dict[str, Any]:
        view, spec = self._supervisor.view(name), selection.spec(self._supervisor, name)
        needs = spec.depends_on if spec is not None else {}
        return {
            "name": name,
            "type": view.type,
            "state": view.state,
            "autostart": spec.autostart if spec is not None else True,
            "essential": view.essential,
            "start_timeout": spec.start_timeout if spec is not None and spec.ready else None,
            "stop_grace_period": spec.stop_grace_period if spec is not None else 0.0,
            "depends_on": [
                {
                    "service": other,
                    "condition": need.condition.value,
                    "required": need.required,
                    "restart": need.restart,
                }
                for other, need in needs.items()
            ],
        }


def _size(record: LogRecord) -> int:
    return OVERHEAD + len(record.message)


def _maker(record: LogRecord) -> Callable[[], dict[str, Any]]:
    return lambda: plain_line(record)


def _newest(records: list[LogRecord]) -> list[LogRecord]:
    """Return the newest records that fit one message, oldest first."""
    room = varlink.MAX_MESSAGE // 2  # JSON escapes may double them
    for i in range(len(records) - 1, -1, -1):
        room -= _size(records[i])
        if room < 0:
            return records[i + 1 :]
    return records
