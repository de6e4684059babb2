"""`exec`: one more process in a running container, relayed to this terminal or these pipes.

The command's own process enters the pid namespace for its children, forks once, and the child
enters the others; so the process is the command's child and its end is seen by waitpid(2).  The
child is not dumpable until it executes (`becoming.hide_from_container`), has no descriptor of
ours, and passes the same last steps as a container's first process.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import fcntl
import os
import struct

from runtime.container import attach, busy
from runtime.container.bundle import places
from runtime.container.monitor.loop import READ, WRITE, MonitorLoop
from runtime.container.monitor.streams import Streams
from runtime.container.start import becoming, diagnose, seccomp_cache
from runtime.linux import capabilities, cgroups, namespaces, processes, pty
from runtime.linux.failpoints import reached
from runtime.model import jsontext
from runtime.model.container import defaults, statuses
from runtime.model.contexts import suppress
from runtime.model.errors import RuntimeFailure
from runtime.model.image.image_config import DEFAULT_PATH
from supervise.linux import handlerstack
from supervise.model.errors import reason_of
from supervise.model.exitstatus import from_wait_status, shell_code
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from runtime.model.container.spec import Spec
    from runtime.model.container.state import State
    from runtime.store.layout import Layout

_TERMINAL = b"T"
# Those of pids is entered by fork, that of users after everything that takes power over these.
_KINDS = (
    namespaces.CLONE_NEWNS
    | namespaces.CLONE_NEWUTS
    | namespaces.CLONE_NEWIPC
    | namespaces.CLONE_NEWNET
    | namespaces.CLONE_NEWCGROUP
)
_CHUNK = 65536
_MUCH = 1 << 20  # bytes of output that wait for a slow reader of ours before we stop reading
_PASSED_ON = (1, 2, 3, 10, 12, 15)
_SIGCHLD, _SIGWINCH, _SIGPIPE = 17, 28, 13


class ExecRequest(Record):
    """What is to be executed, and how."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = {}
    user: str | None = None  # None: the container's
    working_dir: str = ""  # empty: the container's
    tty: bool = False
    interactive: bool = False
    detached: bool = False
    privileged: bool = False
    detach_keys: bytes = b""
    is_ours: bool = False  # a program of the bundle: what is set for the image's does not count


def execute(layout: Layout, spec: Spec, state: State, request: ExecRequest) -> int:
    """Run *request* in the container; returns its exit code, 0 when it was detached.

    Raises:
        RuntimeFailure: the container does not run, or the program cannot be started.
    """
    if state.status != statuses.RUNNING:
        hint = (
            "runtime unpause it first"
            if state.status == statuses.PAUSED
            else f"runtime start {spec.name}"
        )
        raise RuntimeFailure(f"container '{spec.name}' is {state.status}, not running", hint, 1)
    started = ExecProcess(layout, spec, state, request)
    if request.detached:
        return 0
    return ExecRelay(started, request).run()


class ExecProcess:
    """A process in the container, from before its fork to its end."""

    def __init__(self, layout: Layout, spec: Spec, state: State, request: ExecRequest) -> None:
        self._layout, self._spec, self._request = layout, spec, request
        self._monitor_pid = state.monitor_pid
        self.loop = MonitorLoop()
        self.streams = Streams(self.loop, self._output, self._input_room)
        self.output: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
        self.input_room = True
        self.pid = 0
        kept = capabilities.held() if request.privileged else capabilities.mask(spec.capabilities)
        self._kept = kept & capabilities.held()
        self._filter = b"" if request.privileged else seccomp_cache.program(spec, layout)
        self._target = _open_target(spec, state)
        self._window = _our_window() if request.tty else (0, 0)
        try:
            self._start()
        finally:
            os.close(self._target)

    def _start(self) -> None:
        request = self._request
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        if request.detached:
            null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
            ends = (null, null, null)
        elif request.tty:
            ends = (-1, -1, -1)
        else:
            ends = self.streams.open_pipes(stdin=request.interactive)
        run = self._layout.container_run(self._spec.id)
        busy.keep(run, self._monitor_pid, self._target)
        own = namespaces.open_own("pid")
        blocked = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
        try:
            namespaces.setns(self._target, namespaces.CLONE_NEWPID)
            self.pid = os.fork()
            if self.pid == 0:
                self._become(theirs, ends)
            namespaces.setns(own, namespaces.CLONE_NEWPID)
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, blocked)
            os.close(own)
            for fd in {*ends, theirs.fileno()} - {-1}:
                os.close(fd)
            theirs.detach()
        reached("exec-forked")
        self._await_program(ours)
        ours.close()

    def _await_program(self, channel: _socket.socket) -> None:
        """Return when the program runs; raise RuntimeFailure with the reason when it does not."""
        while True:
            data, rights, _, _ = channel.recvmsg(_CHUNK, _socket.CMSG_SPACE(4))
            for level, kind, body in rights:
                if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
                    (master,) = struct.unpack("i", body[:4])
                    fcntl.fcntl(master, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
                    self.streams.take_terminal(master, stdin=self._request.interactive)
            if data == _TERMINAL:
                continue
            if not data:
                return
            os.waitpid(self.pid, 0)
            said = jsontext.loads(data)
            raise RuntimeFailure(said["message"], said["hint"], said["code"])

    def _become(self, channel: _socket.socket, ends: tuple[int, int, int]) -> NoReturn:
        """Turn into the program; never returns."""
        code, hint = 125, ""
        try:
            program, environment = self._enter(channel, ends)
            becoming.die_with_parent(wanted=False)  # a detached one is to outlive us
            try:
                os.execve(program, self._request.argv, environment)
            except OSError as error:
                raise diagnose.explain(program, error.errno or 0) from None
        except diagnose.CannotExecuteError as error:
            message, code = str(error), error.code
        except RuntimeFailure as error:
            message, hint, code = error.message, error.hint, error.code
        except OSError as error:
            what = f" '{error.filename}'" if error.filename else ""
            message = f"cannot enter the container:{what} {error.strerror or error}"
        except Exception as error:  # noqa: BLE001 - nobody else can say why it did not start
            message = f"cannot enter the container: {reason_of(error)}"
        finally:
            with suppress(OSError, NameError):
                said = {"message": message, "hint": hint, "code": code}
                channel.send(jsontext.dumps(said).encode())
            os._exit(code)

    def _enter(
        self, channel: _socket.socket, ends: tuple[int, int, int]
    ) -> tuple[str, dict[str, str]]:
        """Do every step up to the last; return the program's path and its variables."""
        spec, request = self._spec, self._request
        becoming.die_with_parent()
        becoming.close_all_but((channel.fileno(), self._target, *ends))
        _check_parent(channel)
        becoming.hide_from_container()
        os.setsid()
        os.umask(0o022)
        cgroups.of(spec.id).enter(limit_devices=not spec.privileged)
        namespaces.setns(self._target, _KINDS)
        reached("exec-entered")
        user = spec.user if request.user is None else request.user
        found = becoming.resolve_user(user, spec.groups)
        owner = found.uid + (defaults.MAPPED_FIRST if spec.user_namespace else 0)
        if request.tty:
            devpts_fd = pty.open_terminals()
            becoming.open_terminal(channel, _TERMINAL, devpts_fd, owner, self._window)
            os.close(devpts_fd)
        else:
            becoming.take_pipes(ends, owner)
        becoming.set_limits(spec.rlimits)
        if spec.user_namespace:
            becoming.enter_user_namespace(self._target)
        os.close(self._target)
        becoming.take_identity(found, self._kept)
        reached("exec-user")
        becoming.enter(request.working_dir or spec.working_dir)
        environment = self._environment(found.home)
        program = diagnose.find(self._request.argv[0], environment)
        becoming.give_up_privileges(
            found,
            self._kept,
            no_new_privileges=spec.no_new_privileges and not request.privileged,
            filter_program=self._filter,
            blocked=set(),
        )
        return program, environment

    def _environment(self, home: str) -> dict[str, str]:
        found = {**self._spec.environment, **self._request.environment}
        found.setdefault("PATH", DEFAULT_PATH)
        if self._request.tty:
            found.setdefault("TERM", "xterm")
        if self._request.user is not None or "HOME" not in found:
            found["HOME"] = self._request.environment.get("HOME", home or "/")
        if self._spec.init == "supervise":
            found["PATH"] = f"{found['PATH']}:{places.COMMANDS}"
        return places.without_loaders(found) if self._request.is_ours else found

    def _output(self, stream: str, data: bytes) -> None:
        waiting = self.output[1 if stream == "stdout" else 2]
        waiting += data
        if len(waiting) > _MUCH:
            self.streams.pause(pause=True)

    def _input_room(self, room: bool) -> None:  # noqa: FBT001 - a callback with one argument
        self.input_room = room


class ExecRelay:
    """Carries bytes between our three descriptors and the process until it ends."""

    def __init__(self, process: ExecProcess, request: ExecRequest) -> None:
        self._process = process
        self._loop = process.loop
        self._tty = request.tty
        self._stdin = request.interactive
        self._keys = attach.Keys(request.detach_keys if request.tty else b"")
        self._terminal = attach.RawTerminal(wanted=request.tty and request.interactive)
        self._code: int | None = None

    def run(self) -> int:
        """Work until the process has ended; returns its exit code."""
        handlerstack.ensure()
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        _signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
        for number in (_SIGCHLD, _SIGWINCH, *_PASSED_ON):
            _signal.signal(number, _noted)
        _signal.signal(_SIGPIPE, _signal.SIG_IGN)
        self._loop.watch(read_fd, READ, lambda _events: self._signalled(os.read(read_fd, 4096)))
        self._process.streams.start()
        self._read_stdin(wanted=self._stdin)
        with self._terminal:
            self._reap()
            while self._code is None:
                self._loop.once()
                self._show()
        self._process.streams.pause(pause=False)
        self._process.streams.drain()
        self._process.streams.close()
        while any(self._process.output.values()):
            self._show()
        return self._code

    def _signalled(self, numbers: bytes) -> None:
        for number in numbers:
            if number == _SIGCHLD:
                self._reap()
            elif number == _SIGWINCH and self._tty:
                self._process.streams.resize(*_our_window())
            elif number in _PASSED_ON:
                with suppress(ProcessLookupError):  # it has just ended
                    os.kill(self._process.pid, number)

    def _reap(self) -> None:
        pid, status = os.waitpid(self._process.pid, os.WNOHANG)
        if pid:
            self._code = shell_code(from_wait_status(status))

    def _read_stdin(self, *, wanted: bool) -> None:
        # A regular file cannot be polled, and is always ready.
        if not wanted:
            self._loop.unwatch(0)
            return
        try:
            self._loop.watch(0, READ, lambda _events: self._typed())
        except PermissionError:
            while self._stdin:
                self._typed()

    def _typed(self) -> None:
        try:
            data = os.read(0, _CHUNK)
        except OSError:  # EIO: our terminal is gone
            data = b""
        if not data:
            self._stdin = False
            self._loop.unwatch(0)
            if not self._tty:
                self._process.streams.close_input()
            return
        passed, detach = self._keys.feed(data)
        self._process.streams.feed(passed)
        if detach:
            self._code = 0
        elif not self._process.input_room:
            self._loop.unwatch(0)
            self._loop.after(0.01, self._resume_stdin)

    def _resume_stdin(self) -> None:
        if self._process.input_room:
            self._read_stdin(wanted=self._stdin)
        else:
            self._loop.after(0.01, self._resume_stdin)

    def _show(self) -> None:
        """Write what has come, waiting for a slow reader: the process then waits for us."""
        for fd, waiting in self._process.output.items():
            while waiting:
                try:
                    del waiting[: os.write(fd, waiting)]
                except BlockingIOError:
                    _wait_writable(fd)
                except OSError:  # EPIPE: nobody wants it any more
                    waiting.clear()
        self._process.streams.pause(pause=False)


def _wait_writable(fd: int) -> None:
    import select

    poll = select.poll()
    poll.register(fd, WRITE)
    poll.poll()


def _our_window() -> tuple[int, int]:
    for fd in (0, 1, 2):
        with suppress(OSError):  # not a terminal
            return pty.window(fd)
    return 0, 0


def _open_target(spec: Spec, state: State) -> int:
    """Return a pidfd of the container's first process, and of no other."""
    try:
        fd = os.pidfd_open(state.pid)
    except OSError:
        raise _not_running(spec) from None
    if not processes.exists(state.pid, state.pid_started):
        os.close(fd)
        raise _not_running(spec)
    return fd


def _check_parent(channel: _socket.socket) -> None:
    """End if the command was killed before it could take us along."""
    with suppress(BlockingIOError):  # it lives, and says nothing
        if not channel.recv(1, _socket.MSG_DONTWAIT | _socket.MSG_PEEK):
            os._exit(125)


def _not_running(spec: Spec) -> RuntimeFailure:
    return RuntimeFailure(
        f"container '{spec.name}' is not running", f"runtime start {spec.name}", code=1
    )


def _noted(_number: int, _frame: object) -> None:
    """Do nothing: the wake-up descriptor tells the loop."""
