"""Carries one call that waits for services: subscribes, judges, answers, and cleans up.

What counts as success is in `supervise.daemon.control.expectations`; nothing here polls.
"""

from __future__ import annotations

from supervise.daemon.control.expectations import Later, ServiceOutcome
from supervise.model.hint import Hint, HintKind
from supervise.wire import api, hints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from supervise.daemon.control.connection import ControlRequest
    from supervise.daemon.control.contract import Operations
    from supervise.daemon.control.expectations import Expectation
    from supervise.daemon.loop import Loop, Timer
    from supervise.model.announcement import Announcement

# After these a service that waits may wait for something that will not come.
_BAD_NEWS = frozenset(
    ("service.exited", "service.failed", "service.spawn_failed", "service.stopped")
)
_ERRORS = {"failed": "OperationFailed", "not_running": "NotRunning", "timed_out": "TimedOut"}


class Operation:
    """One call, from `begin` until its answer is out or its client has gone."""

    def __init__(
        self,
        loop: Loop,
        supervisor: Operations,
        request: ControlRequest,
        expectations: dict[str, Expectation],
    ) -> None:
        self._loop = loop
        self._supervisor = supervisor
        self._request = request
        self._pending = expectations  # keyed by service name, in the order asked for
        self._outcomes: list[ServiceOutcome] = []
        self._dirty: dict[str, None] = dict.fromkeys(expectations)
        self._scheduled = False
        self._timers: dict[str, Timer] = {}
        self._began = loop.now()
        self._timeout = 0.0  # seconds, where there is one

    def begin(self, ask: Callable[[], None], timeout: float | None) -> None:
        """Listen, *ask* the supervisor for what is expected, and judge from the loop."""
        unsubscribe = self._supervisor.subscribe(self._hear)
        self._request.when_over(unsubscribe)
        self._request.when_over(self._cancel_timers)
        ask()
        if timeout is not None:
            self._timeout = timeout
            limit = self._loop.call_later(timeout, self._give_up, self._request.owner)
            self._request.when_over(limit.cancel)
        self._schedule()

    def _hear(self, event: Announcement, _time: float) -> None:
        """Take an event in; called from within the supervisor, so only note it."""
        name = event.fields.get("service")
        if name in self._pending:
            self._pending[name].note(event)
            self._dirty[name] = None
        elif name is None and event.name == "supervise.stopping":
            for expectation in self._pending.values():
                expectation.note(event)
            self._dirty.update(dict.fromkeys(self._pending))
        elif event.name in _BAD_NEWS:
            self._dirty.update(dict.fromkeys(self._pending))
        if self._dirty:
            self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._judge, self._request.owner)

    def _judge(self) -> None:
        self._scheduled = False
        dirty, self._dirty = self._dirty, {}
        found = []
        for name in dirty:
            if name in self._pending:
                verdict = self._verdict(name)
                if isinstance(verdict, ServiceOutcome):
                    found.append(verdict)
                elif verdict.seconds is not None:
                    self._look_again(name, verdict.seconds)
        self._settle(found)

    def _verdict(self, name: str) -> ServiceOutcome | Later:
        try:
            view = self._supervisor.view(name)
        except KeyError:
            return ServiceOutcome(name, "is no longer in the configuration", "failed")
        waited = self._loop.now() - self._began
        return self._pending[name].judge(view, waited, lambda: self._supervisor.explain(name))

    def _look_again(self, name: str, seconds: float) -> None:
        def look() -> None:
            self._dirty[name] = None
            self._judge()

        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = self._loop.call_later(seconds, look, self._request.owner)

    def _give_up(self) -> None:
        found = []
        for name in self._pending:
            try:
                view = self._supervisor.view(name)
            except KeyError:
                continue
            detail = f": {view.detail}" if view.detail else ""
            message = f"not in {self._timeout:g} s; it is {view.state}{detail}"
            hint = Hint(HintKind.EXPLAIN, name)
            found.append(ServiceOutcome(name, message, "timed_out", hint))
        self._settle(found)

    def _settle(self, found: list[ServiceOutcome]) -> None:
        for outcome in found:
            del self._pending[outcome.service]
        self._outcomes += found
        if not self._pending:
            answer(self._request, self._outcomes if not self._request.more else found)
        elif found and self._request.more:
            self._request.stream(results=plain(found))

    def _cancel_timers(self) -> None:
        self._pending = {}
        for timer in self._timers.values():
            timer.cancel()


def answer(request: ControlRequest, outcomes: list[ServiceOutcome]) -> None:
    """Give the last reply: *outcomes*, or without `more` the error of the first that failed."""
    bad = next((outcome for outcome in outcomes if outcome.trouble), None)
    if bad is None or request.more:
        request.reply(results=plain(outcomes))
        return
    assert bad.trouble is not None
    parameters = {
        "service": bad.service,
        "reason": bad.message,
        "hint": hints.in_words(bad.hint),
        "advice": _advice(bad),
        "results": plain(outcomes),
    }
    request.fail(f"{api.NAME}.{_ERRORS[bad.trouble]}", parameters)


def plain(outcomes: Iterable[ServiceOutcome]) -> list[dict[str, Any]]:
    """Return *outcomes* as JSON values."""
    return [
        {**dict(each.items()), "hint": hints.in_words(each.hint), "advice": _advice(each)}
        for each in outcomes
    ]


def _advice(outcome: ServiceOutcome) -> dict[str, str] | None:
    return hints.plain(outcome.hint) if outcome.hint is not None else None
