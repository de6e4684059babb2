"""A real PID 1 in a pid namespace of its own, seen and steered from outside.

`unshare` makes the namespaces and waits, so that its exit code is PID 1's.  PID 1 has an empty
/run, the test's directory as its working directory, and the test programs on its PATH.  Nothing
of it outlives `close`: the kernel kills what is left of a namespace when its PID 1 dies.
"""

from __future__ import annotations

import array
import fcntl
import json
import os
import signal
import subprocess
import termios
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from tests.support import procfs
from tests.support.drain import Drain
from tests.support.eventually import PATIENCE, eventually

_NAMESPACES = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
_AS_ROOT_OF_ITS_OWN = ("--user", "--map-root-user")  # for those who are not root outside
# The gate is a fifo: the shell waits at it until its pid is known outside, however short its life.
_EMPTY_RUN = 'read -r _ <.gate; mount -t tmpfs -o mode=0755 tmpfs /run && rm .gate && exec "$@"'

_OURS = ("/supervise", "/faulty_pid1.py", "/turned_clock.py")  # what `supervise` may be started as

Stdout = Literal["read", "stalled"]


class Pid1:
    """One running PID 1; use the `bench` fixture to get one."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        directory: Path,
        environment: Mapping[str, str],
        prefix: Sequence[str] = (),
        stdin: int | None = None,
        stdout: Stdout | int = "read",
    ) -> None:
        """Start *command* as PID 1.

        Args:
            command: what becomes PID 1, found on the PATH of *environment*.
            directory: its working directory.
            environment: its whole environment.
            prefix: a program in front that executes *command*, such as ``setpriv …``.
            stdin: a descriptor, /dev/null if None.
            stdout: "read": two pipes that are read all the time; "stalled": two pipes that
                nobody reads; or a descriptor for both streams, which stays the caller's.
        """
        self.directory = directory
        self.environment = dict(environment)
        self._drain: Drain | None = None
        self._stalled: list[int] = []
        self._code: int | None = None
        self._answers = False
        rootless = _AS_ROOT_OF_ITS_OWN if os.geteuid() else ()
        gated = ("sh", "-c", _EMPTY_RUN, "sh", *prefix, *command)
        gate = directory / ".gate"
        os.mkfifo(gate)
        out, err = self._output(stdout)
        self._launcher = subprocess.Popen(
            [*_NAMESPACES, *rootless, "--", *gated],
            cwd=directory,
            env=self.environment,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        if isinstance(stdout, str):
            os.close(out)
            os.close(err)
        self.pid = eventually(lambda: procfs.children(self._launcher.pid))[0]
        self.namespace = procfs.namespace(self.pid)
        os.close(eventually(lambda: os.open(gate, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)))
        eventually(lambda: not gate.exists())

    def _output(self, stdout: Stdout | int) -> tuple[int, int]:
        if isinstance(stdout, int):
            return stdout, stdout
        out_read, out_write = os.pipe2(os.O_CLOEXEC)
        err_read, err_write = os.pipe2(os.O_CLOEXEC)
        if stdout == "read":
            self._drain = Drain({"stdout": out_read, "stderr": err_read})
        else:
            self._stalled = [out_read, err_read]
        return out_write, err_write

    # -- what it says

    @property
    def console(self) -> str:
        """What `docker logs` would show: both streams in the order of arrival."""
        assert self._drain is not None, "nobody reads its output"
        return self._drain.everything().decode("utf-8", "backslashreplace")

    def stream(self, name: Literal["stdout", "stderr"]) -> bytes:
        """Return the bytes of one stream so far."""
        assert self._drain is not None, "nobody reads its output"
        return self._drain.bytes_of(name)

    def lines_of(self, service: str) -> list[str]:
        """Return the console lines of *service* without their prefix."""
        lines = (line.partition(" | ") for line in self.console.splitlines())
        return [text for name, _, text in lines if name.strip() == service]

    def wait_for(self, text: str, timeout: float = PATIENCE) -> None:
        """Wait until the console shows *text*."""
        try:
            eventually(lambda: text in self.console, timeout)
        except AssertionError:
            raise AssertionError(f"the console never showed {text!r}:\n{self.console}") from None

    def close_output(self) -> None:
        """Let the readers of its stdout and stderr go away: its next write meets EPIPE."""
        assert self._drain is not None, "nobody reads its output"
        self._drain.close()
        self._drain = None

    # -- what it is

    def init(self) -> int:
        """Return the pid of `supervise` itself, which is not PID 1 under another init."""
        for process in self.processes():
            if any(argument.endswith(_OURS) for argument in process.arguments[:2]):
                return process.pid
        raise AssertionError(f"no supervise among {self.processes()}")

    def wait_up(self) -> None:
        """Wait until SIGTERM would be obeyed: its handler is there."""

        def up() -> bool:
            assert self._launcher.poll() is None, f"it ended at once:\n{self._said()}"
            return signal.SIGTERM in procfs.signal_set(self.init(), "SigCgt")

        eventually(up)

    def _said(self) -> str:
        return self.console if self._drain is not None else "(its output is not read)"

    def processes(self) -> list[procfs.ProcessRow]:
        """Describe every process in its pid namespace, itself included."""
        return procfs.in_namespace(self.namespace)

    def find(self, *words: str) -> list[procfs.ProcessRow]:
        """Describe the processes with all *words* in their command line, PID 1 left out."""
        return [
            process
            for process in self.processes()
            if process.pid != self.pid and all(word in process.arguments for word in words)
        ]

    def zombies(self) -> list[procfs.ProcessRow]:
        """Describe the dead that nobody has reaped."""
        return [process for process in self.processes() if process.state == "Z"]

    # -- what one does to it

    def signal(self, number: int) -> None:
        """Send a signal to PID 1, as `docker kill` does: from the parent namespace."""
        os.kill(self.pid, number)

    def run(
        self, *argv: str, timeout: float = PATIENCE, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run *argv* beside PID 1, as `docker exec` does; never raises for its exit code."""
        return subprocess.run(
            [*self.enter(), *argv],
            env=self.environment,
            capture_output=True,
            input=text,
            text=True,
            errors="backslashreplace",
            timeout=timeout,
            check=False,
        )

    def enter(self) -> list[str]:
        """Return the words in front of a command that run it inside, in the same directory."""
        user = ["--user", "--preserve-credentials"] if os.geteuid() else []
        target = f"--target={self.pid}"
        return ["nsenter", target, *user, "--mount", "--pid", f"--wd={self.directory}", "--"]

    def ctl(self, *arguments: str, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """Run supervisectl inside."""
        return self.run("supervisectl", *arguments, timeout=timeout)

    def status(self) -> dict[str, dict[str, Any]]:
        """Return `supervisectl status --json`, keyed by service name.

        The first call waits for the control socket, later ones want an answer.
        """
        if not self._answers:
            eventually(lambda: self.ctl("status").returncode == 0)
            self._answers = True
        answer = self.ctl("status", "--json")
        rows = json.loads(answer.stdout or "null")
        assert rows is not None, f"supervisectl status: {answer}"
        if isinstance(rows, dict):
            rows = rows["services"]
        return {row["name"]: row for row in rows}

    def wait_state(self, service: str, state: str, timeout: float = PATIENCE) -> dict[str, Any]:
        """Wait until *service* is in *state* and return its row of the status."""

        def reached() -> dict[str, Any] | None:
            row = self.status()[service]
            assert row["state"] == state, f"{service} is {row}"
            return row

        return eventually(reached, timeout) or {}

    # -- how it ends

    @property
    def running(self) -> bool:
        """Whether PID 1 lives."""
        return self._code is None and self._launcher.poll() is None

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for PID 1 to end and return its exit code, as `docker wait` does.

        Raises:
            AssertionError: it still runs after *timeout* seconds; it says what it printed.
        """
        if self._code is None:
            try:
                self._code = self._launcher.wait(timeout)
            except subprocess.TimeoutExpired:
                left = "\n".join(map(str, self.processes()))
                raise AssertionError(f"still there:\n{left}\n{self._said()}") from None
            if self._drain is not None:
                assert self._drain.join(PATIENCE), "someone holds its stdout although it is gone"
        return self._code

    def terminate(self, timeout: float = PATIENCE) -> int:
        """Send SIGTERM and wait: `docker stop`."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def stalled_bytes(self) -> int:
        """Return how much waits in the pipe of its stdout that nobody reads."""
        waiting = array.array("i", [0])
        fcntl.ioctl(self._stalled[0], termios.FIONREAD, waiting)
        return waiting[0]

    def close(self) -> None:
        """Kill whatever is left and release everything; idempotent."""
        if self._launcher.poll() is None:
            with suppress(ProcessLookupError):  # it ended this moment
                os.kill(self.pid, signal.SIGKILL)
        self._launcher.wait()
        if self._drain is not None:
            self._drain.close()
            self._drain = None
        while self._stalled:
            os.close(self._stalled.pop())
