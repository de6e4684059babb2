"""What the supervisor asks of the system, as one narrow object, and the real one.

The supervisor reaches processes through `Kernel` alone, so that tests can run whole stories
against scripted programs; a contract test runs the same cases on both.
"""

from __future__ import annotations

import errno
import os
import resource

from supervise.linux import (
    identity,
    procfs,
    reap,
    signal_actions,
    spawn,
)
from supervise.linux.request import BaseEnvironment, SpawnError, SpawnRequest
from supervise.model.exitstatus import ExitStatus
from supervise.model.service import ServiceSpec, Stdin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from typing import Protocol

    class Kernel(Protocol):
        """Processes, as the supervisor sees them."""

        def start(self, spec: ServiceSpec, *, piped: bool) -> StartedChild:
            """Start *spec*'s program; raises SpawnError."""

        def run(self, spec: ServiceSpec, argv: tuple[str, ...]) -> StartedChild:
            """Start *argv* as *spec*'s user in its surroundings, stdout and stderr in one pipe."""

        def confirm(self, started: StartedChild) -> None:
            """Take the verdict of an unconfirmed start; raises SpawnError."""

        def reap(self) -> list[tuple[int, ExitStatus]]:
            """Return some of the children that have ended; empty when none is left to take."""

        def stopped(self) -> list[tuple[int, int]]:
            """Return (pid, signal) of children that were stopped by a signal."""

        def kill(self, pid: int, number: int) -> bool:
            """Signal one process; False when it is gone."""

        def kill_group(self, group: int, number: int) -> bool:
            """Signal a process group; False when it has no members."""

        def kill_everyone(self, number: int) -> None:
            """Signal every process we are answerable for, but not ourselves."""

        def has_children(self) -> bool:
            """Return whether any child, reaped or not, is left."""

        def children(self) -> list[str]:
            """Return our children that have not ended, as ``name (pid)``."""

        def descendants(self, pid: int) -> list[tuple[int, int]]:
            """Return (pid, start time) of all below *pid* that left its process group."""

        def below(self, pid: int) -> list[int]:
            """Return all below *pid*."""

        def orphans(self, known: Container[int]) -> dict[str, list[tuple[int, int, int]]]:
            """Return (pid, start time, group) of those reparented to us and below, by service."""

        def is_alive(self, pid: int, start_time: int) -> bool:
            """Return whether that very process still runs."""

        def forget(self, service: str) -> None:
            """Drop what is remembered of a service's surroundings: its spec has changed."""


class StartedChild:
    """A child that was started.  The descriptors are owned by whoever called."""

    __slots__ = ("confirm_fd", "pid", "request", "stderr_fd", "stdout_fd")

    def __init__(
        self,
        pid: int,
        stdout_fd: int | None,
        stderr_fd: int | None,
        confirm_fd: int | None = None,
        request: SpawnRequest | None = None,
    ) -> None:
        self.pid = pid
        self.stdout_fd = stdout_fd
        self.stderr_fd = stderr_fd
        self.confirm_fd = confirm_fd
        self.request = request


# What tells a service about another supervisor's arrangements, not about ours.
_NOT_INHERITED = frozenset(
    {
        "LISTEN_FDS",
        "LISTEN_FDNAMES",
        "LISTEN_PID",
        "MAINPID",
        "NOTIFY_SOCKET",
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
    }
)


class LinuxKernel:
    """The real one.

    *environ* and *working_dir* are those PID 1 was started with; *notify_socket* is told to
    services that announce their readiness themselves.
    """

    def __init__(self, environ: Mapping[str, str], working_dir: str | None) -> None:
        self._environment = BaseEnvironment(
            {name: value for name, value in environ.items() if name not in _NOT_INHERITED}
        )
        self._working_dir = working_dir
        self._requests: dict[str, SpawnRequest] = {}
        self._is_init = os.getpid() == 1
        self._null_fd = _open_null()
        self.notify_socket: str | None = None

    def start(self, spec: ServiceSpec, *, piped: bool) -> StartedChild:
        """Start *spec*'s program, its output into two pipes or into ours.

        Raises:
            SpawnError: with the stage, the errno and a sentence.
        """
        request = self._requests.get(spec.name)
        if request is None:
            request = self._requests[spec.name] = self._request(spec, spec.command)
        request.stdin_fd = 0 if spec.stdin is Stdin.TTY else self._null_fd
        if not piped:
            request.stdout_fd, request.stderr_fd = 1, 2
            child = spawn.spawn(request)
            return StartedChild(child.pid, None, None, child.confirm_fd, request)
        pipes = _pipes(2)
        (stdout_read, request.stdout_fd), (stderr_read, request.stderr_fd) = pipes
        child = _spawn_into(request, pipes)
        return StartedChild(child.pid, stdout_read, stderr_read, child.confirm_fd, request)

    def run(self, spec: ServiceSpec, argv: tuple[str, ...]) -> StartedChild:
        """Start *argv* in *spec*'s surroundings, without its terminal; raises SpawnError."""
        request = self._request(spec.replace(stdin=Stdin.NULL), argv)
        request.stdin_fd = self._null_fd
        pipes = _pipes(1)
        read_fd = pipes[0][0]
        request.stdout_fd = request.stderr_fd = pipes[0][1]
        child = _spawn_into(request, pipes)
        return StartedChild(child.pid, read_fd, None, child.confirm_fd, request)

    def confirm(self, started: StartedChild) -> None:
        """Read the verdict that *started*.confirm_fd holds; raises SpawnError."""
        assert started.confirm_fd is not None
        assert started.request is not None
        fd, started.confirm_fd = started.confirm_fd, None
        spawn.confirm(fd, started.request)

    def reap(self) -> list[tuple[int, ExitStatus]]:
        """Return up to some hundred ended children; empty when none is left to take."""
        return reap.reap()

    def stopped(self) -> list[tuple[int, int]]:
        """Return (pid, signal) of children that were stopped since the last call."""
        return reap.stopped_children()

    def kill(self, pid: int, number: int) -> bool:
        """Signal one process; False when it is gone or, without privileges, not ours."""
        try:
            return signal_actions.kill(pid, number)
        except PermissionError:
            return False

    def kill_group(self, group: int, number: int) -> bool:
        """Signal a process group; False when it has no members."""
        return signal_actions.kill_group(group, number)

    def kill_everyone(self, number: int) -> None:
        """Signal the whole pid namespace as PID 1, else our own descendants alone.

        kill(-1) from an ordinary pid would hit strangers in a shared namespace.
        """
        if self._is_init:
            self.kill(-1, number)
            return
        for pid in procfs.descendants(os.getpid()):
            self.kill(pid, number)

    def has_children(self) -> bool:
        """Return whether waitpid would find anything."""
        return reap.has_children()

    def children(self) -> list[str]:
        """Return our children that have not ended, as ``name (pid)``; empty without /proc."""
        alive = (pid for pid in procfs.children(os.getpid()) if not procfs.is_zombie(pid))
        return [f"{procfs.command_of(pid)} ({pid})" for pid in alive]

    def descendants(self, pid: int) -> list[tuple[int, int]]:
        """Return (pid, start time) of all below *pid* that are not in its process group.

        Those in the group are reached, and asked after, through the group.
        """
        found = _identified(procfs.descendants(pid))
        return [(each, start_time) for each, start_time, group in found if group != pid]

    def below(self, pid: int) -> list[int]:
        """Return every descendant of *pid*, parents first."""
        return procfs.descendants(pid)

    def orphans(self, known: Container[int]) -> dict[str, list[tuple[int, int, int]]]:
        """Return, by service, the children of ours that are not *known*, with all below them.

        Each is (pid, start time, process group).  Their parents have ended; the marker in their
        environment tells whose they are, where we may read it (same uid, or CAP_SYS_PTRACE).
        """
        found: dict[str, list[tuple[int, int, int]]] = {}
        for pid in procfs.children(os.getpid()):
            if pid in known:
                continue
            service = procfs.service_of(pid)
            if service is not None:
                members = _identified([pid, *procfs.descendants(pid)])
                found.setdefault(service, []).extend(members)
        return found

    def is_alive(self, pid: int, start_time: int) -> bool:
        """Return whether the process of that pid and start time runs; a zombie does not."""
        found = procfs.stat(pid)
        return found is not None and found.start_time == start_time and found.state not in "ZX"

    def forget(self, service: str) -> None:
        """Resolve users and surroundings of *service* anew at its next start."""
        self._requests.pop(service, None)

    def _request(self, spec: ServiceSpec, argv: tuple[str, ...]) -> SpawnRequest:
        """Resolve what *spec* names (user, limits) in this image; raises SpawnError."""
        who = None
        try:
            if spec.user is not None or spec.groups is not None:
                who = identity.resolve(spec.user or str(os.getuid()), spec.groups)
        except identity.UnknownIdentityError as error:
            raise SpawnError("user", errno.ENOENT, str(error)) from error
        environment = who.environment() if who is not None else {}
        environment.update(spec.environment)
        environment[procfs.MARKER] = spec.name
        if spec.ready is not None and spec.ready.probe.notify and self.notify_socket:
            environment["NOTIFY_SOCKET"] = self.notify_socket
        return SpawnRequest(
            argv,
            environment,
            base=self._environment,
            working_dir=self._directory_of(spec),
            umask=spec.umask,
            identity=who,
            rlimits=_rlimits(spec.ulimits),
            nice=spec.nice,
            ionice=spec.ionice,
            oom_score_adj=spec.oom_score_adj,
            cpus=spec.cpus_allowed,
            cap_add=spec.cap_add,
            cap_drop=spec.cap_drop,
            no_new_privileges=spec.no_new_privileges,
            terminal_fd=0 if spec.stdin is Stdin.TTY and os.isatty(0) else None,
        )

    def _directory_of(self, spec: ServiceSpec) -> str | None:
        """Return where *spec* starts; PID 1 itself has left the directory it was started in."""
        if spec.working_dir is None:
            return self._working_dir
        return os.path.join(self._working_dir or "/", spec.working_dir)


def _identified(pids: list[int]) -> list[tuple[int, int, int]]:
    """Return (pid, start time, process group) of those that still are."""
    found = ((pid, procfs.stat(pid)) for pid in pids)
    return [(pid, stat.start_time, stat.group) for pid, stat in found if stat]


def _rlimits(ulimits: Mapping[str, tuple[int, int]]) -> dict[int, tuple[int, int]]:
    return {getattr(resource, f"RLIMIT_{name.upper()}"): pair for name, pair in ulimits.items()}


def _open_null() -> int:
    """Return a descriptor that reads as empty, also where there is no /dev."""
    try:
        return os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
        os.close(write_fd)
        return read_fd


def _pipes(count: int) -> list[tuple[int, int]]:
    """Return (read, write) pairs, the read ends non-blocking; raises SpawnError."""
    pipes: list[tuple[int, int]] = []
    try:
        for _ in range(count):
            pipes.append(os.pipe2(os.O_CLOEXEC))
            os.set_blocking(pipes[-1][0], False)
    except OSError as error:
        for pair in pipes:
            os.close(pair[0])
            os.close(pair[1])
        number = error.errno or errno.EMFILE
        message = f"cannot make a pipe for its output: {os.strerror(number)}"
        raise SpawnError("pipe", number, message) from error
    return pipes


def _spawn_into(request: SpawnRequest, pipes: list[tuple[int, int]]) -> spawn.Child:
    try:
        return spawn.spawn(request)
    except SpawnError:
        for read_fd, _write_fd in pipes:
            os.close(read_fd)
        raise
    finally:
        for _read_fd, write_fd in pipes:
            os.close(write_fd)
