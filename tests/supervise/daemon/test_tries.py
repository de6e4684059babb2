from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from supervise.daemon.readiness.probes import Prober
from supervise.model.exitstatus import Exited, ExitStatus, Killed
from supervise.model.service import Probe, Ready
from tests.support.loops import running_loop, turn_for, turn_until
from tests.support.probing import (
    SOON,
    Answering,
    Commands,
    Ended,
    failure_of,
    free_port,
    is_ready,
    never,
    spec,
)

# -- tcp


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_listening_service_is_ready(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as listener:
        host = f"[{address}]" if ":" in address else address

        assert is_ready(Probe(tcp=f"{host}:{listener.getsockname()[1]}"))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_localhost_is_either_loopback_address(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as listener:
        assert is_ready(Probe(tcp=f"localhost:{listener.getsockname()[1]}"))


def test_refused_connection_is_told_with_its_address() -> None:
    port = free_port()

    assert failure_of(Probe(tcp=f"127.0.0.1:{port}")) == f"tcp 127.0.0.1:{port}: connection refused"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("db.example:5432", "'db.example' is no address, and PID 1 looks up no names"),
        ("127.1:80", "'127.1' is no address, and PID 1 looks up no names"),
        ("[fe80::1%eth0]:80", "'fe80::1%eth0' is no address, and PID 1 looks up no names"),
        ("5432", "'5432' has no port; write host:port, such as 127.0.0.1:5432"),
    ],
)
def test_address_that_cannot_be_tried_is_a_failure_that_says_so(address: str, reason: str) -> None:
    assert failure_of(Probe(tcp=address)) == f"tcp {address}: {reason}"


def test_connection_that_hangs_is_given_up_at_the_timeout() -> None:
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(2):  # fill the backlog: further SYNs are dropped
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)

        failure = failure_of(Probe(tcp=f"127.0.0.1:{address[1]}"), timeout=0.05)

        assert failure == f"tcp 127.0.0.1:{address[1]}: no connection within 0.05 s"


@pytest.mark.integration
@pytest.mark.needs("root")
@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_connection_to_itself_is_no_service(kind: str) -> None:
    """A free port within the range for outgoing connections may become our own end.

    With a range of one port the kernel has no other choice.
    """
    script = """
from supervise.model.service import Probe
from tests.support.probing import failure_of
print(failure_of(Probe(KIND="PREFIX127.0.0.1:40000")))
"""
    script = script.replace("KIND", kind).replace("PREFIX", "http://" if kind == "http" else "")
    setup = 'ip link set lo up; echo "40000 40000" >/proc/sys/net/ipv4/ip_local_port_range'
    done = subprocess.run(
        [
            "unshare",
            "--net",
            "sh",
            "-ec",
            f'{setup}; exec "$@"',
            "sh",
            sys.executable,
            "-c",
            script,
        ],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )

    prefix = "tcp " if kind == "tcp" else "http://"
    assert done.stdout == f"{prefix}127.0.0.1:40000: connection refused\n"


# -- http


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 204 No Content\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000,
    ],
)
def test_answer_from_200_to_399_is_ready(answer: bytes) -> None:
    with Answering(answer) as server:
        assert is_ready(Probe(http=f"http://{server.address}/health?full"))

    assert server.requests[0].startswith(
        f"GET /health?full HTTP/1.1\r\nHost: {server.address}\r\n".encode()
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\nno", "503 Service Unavailable"),
        (b"HTTP/1.1 404\r\n\r\n", "404"),
        (b"", "the connection was closed before an answer"),
        (b"HTTP/1.1 200 OK\r\nServ", "the connection was closed before an answer"),
        (b"220 mail ESMTP\r\n", "the answer is not HTTP/1: '220 mail ESMTP\\r'"),
        (
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000,
            "the head of the answer is longer than 8192 bytes",
        ),
    ],
)
def test_any_other_answer_is_a_failure_that_says_so(answer: bytes, reason: str) -> None:
    with Answering(answer) as server:
        url = f"http://{server.address}/"

        assert failure_of(Probe(http=url)) == f"{url}: {reason}"


@pytest.mark.parametrize(
    ("answer", "timeout", "reason"),
    [
        (b"", 0.05, "no answer within 0.05 s"),
        (b"HTTP/1.1 200 OK\r\n", 0.05, "no answer within 0.05 s"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\n", 1.0, "500 Oops"),
    ],
)
def test_server_that_stays_silent_is_given_up_at_the_timeout(
    answer: bytes, timeout: float, reason: str
) -> None:
    with Answering(answer, stays=True) as server:
        url = f"http://{server.address}/"

        assert failure_of(Probe(http=url), timeout=timeout) == f"{url}: {reason}"


def test_refused_http_connection_is_told() -> None:
    url = f"http://localhost:{free_port()}/"

    assert failure_of(Probe(http=url)) == f"{url}: connection refused"


def test_server_is_heard_out_before_the_connection_is_closed() -> None:
    with Answering(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 50_000) as server:
        assert is_ready(Probe(http=f"http://{server.address}/"))

    assert server.cut_off == 0


def test_server_that_keeps_the_connection_does_not_delay_the_success() -> None:
    with Answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", stays=True) as server:
        assert is_ready(Probe(http=f"http://{server.address}/"))


# -- exec


@pytest.mark.parametrize(
    ("status", "output", "reason"),
    [
        (Exited(2), b"", "exit code 2"),
        (Exited(1), b"trying\nno response\n\n", "exit code 1: no response"),
        (Exited(1), b"\x1b[31mbad\xff\n", "exit code 1: \\x1b[31mbad\ufffd"),
        (Exited(1), b"x" * 4096, "exit code 1: " + "x" * 200),
        (Killed(11), b"", "SIGSEGV"),
        (None, b"", "cannot be run"),
        (None, b"No such file or directory", "cannot be run: No such file or directory"),
    ],
)
def test_failing_command_is_told_with_its_last_words(
    status: ExitStatus | None, output: bytes, reason: str
) -> None:
    with running_loop() as loop:
        commands = Commands()
        prober = Prober(loop, commands.run)
        prober.watch_ready("web", spec(Ready(Probe(exec=("check", "-q")))), never)
        turn_until(loop, lambda: commands.started)

        commands.end(status, output)
        turn_until(loop, lambda: prober.last_failure("web"))

        assert prober.last_failure("web") == f"exec check -q: {reason}"


def test_command_killed_for_its_time_is_told_as_such() -> None:
    with running_loop() as loop:
        commands = Commands()
        prober = Prober(loop, commands.run)
        prober.watch_ready("web", spec(Ready(Probe(exec=("check",)), timeout=SOON)), never)
        turn_until(loop, lambda: commands.started)
        turn_for(loop, SOON)

        commands.end(None, b"connecting...\n")
        turn_until(loop, lambda: prober.last_failure("web"))

        assert prober.last_failure("web") == "exec check: no result within 0.005 s: connecting..."


def test_next_command_starts_after_the_last_has_ended() -> None:
    found: list[bool] = []
    with running_loop() as loop:
        commands = Commands()
        prober = Prober(loop, commands.run)
        ready = Ready(Probe(exec=("check",)), interval=SOON, timeout=9.0)
        prober.watch_ready("web", spec(ready), lambda: found.append(True))
        turn_until(loop, lambda: commands.started)
        turn_for(loop, 3 * SOON)
        assert commands.started == [("web", ("check",), 9.0)]

        commands.end(Exited(1))
        turn_until(loop, lambda: len(commands.started) == 2)
        commands.end(Exited(0))
        turn_until(loop, lambda: found)

        assert commands.called_off == 0


def test_result_that_comes_from_within_the_start_is_taken() -> None:
    found: list[bool] = []

    def run(_spec: object, _argv: object, _timeout: object, ended: Ended) -> Callable[[], None]:
        ended(Exited(0), b"")
        return lambda: None

    with running_loop() as loop:
        ready = Ready(Probe(exec=("check",)))
        Prober(loop, run).watch_ready("web", spec(ready), lambda: found.append(True))

        turn_until(loop, lambda: found)
