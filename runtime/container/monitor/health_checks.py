"""A container's health check: its command run again and again, never holding its monitor up.

To enter a container takes milliseconds, and longer where cgroups are of the first version, so a
process of its own does it: the **prober**, forked from the monitor for one check, which runs the
command as `exec` does, ends it when its time is over, and tells the result through a pipe.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import time

from runtime.container import execute
from runtime.container.monitor.loop import READ
from runtime.container.start import becoming
from runtime.model import jsontext
from runtime.model.container import health
from runtime.model.container.state import HealthProbe
from runtime.model.contexts import suppress
from runtime.model.errors import RuntimeFailure
from supervise.linux import prctl
from supervise.model.exitstatus import from_wait_status, shell_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from runtime.container.monitor.loop import MonitorLoop, MonitorTimer
    from runtime.model.container.spec import Spec
    from runtime.model.container.state import State
    from runtime.model.image.image_config import Healthcheck
    from runtime.store.layout import Layout

_PR_SET_PDEATHSIG, _SIGKILL, _SIGTERM = 1, 9, 15
_MOST_REPORT = 65536
# Seconds beyond its own time after which a prober that says nothing is given up: it hangs in the
# kernel, in a frozen cgroup for instance.
_PATIENCE = 10.0


class Checks:
    """The checks of one life of a container; its monitor owns them."""

    def __init__(
        self,
        layout: Layout,
        spec: Spec,
        check: Healthcheck,
        loop: MonitorLoop,
        on_result: Callable[[HealthProbe], State],
    ) -> None:
        self._layout, self._spec, self._check, self._loop = layout, spec, check, loop
        self._on_result = on_result  # returns the state it led to
        self._timer: MonitorTimer | None = None
        self._prober = 0  # its pid
        self._read_fd = -1
        self._report = bytearray()
        self._began = 0.0

    def start(self, state: State) -> None:
        """Let the next check come when it is due."""
        due = health.delay(self._check, state, time.time())
        self._timer = self._loop.after(due, lambda: self._fork(state))

    def stop(self) -> None:
        """End what runs and check no more, until `start`. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._prober:
            os.kill(self._prober, _SIGTERM)  # not reaped yet: it is still that one
        self._close()

    def child_ended(self, pid: int) -> bool:
        """Return whether *pid*, which has been reaped, was the prober."""
        if not pid or pid != self._prober:
            return False
        self._prober = 0
        if self._read_fd >= 0:
            self._read()  # what it said last may still be there
        return True

    def _fork(self, state: State) -> None:
        self._timer = None
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._began = time.time()
        pid = os.fork()
        if pid == 0:
            _probe(self._layout, self._spec, state, self._check, write_fd)
        os.close(write_fd)
        self._prober, self._read_fd = pid, read_fd
        self._report.clear()
        self._loop.watch(read_fd, READ, lambda _events: self._read())
        self._timer = self._loop.after(
            health.timeout(self._check) + _PATIENCE, lambda: os.kill(pid, _SIGKILL)
        )

    def _read(self) -> None:
        try:
            while data := os.read(self._read_fd, _MOST_REPORT):
                self._report += data
        except BlockingIOError:
            return
        self._close()
        if self._timer is not None:
            self._timer.cancel()
        self.start(self._on_result(self._result()))

    def _result(self) -> HealthProbe:
        code, output = health.TIMED_OUT, "the process that was to check was killed"
        if self._report:
            said = jsontext.loads(bytes(self._report))
            code, output = said["code"], said["output"]
        return HealthProbe(self._began, time.time(), code, output)

    def _close(self) -> None:
        if self._read_fd >= 0:
            self._loop.unwatch(self._read_fd)
            os.close(self._read_fd)
            self._read_fd = -1


def _probe(layout: Layout, spec: Spec, state: State, check: Healthcheck, write_fd: int) -> NoReturn:
    """Be the prober: run the command once and tell; never returns."""
    try:
        # Nothing of the monitor's is ours: neither its loop nor, above all, its lock.
        becoming.close_all_but((write_fd,))
        _signal.set_wakeup_fd(-1)
        _signal.signal(_SIGTERM, _signal.SIG_DFL)
        prctl.prctl(_PR_SET_PDEATHSIG, _SIGKILL)
        limit = health.timeout(check)
        request = execute.ExecRequest(argv=health.argv(check, spec.shell))
        try:
            code, output = _run(execute.ExecProcess(layout, spec, state, request), limit)
        except (RuntimeFailure, OSError) as error:
            code, output = health.TIMED_OUT, str(error).encode()
        text = output.decode(errors="replace")
        os.write(write_fd, jsontext.dumps({"code": code, "output": text}).encode())
    finally:
        os._exit(0)


def _run(process: execute.ExecProcess, limit: float) -> tuple[int, bytes]:
    """Wait for the command at most *limit* seconds; return its exit code and what it printed."""

    def give_up(_number: int, _frame: object) -> None:
        _kill(process)
        os._exit(0)  # without waiting: it may be frozen

    _signal.signal(_SIGTERM, give_up)
    output = bytearray()
    ended: list[bool] = []
    loop = process.loop
    pidfd = os.pidfd_open(process.pid)
    loop.watch(pidfd, READ, lambda _events: ended.append(True))
    loop.after(limit, lambda: ended.append(False))
    process.streams.start()
    while not ended:
        loop.once()
        _keep(process, output)
    in_time = ended[0]
    if not in_time:
        _kill(process)
    _, status = os.waitpid(process.pid, 0)
    process.streams.drain()
    _keep(process, output)
    if not in_time:
        return health.TIMED_OUT, f"Health check exceeded timeout ({limit:g}s)".encode()
    return shell_code(from_wait_status(status)), bytes(output)


def _kill(process: execute.ExecProcess) -> None:
    """End the command and what it has started: it leads a session of its own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, _SIGKILL)


def _keep(process: execute.ExecProcess, output: bytearray) -> None:
    """Keep the first of what it prints and throw the rest away, so that it can go on."""
    for waiting in process.output.values():
        output += waiting[: max(0, health.MOST_OUTPUT - len(output))]
        waiting.clear()
    process.streams.pause(pause=False)
