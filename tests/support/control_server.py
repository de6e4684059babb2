"""A control socket with a scripted supervisor behind it, as a program of its own.

``python -m tests.support.control_server SOCKET [--operator GID] [--reader GID] [--many N]``.
The supervisor here stands in for `supervise.daemon.supervisor` at its protocol; everything else
(loop, socket, connections, methods) is the real thing.  The services say what they do:

* ``db`` is ready 50 ms after its start and reloads; ``web`` needs it and runs at once;
* ``broken`` ends 10 ms after its start, ``missing`` cannot be executed;
* ``migrate`` is a oneshot that completes, ``never`` waits for ``broken`` for ever;
* ``stubborn`` takes 300 ms to stop, ``slow`` gets ready only on SIGUSR1;
* ``apply`` adds ``cache`` the first time and finds a problem from then on;
* SIGUSR2 to any service writes one line of output that is not UTF-8, SIGWINCH a thousand lines,
  SIGABRT raises in the supervisor.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence

from supervise.daemon.control.server import ControlServer
from supervise.daemon.loop import Loop
from supervise.model import service as model
from supervise.model.announcement import Announcement
from supervise.model.errors import ConfigError, Problem
from supervise.model.view import Blocker, Difference, Explanation, ServiceView
from supervise.wire.lines import LogRecord

READY_AFTER, ENDS_AFTER, STOPS_AFTER = 0.05, 0.01, 0.3
WEB = model.Origin("/etc/supervise.yaml", 7)
NOTIFY = model.Ready(model.Probe(notify=True))


def plan(many: int) -> model.Plan:
    """Return the services described above, and *many* plain ones."""
    ready = {"db": model.Dependency(model.Condition.READY)}
    specs = [
        model.ServiceSpec("db", ("db",), ready=NOTIFY, reload_signal=1, start_timeout=5.0),
        model.ServiceSpec("web", ("web",), depends_on=ready, essential=True, origin=WEB),
        model.ServiceSpec("broken", ("broken",), autostart=False),
        model.ServiceSpec("missing", ("missing",), autostart=False),
        model.ServiceSpec("migrate", ("m",), type=model.ServiceType.ONESHOT, autostart=False),
        model.ServiceSpec(
            "never", ("n",), depends_on={"broken": model.Dependency()}, autostart=False
        ),
        model.ServiceSpec("stubborn", ("s",), autostart=False),
        model.ServiceSpec("slow", ("slow",), ready=NOTIFY, autostart=False, start_timeout=1.0),
        *(model.ServiceSpec(f"service-{i:05}", ("true",)) for i in range(many)),
    ]
    return model.Plan({spec.name: spec for spec in specs})


class Service:
    """How one service fares."""

    def __init__(self, spec: model.ServiceSpec) -> None:
        self.spec = spec
        self.state, self.desired = "stopped", "down"
        self.pid: int | None = None
        self.since: float | None = None
        self.ready = False
        self.exit_code: int | None = None
        self.restarts = 0
        self.detail = ""


class FakeSupervisor:
    """Moves services from state to state as their names say."""

    def __init__(self, loop: Loop, many: int) -> None:
        self.loop = loop
        self.plan = plan(many)
        self.services = {name: Service(spec) for name, spec in self.plan.services.items()}
        self.stopping = False
        self.exit_code = 0
        self._listeners: list[Callable[[Announcement, float], None]] = []
        self._past: deque[tuple[float, Announcement]] = deque(maxlen=1000)
        self._log: deque[LogRecord] = deque(maxlen=20_000)
        self._followers: list[tuple[set[str], Callable[[LogRecord], None]]] = []
        self._next_pid = 100_000_000  # beyond pid_max: nobody's
        self._refuses = False

    # -- what the control plane calls

    def names(self) -> list[str]:
        return list(self.services)

    def view(self, name: str) -> ServiceView:
        it = self.services[name]
        uptime = self.loop.now() - it.since if it.since is not None and it.pid else None
        return ServiceView(
            name, it.spec.type.value, it.state, it.desired, it.ready, "", it.pid, uptime,
            it.restarts, it.detail, it.exit_code, None, it.spec.essential,
        )  # fmt: skip

    def explain(self, name: str) -> Explanation:
        blockers = tuple(
            Blocker(other, need.condition.value, self.services[other].state, other == "broken")
            for other, need in self.services[name].spec.depends_on.items()
            if self.services[other].state != "running"
        )
        return Explanation(self.view(name), blockers, (f"{name} is {self.services[name].state}",))

    def pids(self, name: str) -> list[int]:
        return [os.getpid()] if self.services[name].pid else []

    def start_all(self, names: Sequence[str]) -> None:
        for name in names:
            self.start(name)

    def start(self, name: str) -> None:
        it = self.services[name]
        it.desired = "up"
        if it.pid is not None and it.state != "stopping":
            return
        if any(self.services[other].state != "running" for other in it.spec.depends_on):
            it.state = "waiting"
            self._announce("service.waiting", service=name, message="waits")
            for other in it.spec.depends_on:
                self.start(other)
            return
        if it.pid is None:
            self._spawn(it)

    def stop(self, name: str, timeout: float | None = None) -> None:
        it = self.services[name]
        it.desired = "down"
        if it.pid is None:
            it.state = "stopped"
            return
        it.state = "stopping"
        self._announce("service.stopping", service=name, pid=it.pid, signal="SIGTERM", reason="ask")
        if name == "stubborn" and timeout is not None and timeout < STOPS_AFTER:
            self.loop.call_later(timeout, lambda: self._killed(it, timeout))
        elif name == "stubborn":
            self.loop.call_later(STOPS_AFTER, lambda: self._stopped(it))
        else:
            self.loop.call_soon(lambda: self._stopped(it))

    def restart(self, name: str, timeout: float | None = None) -> None:
        if self.services[name].pid is not None:
            self.stop(name, timeout)
        self.start(name)

    def reload(self, name: str) -> str | None:
        if self.services[name].spec.reload_signal is None:
            return None
        self._announce("service.reloading", service=name, how="SIGHUP")
        return "sent SIGHUP"

    def signal(self, name: str, number: int) -> bool:
        it = self.services[name]
        if it.pid is None:
            return False
        if number == signal.SIGABRT:
            raise RuntimeError("a fault in the supervisor")
        if number == signal.SIGUSR1:
            it.ready = True
            self._announce("service.ready", service=name, after=1.0)
        if number == signal.SIGUSR2:
            self.write(name, b"gr\xfc\xdfe")
        if number == signal.SIGWINCH:
            for i in range(1000):
                self.write(name, b"line %d %s" % (i, b"x" * 1000))
        return True

    def apply(self, *, dry_run: bool, done: Callable[[Difference | ConfigError], None]) -> None:
        result: Difference | ConfigError = Difference(("cache",), (), ("web",), ("db",))
        if self._refuses:
            result = ConfigError((Problem("s.yaml", 3, 5, "services.web", "is no mapping", "x"),))
        elif not dry_run:
            self._refuses = True
            self._add(model.ServiceSpec("cache", ("cache",)))
            self._announce("supervise.reloaded", added=["cache"], removed=[], changed=["web"])
        self.loop.call_later(0.05, lambda: done(result))

    def shutdown(self, reason: str, exit_code: int | None = None) -> None:
        self.stopping = True
        self.exit_code = exit_code or 0
        self._announce("supervise.stopping", reason=reason, grace=8.0)
        self.loop.call_later(0.05, self.loop.stop)

    def subscribe(self, listener: Callable[[Announcement, float], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def recent_events(self) -> list[tuple[float, Announcement]]:
        return list(self._past)

    def tail(
        self, services: Sequence[str], lines: int | None, since: float | None
    ) -> list[LogRecord]:
        wanted = set(services)
        found = [r for r in self._log if r.service in wanted and r.time >= (since or 0.0)]
        return found if lines is None else found[len(found) - min(lines, len(found)) :]

    def follow(
        self, services: Sequence[str], listener: Callable[[LogRecord], None]
    ) -> Callable[[], None]:
        entry = (set(services), listener)
        self._followers.append(entry)
        return lambda: self._followers.remove(entry)

    # -- what happens

    def subscriptions(self) -> int:
        return len(self._listeners) + len(self._followers)

    def write(self, name: str, message: bytes, stream: str = "stdout") -> None:
        record = LogRecord(time.time(), name, stream, self.services[name].pid or 0, message)
        self._log.append(record)
        for wanted, listener in self._followers:
            if name in wanted:
                listener(record)

    def announce(self, event: Announcement) -> None:
        now = time.time()
        self._past.append((now, event))
        for listener in list(self._listeners):
            listener(event, now)

    def _add(self, spec: model.ServiceSpec) -> None:
        self.plan = self.plan.replace(services={**self.plan.services, spec.name: spec})
        self.services[spec.name] = Service(spec)

    def _announce(self, event: str, **fields: object) -> None:
        self.announce(Announcement(event, fields))

    def _spawn(self, it: Service) -> None:
        name = it.spec.name
        self._announce("service.starting", service=name)
        if name == "missing":
            it.state, it.detail = "backoff", "cannot execute 'missing'"
            self._announce(
                "service.spawn_failed", service=name, stage="execve", message="not found"
            )
            return
        self._next_pid += 1
        it.pid, it.since, it.state, it.ready = self._next_pid, self.loop.now(), "running", False
        it.exit_code = None
        self._announce("service.started", service=name, pid=it.pid)
        self.write(name, b"hello from " + name.encode())
        self.write(name, b"a complaint", "stderr")
        if name == "db":
            self.loop.call_later(READY_AFTER, lambda: self._becomes_ready(it))
        elif name == "broken":
            self.loop.call_later(ENDS_AFTER, lambda: self._exits(it, 3))
        elif name == "migrate":
            self.loop.call_later(ENDS_AFTER, lambda: self._exits(it, 0))
        elif it.spec.ready is None:
            it.ready = True

    def _becomes_ready(self, it: Service) -> None:
        if it.pid is not None:
            it.ready = True
            self._announce("service.ready", service=it.spec.name, after=READY_AFTER)
            for other in self.services.values():
                if other.state == "waiting" and it.spec.name in other.spec.depends_on:
                    self._spawn(other)

    def _exits(self, it: Service, code: int) -> None:
        name, pid = it.spec.name, it.pid
        it.pid, it.exit_code = None, code
        if code == 0:
            it.state = "exited"
            self._announce("service.completed", service=name, pid=pid, after=ENDS_AFTER)
            return
        it.state, it.detail = "failed", f"exit code {code}"
        self._announce(
            "service.exited", service=name, pid=pid, status=f"exit code {code}",
            exit_code=code, signal=None, after=ENDS_AFTER,
        )  # fmt: skip
        self._announce("service.failed", service=name, reason=f"exit code {code}")

    def _killed(self, it: Service, grace: float) -> None:
        self._announce("service.killed", service=it.spec.name, grace=grace)
        self._stopped(it)

    def _stopped(self, it: Service) -> None:
        it.pid, it.ready, it.state = None, False, "stopped"
        self._announce("service.stopped", service=it.spec.name, status="SIGTERM")
        if it.desired == "up":
            self._spawn(it)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("socket")
    parser.add_argument("--operator", type=int, action="append", default=[])
    parser.add_argument("--reader", type=int, action="append", default=[])
    parser.add_argument("--many", type=int, default=0)
    given = parser.parse_args()
    loop = Loop(lambda owner, error: print(f"fault of {owner}: {error!r}", flush=True))
    supervisor = FakeSupervisor(loop, given.many)
    settings = model.ControlSettings(given.socket, tuple(given.operator), tuple(given.reader))

    def on_signal(number: int) -> None:
        if number == signal.SIGHUP:
            control.ensure_listening()
        elif number == signal.SIGIO:
            control.directory_changed()
        elif number == signal.SIGUSR1:
            print(f"subscriptions {supervisor.subscriptions()}", flush=True)
        else:
            loop.stop()

    loop.take_signals([signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGIO], on_signal)
    control = ControlServer(loop, supervisor, supervisor, settings, supervisor.announce)
    for name, it in supervisor.services.items():
        if it.spec.autostart:
            supervisor.start(name)
    print(f"listening {control.place}", flush=True)
    loop.run()
    control.close()
    return supervisor.exit_code


if __name__ == "__main__":
    sys.exit(main())
