"""The methods that change something: start, stop, signal, apply, shutdown."""

from __future__ import annotations

from supervise.daemon.control import selection
from supervise.daemon.control.expectations import (
    Reloaded,
    ServiceOutcome,
    StartExpectation,
    Stopped,
)
from supervise.daemon.control.operations import Operation, answer
from supervise.daemon.control.selection import RefusalError
from supervise.model.errors import ConfigError
from supervise.model.hint import Hint, HintKind
from supervise.model.signals import signal_name, signal_number
from supervise.wire import api
from supervise.wire.interface import InvalidParameterError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervise.daemon.control.connection import ControlRequest
    from supervise.daemon.control.contract import Operations
    from supervise.daemon.control.expectations import Expectation
    from supervise.daemon.loop import Loop
    from supervise.model.view import Difference, ServiceView


class Commands:
    """Asks the supervisor; remembers between calls only whether a configuration is being read."""

    def __init__(self, loop: Loop, supervisor: Operations) -> None:
        self._loop = loop
        self._supervisor = supervisor
        self._applying = False

    def start(
        self,
        request: ControlRequest,
        *,
        services: list[str] | None,
        all: bool | None,  # noqa: A002 - the parameter's name in the API
        wait: bool | None,
        timeout: float | None,
    ) -> None:
        """Start services; all: those that start by themselves."""
        self._require_running()
        names = selection.chosen(self._supervisor, services, all, self._starts_by_itself)
        expected: dict[str, Expectation] = {
            name: StartExpectation(
                self._supervisor.view(name), selection.spec(self._supervisor, name), restart=False
            )
            for name in names
        }
        ask: Callable[[], None] = lambda: self._supervisor.start_all(names)  # noqa: E731
        self._operate(request, expected, ask, wait, timeout)

    def stop(
        self,
        request: ControlRequest,
        *,
        services: list[str] | None,
        all: bool | None,  # noqa: A002
        wait: bool | None,
        timeout: float | None,
        grace: float | None,
    ) -> None:
        """Stop services."""
        names = selection.chosen(self._supervisor, services, all, lambda _view: True)
        expected: dict[str, Expectation] = {
            name: Stopped(self._supervisor.view(name), grace) for name in names
        }

        def ask() -> None:
            for name in names:
                self._supervisor.stop(name, grace)

        self._operate(request, expected, ask, wait, timeout)

    def restart(
        self,
        request: ControlRequest,
        *,
        services: list[str] | None,
        all: bool | None,  # noqa: A002
        wait: bool | None,
        timeout: float | None,
        grace: float | None,
    ) -> None:
        """Restart services; all: those that should be up."""
        self._require_running()
        names = selection.chosen(self._supervisor, services, all, lambda view: view.desired == "up")
        expected: dict[str, Expectation] = {
            name: StartExpectation(
                self._supervisor.view(name), selection.spec(self._supervisor, name), restart=True
            )
            for name in names
        }

        def ask() -> None:
            for name in names:
                self._supervisor.restart(name, grace)

        self._operate(request, expected, ask, wait, timeout)

    def reload(
        self,
        request: ControlRequest,
        *,
        services: list[str] | None,
        all: bool | None,  # noqa: A002
    ) -> None:
        """Have services reload; all: those that run and know how.  A command is waited for."""
        names = selection.chosen(self._supervisor, services, all, self._can_reload)
        expected = {name: Reloaded(name) for name in names}

        def ask() -> None:
            for name, expectation in expected.items():
                outcome = self._reload(name)
                spec = selection.spec(self._supervisor, name)
                if outcome.trouble or spec is None or spec.reload_command is None:
                    expectation.known = outcome

        self._operate(request, dict(expected), ask, wait=None, timeout=None)

    def signal(
        self,
        request: ControlRequest,
        *,
        services: list[str] | None,
        all: bool | None,  # noqa: A002
        signal: str,
    ) -> None:
        """Signal services; all: those that run."""
        number = signal_number(signal)
        if number is None:
            raise InvalidParameterError("signal")
        names = selection.chosen(self._supervisor, services, all, lambda view: view.pid is not None)
        answer(request, [self._signal(name, number) for name in names])

    def apply(self, request: ControlRequest, *, dry_run: bool | None) -> None:
        """Read the configuration anew; one caller at a time."""
        self._require_running()
        if self._applying:
            raise RefusalError(f"{api.NAME}.Busy", reason="the configuration is being read already")

        def done(result: Difference | ConfigError) -> None:
            self._applying = False
            if isinstance(result, ConfigError):
                problems = [dict(problem.items()) for problem in result.problems]
                request.fail(f"{api.NAME}.InvalidConfiguration", {"problems": problems})
            else:
                request.reply(dry_run=bool(dry_run), **dict(result.items()))

        self._applying = True
        try:
            self._supervisor.apply(dry_run=bool(dry_run), done=done)
        except BaseException:
            self._applying = False
            raise

    def shutdown(self, request: ControlRequest, *, exit_code: int | None) -> None:
        """Reply, then begin to stop everything."""
        if exit_code is not None and not 0 <= exit_code <= 255:
            raise InvalidParameterError("exit_code")
        request.reply()
        reason = f"shutdown asked for by uid {request.peer.uid}, pid {request.peer.pid}"
        self._supervisor.shutdown(reason, exit_code)

    def _operate(
        self,
        request: ControlRequest,
        expected: dict[str, Expectation],
        ask: Callable[[], None],
        wait: bool | None,  # noqa: FBT001 - null is true
        timeout: float | None,
    ) -> None:
        if wait is False or request.call.oneway or not expected:
            ask()
            answer(request, [ServiceOutcome(name, "has been asked") for name in expected])
        else:
            Operation(self._loop, self._supervisor, request, expected).begin(ask, timeout)

    def _require_running(self) -> None:
        if self._supervisor.stopping:
            raise RefusalError(f"{api.NAME}.ShuttingDown")

    def _starts_by_itself(self, view: ServiceView) -> bool:
        spec = selection.spec(self._supervisor, view.name)
        return spec is not None and spec.autostart

    def _can_reload(self, view: ServiceView) -> bool:
        spec = selection.spec(self._supervisor, view.name)
        return (
            view.pid is not None
            and spec is not None
            and (spec.reload_signal is not None or spec.reload_command is not None)
        )

    def _reload(self, name: str) -> ServiceOutcome:
        view = self._supervisor.view(name)
        if view.pid is None:
            return _not_running(view)
        how = self._supervisor.reload(name)
        if how is None:
            message = "has neither reload_signal nor reload_command"
            return ServiceOutcome(name, message, "failed", Hint(HintKind.RESTART, name))
        return ServiceOutcome(name, f"is reloading: {how}")

    def _signal(self, name: str, number: int) -> ServiceOutcome:
        if self._supervisor.signal(name, number):
            return ServiceOutcome(name, f"got {signal_name(number)}")
        return _not_running(self._supervisor.view(name))


def _not_running(view: ServiceView) -> ServiceOutcome:
    hint = Hint(HintKind.START, view.name)
    return ServiceOutcome(view.name, f"is not running ({view.state})", "not_running", hint)
