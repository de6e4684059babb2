"""What the tests of the probes share: a server, commands without processes, one first try."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Self

from supervise.daemon.readiness.probes import Prober
from supervise.model.exitstatus import ExitStatus
from supervise.model.service import HealthCheck, Probe, Ready, ServiceSpec
from tests.support.loops import running_loop, turn_until

SOON = 0.005  # seconds
Ended = Callable[[ExitStatus | None, bytes], None]


class Commands:
    """A RunCommand whose commands end when the test says so."""

    def __init__(self) -> None:
        self.started: list[tuple[str, tuple[str, ...], float]] = []
        self.called_off = 0
        self.ended: Ended | None = None

    def run(
        self, spec: ServiceSpec, argv: tuple[str, ...], timeout: float, ended: Ended
    ) -> Callable[[], None]:
        assert self.ended is None, "two tries overlap"
        self.started.append((spec.name, argv, timeout))
        self.ended = ended
        return self._call_off

    def end(self, status: ExitStatus | None, output: bytes = b"") -> None:
        ended, self.ended = self.ended, None
        assert ended is not None
        ended(status, output)

    def _call_off(self) -> None:
        self.called_off += 1
        self.ended = None


class Answering:
    """A server on loopback that gives every connection the same answer."""

    def __init__(self, answer: bytes | None, *, stays: bool = False) -> None:
        self._answer = answer  # None: never accept
        self._stays = stays
        self._open = ExitStack()
        self._listener = self._open.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[bytes] = []
        self.cut_off = 0
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._open.close()

    def _serve(self) -> None:
        while self._answer is not None:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with closing(connection):
                self._converse(connection, self._answer)

    def _converse(self, connection: socket.socket, answer: bytes) -> None:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            data = connection.recv(1000)
            if not data:
                return
            request += data
        self.requests.append(request)
        try:
            connection.sendall(answer)
            if not self._stays:
                connection.shutdown(socket.SHUT_WR)
            while connection.recv(1000):
                continue
        except OSError:
            self.cut_off += 1


def no_commands(*_: object) -> Callable[[], None]:
    raise AssertionError("no command was asked for")


def spec(ready: Ready | None = None, healthcheck: HealthCheck | None = None) -> ServiceSpec:
    return ServiceSpec("web", ("true",), ready=ready, healthcheck=healthcheck)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def failure_of(probe: Probe, timeout: float = 5.0) -> str:
    """Return why the first try of *probe* failed."""
    with running_loop() as loop:
        prober = Prober(loop, no_commands)
        prober.watch_ready("web", spec(Ready(probe, timeout=timeout, interval=60.0)), never)
        turn_until(loop, lambda: prober.last_failure("web"))
        return prober.last_failure("web")


def never() -> None:
    raise AssertionError("it is not ready")


def is_ready(probe: Probe) -> bool:
    """Return whether the first try of *probe* succeeds."""
    found: list[bool] = []
    with running_loop() as loop:
        prober = Prober(loop, no_commands)
        ready = Ready(probe, timeout=5.0, interval=60.0)
        prober.watch_ready("web", spec(ready), lambda: found.append(True))
        turn_until(loop, lambda: found or prober.last_failure("web"))
        assert prober.last_failure("web") == ""
    return bool(found)
