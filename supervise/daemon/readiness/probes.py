"""Asks the services how they are: readiness until the first success, health for ever.

It decides nothing about a service: it tells the supervisor what it found, and `model.health`
says what that means.  Nothing is polled beyond the intervals the configuration asks for, and two
tries of one probe never overlap: the next interval begins when a try has ended.
"""

from __future__ import annotations

from supervise.model import health, target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervise.daemon.loop import Loop, Timer
    from supervise.daemon.readiness.tries import CommandTry, ProbeOutcome, TcpTry
    from supervise.model.exitstatus import ExitStatus
    from supervise.model.service import HealthCheck, Probe, Ready, ServiceSpec

    # Runs argv as the service's user, in its environment and directory; kills it after so many
    # seconds; tells how it ended (None: it could not be started, or was killed for its time) and
    # the first 4 KiB of its output.  What it returns calls the command off.
    Ended = Callable[[ExitStatus | None, bytes], None]
    RunCommand = Callable[[ServiceSpec, tuple[str, ...], float, Ended], Callable[[], None]]

_READY, _HEALTH = "ready", "health"
# Docker's smallest interval.  It keeps `interval: 0s` from taking every turn of the loop.
_SHORTEST_DELAY = 0.001
_SHOWN = 60  # characters of a command in a message


class Prober:
    """All probes of one supervisor.  Services are known by name alone.

    An exception in a probe, or in what the supervisor does with its result, ends that probe:
    the service lives on unwatched, and `last_failure` says so.
    """

    def __init__(self, loop: Loop, run_command: RunCommand) -> None:
        self.loop = loop
        self.run_command = run_command
        self._watches: dict[tuple[str, str], _ProbeWatch] = {}  # keyed by (service, kind)

    def watch_ready(self, name: str, spec: ServiceSpec, on_ready: Callable[[], None]) -> None:
        """Try until the service is ready, the first time at once, then call *on_ready* once.

        For `notify` there is nothing to try: the notify socket tells the supervisor.  *on_ready*
        is never called from within this call.
        """
        ready = spec.ready
        if ready is not None and not ready.probe.notify:
            self._put((name, _READY), _ReadyWatch(self, (name, _READY), spec, ready, on_ready))

    def watch_health(
        self, name: str, spec: ServiceSpec, on_change: Callable[[str, str], None]
    ) -> None:
        """Check for ever, the first time after one interval; to be called when a process starts.

        The status begins as ``starting``; *on_change* is called with ``healthy`` or ``unhealthy``
        and what the deciding check said, when it changes.  `start_period` counts from this call.
        """
        check = spec.healthcheck
        if check is not None and not check.probe.notify:
            self._put((name, _HEALTH), _HealthWatch(self, (name, _HEALTH), spec, check, on_change))

    def forget(self, name: str) -> None:
        """Stop both probes of *name* and what they have under way; idempotent."""
        for kind in (_READY, _HEALTH):
            watch = self._watches.pop((name, kind), None)
            if watch is not None:
                watch.stop()

    def last_failure(self, name: str) -> str:
        """Return why the last try failed, or "" when it did not or there is no probe.

        A probe for readiness that still fails comes before the health check.
        """
        watches = [self._watches.get((name, kind)) for kind in (_READY, _HEALTH)]
        return next((watch.failure for watch in watches if watch and watch.failure), "")

    def drop(self, watch: _ProbeWatch) -> None:
        """Forget *watch*, which has ended by itself."""
        if self._watches.get(watch.key) is watch:
            del self._watches[watch.key]

    def _put(self, key: tuple[str, str], watch: _ProbeWatch) -> None:
        earlier = self._watches.get(key)
        if earlier is not None:
            earlier.stop()
        self._watches[key] = watch


class _ProbeWatch:
    """One question, asked again and again.  At any time: one try, or one timer, or stopped."""

    def __init__(
        self,
        prober: Prober,
        key: tuple[str, str],
        spec: ServiceSpec,
        probe: Probe,
        timeout: float,
    ) -> None:
        self.key = key
        self.name = f"{key[1]} probe of {key[0]}"  # as an Owner
        self.failure = ""
        self._prober = prober
        self._loop = prober.loop
        self._spec = spec
        self._probe = probe
        self._timeout = timeout
        self._began = 0.0
        self._try: TcpTry | CommandTry | None = None
        self._timer: Timer | None = None
        self._stopped = False

    def stop(self) -> None:
        """Ask no more; what is under way is called off; idempotent."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._try is not None:
            under_way, self._try = self._try, None
            under_way.cancel()

    def abandon(self) -> None:
        """Give up after a fault of ours: the service is not asked any more."""
        self.failure = f"the {self.name} was given up after an internal fault"
        self.stop()

    def _judge(self, outcome: ProbeOutcome) -> float | None:
        """Tell the supervisor what changed; return the delay to the next try, None to end."""
        raise NotImplementedError

    def _ask_in(self, delay: float) -> None:
        self._timer = self._loop.call_later(delay, self._ask, self)

    def _ask(self) -> None:
        from supervise.daemon.readiness import tries  # 0.3 MB, for plans that probe

        self._timer = None
        self._began = self._loop.now()
        try:
            self._try = self._make_try()
        except ValueError as error:  # a plan not made by our loader
            self._answered(tries.ProbeOutcome(ok=False, text=str(error)))
            return
        self._try.start()

    def _make_try(self) -> TcpTry | CommandTry:
        from supervise.daemon.readiness import tries

        probe, loop, timeout = self._probe, self._loop, self._timeout
        if probe.tcp is not None:
            return tries.TcpTry(loop, self, target.parse_target(probe.tcp), timeout, self._answered)
        if probe.http is not None:
            return tries.HttpTry(loop, self, target.parse_http(probe.http), timeout, self._answered)
        return tries.CommandTry(loop, self, self._run_command, timeout, self._answered)

    def _run_command(self, ended: Ended) -> Callable[[], None]:
        argv = self._probe.exec
        assert argv is not None, "a probe has exactly one target"
        return self._prober.run_command(self._spec, argv, self._timeout, ended)

    def _answered(self, outcome: ProbeOutcome) -> None:
        self._try = None
        told = outcome.replace(text=f"{describe(self._probe)}: {outcome.text}")
        self.failure = "" if outcome.ok else told.text
        delay = self._judge(told)
        if delay is not None and not self._stopped:
            self._ask_in(max(delay, _SHORTEST_DELAY))


class _ReadyWatch(_ProbeWatch):
    def __init__(
        self,
        prober: Prober,
        key: tuple[str, str],
        spec: ServiceSpec,
        ready: Ready,
        on_ready: Callable[[], None],
    ) -> None:
        super().__init__(prober, key, spec, ready.probe, ready.timeout)
        self._interval = ready.interval
        self._on_ready = on_ready
        self._ask_in(0.0)

    def _judge(self, outcome: ProbeOutcome) -> float | None:
        if not outcome.ok:
            return self._interval
        self._on_ready()
        self._prober.drop(self)  # last: after a fault it is kept, to explain
        return None


class _HealthWatch(_ProbeWatch):
    def __init__(
        self,
        prober: Prober,
        key: tuple[str, str],
        spec: ServiceSpec,
        check: HealthCheck,
        on_change: Callable[[str, str], None],
    ) -> None:
        super().__init__(prober, key, spec, check.probe, check.timeout)
        self._check = check
        self._on_change = on_change
        self._started = self._loop.now()
        self._health = health.Health()
        self._ask_in(max(health.first_delay(check), _SHORTEST_DELAY))

    def _judge(self, outcome: ProbeOutcome) -> float | None:
        before = self._health
        if outcome.ok is not None:
            age = self._began - self._started
            self._health = health.after_result(self._check, before, ok=outcome.ok, age=age)
        if self._health.status is not before.status:
            self._on_change(self._health.status.value, outcome.text)
        age = self._loop.now() - self._started
        return health.next_delay(self._check, self._health, age=age)


def describe(probe: Probe) -> str:
    """Return what *probe* asks, for the beginning of a message."""
    if probe.tcp is not None:
        return f"tcp {probe.tcp}"
    if probe.exec is not None:
        return "exec " + " ".join(probe.exec)[:_SHOWN]
    return probe.http or "notify"
