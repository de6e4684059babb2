"""What a caller waits for, one service at a time: fed with events and views, it says when.

Pure: no loop, no clock; `supervise.daemon.control.operations` asks again whenever an event names the
service, and after the seconds an expectation asks for.
"""

from __future__ import annotations

from supervise.model.hint import Hint, HintKind
from supervise.model.record import Record
from supervise.model.service import ServiceType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from supervise.model.announcement import Announcement
    from supervise.model.service import ServiceSpec
    from supervise.model.view import Explanation, ServiceView

    class Expectation(Protocol):
        """Something a caller waits for."""

        def note(self, event: Announcement) -> None:
            """Take in an event of the service, or of supervise itself."""

        def judge(
            self, view: ServiceView, waited: float, explain: Callable[[], Explanation]
        ) -> Verdict:
            """Return the outcome if it is known, else when to ask again though nothing happened.

            *waited*: seconds since the operation began.
            """


SETTLED = 0.25  # seconds a program without readiness must have run to count as started
PATIENCE = 1.0  # seconds in which a start that supervise took up shows an event
_DOWN = ("stopped", "exited", "failed")


class ServiceOutcome(Record):
    """What became of one service; see the API's type of this name."""

    service: str
    message: str
    trouble: str | None = None  # failed | not_running | timed_out
    hint: Hint | None = None


class Later(Record):
    """Not known yet.  *seconds*: ask again then at the latest; None: after the next event."""

    seconds: float | None = None


Verdict = ServiceOutcome | Later


class StartExpectation:
    """A start or restart: the service is ready, has settled, or, a oneshot, has completed."""

    def __init__(self, before: ServiceView, spec: ServiceSpec | None, *, restart: bool) -> None:
        self._name = before.name
        self._is_oneshot = before.type == ServiceType.ONESHOT.value
        self._reports_ready = spec is not None and spec.ready is not None
        self._old_pid = before.pid if restart or before.state == "stopping" else None
        self._was_running = before.state == "running" and not restart
        self._noticed = False
        self._known: ServiceOutcome | None = None

    def note(self, event: Announcement) -> None:
        """Keep what says how the start ended: by the time of a view it may have been tried again."""
        self._noticed = True
        fields = event.fields
        if self._known is not None:
            return
        if event.name == "supervise.stopping":
            self._known = self._failed("supervise is shutting down")
        elif event.name == "service.exited":
            after = fields.get("after")
            lived = f" after {after:.3g} s" if isinstance(after, int | float) else ""
            self._known = self._failed(
                f"ended with {fields.get('status')}{lived}", _see_logs(self._name)
            )
        elif event.name == "service.spawn_failed":
            self._known = self._failed(f"cannot be executed: {fields.get('message')}")
        elif event.name == "service.failed":
            self._known = self._failed(f"failed: {fields.get('reason')}", _see_logs(self._name))
        elif event.name == "service.unkillable":
            self._known = self._failed(f"pid {fields.get('pid')} survives SIGKILL")
        elif event.name == "service.completed":
            self._known = ServiceOutcome(self._name, "completed")

    def judge(
        self, view: ServiceView, waited: float, explain: Callable[[], Explanation]
    ) -> Verdict:
        """Return the outcome if it is known."""
        if self._known is not None:
            return self._known
        if self._old_pid is not None and view.pid == self._old_pid:
            return Later()  # the one before has not ended yet
        if view.state == "waiting":
            return self._judge_blockers(explain)
        if view.state == "running" and view.pid is not None and not self._is_oneshot:
            return self._judge_running(view)
        if view.state in (*_DOWN, "backoff"):
            return self._judge_down(view, waited)
        return Later()

    def _judge_running(self, view: ServiceView) -> Verdict:
        verb = "is running already" if self._was_running else "started"
        if self._reports_ready:
            if not view.ready:
                return Later()
            verb = verb if self._was_running else f"ready after {view.uptime or 0.0:.2g} s"
        elif (view.uptime or 0.0) < SETTLED:
            return Later(SETTLED - (view.uptime or 0.0))
        return ServiceOutcome(self._name, f"{verb}, pid {view.pid}")

    def _judge_blockers(self, explain: Callable[[], Explanation]) -> Verdict:
        for blocker in explain().blockers:
            if blocker.final:
                return self._failed(
                    f"cannot start: it needs {_in_words(blocker.condition)} of '{blocker.service}', "
                    f"which is {blocker.state}",
                    Hint(HintKind.EXPLAIN, blocker.service),
                )
        return Later()

    def _judge_down(self, view: ServiceView, waited: float) -> Verdict:
        reason = f": {view.detail}" if view.detail else ""
        if not self._noticed:
            if waited < PATIENCE:
                return Later(PATIENCE - waited)
            if self._is_oneshot and view.state == "exited" and not view.exit_code:
                return ServiceOutcome(self._name, "has completed already")
            hint = Hint(HintKind.EXPLAIN, self._name)
            return self._failed(f"is still {view.state}{reason}", hint)
        if view.state == "stopped":
            return self._failed("was stopped meanwhile") if view.desired == "down" else Later()
        return self._failed(f"is {view.state}{reason}", _see_logs(self._name))

    def _failed(self, message: str, hint: Hint | None = None) -> ServiceOutcome:
        return ServiceOutcome(self._name, message, "failed", hint)


class Stopped:
    """A stop: no process is left and none is about to come."""

    def __init__(self, before: ServiceView, grace: float | None = None) -> None:
        self._name = before.name
        self._grace = grace  # the caller's, which overrides the service's own
        self._down_before = before.state if before.state in _DOWN else ""
        self._pid = before.pid
        self._killed: float | None = None
        self._known: ServiceOutcome | None = None

    def note(self, event: Announcement) -> None:
        """Keep what a view does not show."""
        if event.name == "service.killed":
            grace = event.fields.get("grace") if self._grace is None else self._grace
            self._killed = float(grace) if isinstance(grace, int | float) else 0.0
        elif event.name == "service.unkillable":
            message = f"pid {event.fields.get('pid')} survives SIGKILL"
            hint = Hint(HintKind.SEE_STACK, self._name)
            self._known = ServiceOutcome(self._name, message, "failed", hint)

    def judge(
        self,
        view: ServiceView,
        waited: float,  # noqa: ARG002 - what it waits for has no patience of its own
        explain: Callable[[], Explanation],  # noqa: ARG002
    ) -> Verdict:
        """Return the outcome if it is known."""
        if self._known is not None:
            return self._known
        if view.pid is not None:
            if view.pid != self._pid and view.desired == "up":
                return ServiceOutcome(self._name, "was started again meanwhile", "failed")
            return Later()
        if view.state not in _DOWN:
            return Later()
        if self._down_before:
            return ServiceOutcome(self._name, f"is not running ({self._down_before})")
        if self._killed is not None:
            return ServiceOutcome(self._name, f"stopped; SIGKILL after {self._killed:g} s")
        return ServiceOutcome(self._name, "stopped")


class Reloaded:
    """A reload: its command has ended.  A signal has no end that could be seen."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.known: ServiceOutcome | None = None

    def note(self, event: Announcement) -> None:
        """Keep how the command ended."""
        if self.known is not None:
            return
        if event.name == "service.reloaded":
            self.known = ServiceOutcome(self._name, f"has reloaded: {event.fields.get('how')}")
        elif event.name == "service.reload_failed":
            message = f"cannot reload: {event.fields.get('message')}"
            hint = Hint(HintKind.UNCHANGED, self._name)
            self.known = ServiceOutcome(self._name, message, "failed", hint)
        elif event.name == "supervise.stopping":
            self.known = ServiceOutcome(self._name, "supervise is shutting down", "failed")

    def judge(
        self,
        view: ServiceView,  # noqa: ARG002 - what becomes of the service meanwhile does not matter
        waited: float,  # noqa: ARG002
        explain: Callable[[], Explanation],  # noqa: ARG002
    ) -> Verdict:
        """Return the outcome if it is known."""
        return self.known or Later()


class Reached:
    """A wait: the service has come to a milestone, or cannot come to it."""

    def __init__(self, name: str, milestone: str, spec: ServiceSpec | None) -> None:
        self._name = name
        self._milestone = milestone
        self._success = spec.success_exit_codes if spec is not None else (0,)
        self._reports_ready = spec is not None and spec.ready is not None
        self._has_check = spec is not None and spec.healthcheck is not None
        self._completed = False

    def note(self, event: Announcement) -> None:
        """Remember a completion: a scheduled oneshot may run again at once."""
        self._completed = self._completed or event.name == "service.completed"

    def judge(
        self,
        view: ServiceView,
        waited: float,  # noqa: ARG002 - what it waits for has no patience of its own
        explain: Callable[[], Explanation],  # noqa: ARG002
    ) -> Verdict:
        """Return the outcome if it is known."""
        check = getattr(self, f"_is_{self._milestone}")
        verdict: Verdict | None = check(view)
        if verdict is not None:
            return verdict
        if view.state == "failed" and self._milestone != "stopped":
            reason = f": {view.detail}" if view.detail else ""
            return ServiceOutcome(
                self._name, f"has failed{reason}", "failed", _see_logs(self._name)
            )
        return Later()

    def _is_started(self, view: ServiceView) -> Verdict | None:
        if view.pid is None or view.state == "stopping":
            return None
        return ServiceOutcome(self._name, f"has started, pid {view.pid}")

    def _is_ready(self, view: ServiceView) -> Verdict | None:
        if view.state != "running" or view.pid is None:
            return None
        uptime = view.uptime or 0.0
        if not self._reports_ready and uptime < SETTLED:
            return Later(SETTLED - uptime)
        if self._reports_ready and not view.ready:
            return None
        return ServiceOutcome(self._name, f"is ready, pid {view.pid}")

    def _is_healthy(self, view: ServiceView) -> Verdict | None:
        if not self._has_check:
            hint = Hint(HintKind.AWAIT_READY, self._name)
            return ServiceOutcome(self._name, "has no healthcheck", "failed", hint)
        return ServiceOutcome(self._name, "is healthy") if view.health == "healthy" else None

    def _is_completed(self, view: ServiceView) -> Verdict | None:
        succeeded = view.state == "exited" and view.exit_code in self._success
        if self._completed or succeeded:
            return ServiceOutcome(self._name, "has completed")
        if view.state == "exited":
            message = f"ended with exit code {view.exit_code}"
            return ServiceOutcome(self._name, message, "failed", _see_logs(self._name))
        return None

    def _is_stopped(self, view: ServiceView) -> Verdict | None:
        if view.pid is None and view.state in _DOWN:
            return ServiceOutcome(self._name, "is stopped")
        return None


def _see_logs(name: str) -> Hint:
    return Hint(HintKind.LOGS, name)


def _in_words(condition: str) -> str:
    """Return ``readiness`` for ``service_ready``, and so on."""
    words = {
        "service_started": "the start",
        "service_ready": "readiness",
        "service_healthy": "health",
        "service_completed_successfully": "the completion",
    }
    return words.get(condition, condition)
