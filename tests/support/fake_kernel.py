"""A kernel of scripted programs on a virtual clock.

It implements `supervise.daemon.kernel.Kernel` for the supervisor, and for tests the other side:
deaths, grandchildren, what was signalled when.  `tests/supervise/daemon/test_kernel_contract.py`
runs the same cases here and on the real kernel.
"""

from __future__ import annotations

import errno as errno_names
import os
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field

from supervise.daemon.kernel import StartedChild
from supervise.linux.request import SpawnError
from supervise.model.exitstatus import Exited, ExitStatus, Killed
from supervise.model.service import ServiceSpec
from supervise.model.signals import SIGNALS
from tests.support.virtual_loop import VirtualLoop

WELL = Exited(0)
SIGCHLD, SIGCONT, SIGKILL = SIGNALS["SIGCHLD"], SIGNALS["SIGCONT"], SIGNALS["SIGKILL"]
_STOPS = frozenset(SIGNALS[f"SIG{name}"] for name in ("STOP", "TSTP", "TTIN", "TTOU"))
_HARMLESS = frozenset(SIGNALS[f"SIG{name}"] for name in ("CHLD", "CONT", "URG", "WINCH"))
INIT = 1
ELSEWHERE = 0


@dataclass(frozen=True, repr=False)
class Program:
    """What a program does.  By default it runs for ever and dies of any signal at once."""

    runs: float | None = None  # seconds until it ends by itself
    ends: ExitStatus = WELL  # how it ends by itself
    ignores: frozenset[int] = frozenset()
    # signal → (seconds it takes to end, how it ends then)
    handles: Mapping[int, tuple[float, ExitStatus]] = field(default_factory=dict)
    children: Sequence[Program] = ()  # started with it
    setsid: bool = False  # as a child: leaves its parent's session and group
    unkillable: bool = False  # in uninterruptible sleep
    output: bytes = b""  # of a command
    # How its start goes.
    fails: int | None = None  # errno of the exec
    stage: str = "exec"
    confirms: float | None = None  # by fork: seconds until the verdict; None: at once
    dies_unconfirmed: bool = False  # between fork and exec

    def __repr__(self) -> str:
        usual = vars(Program())
        given = [f"{name}={value!r}" for name, value in vars(self).items() if value != usual[name]]
        return f"Program({', '.join(given)})"


@dataclass
class FakeProcess:
    """One process.  *marker* is the service it belongs to."""

    pid: int
    name: str
    program: Program
    parent: int
    group: int
    marker: str
    start_time: int
    ended: ExitStatus | None = None
    stopped: bool = False
    executed: bool = True
    received: list[tuple[float, int]] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)  # while it is stopped


class FakeKernel:
    """Processes by script.  *programs* is keyed by argv[0]; a list holds one a start, the last
    for all starts after it.  What is not in it runs for ever.
    """

    def __init__(
        self, loop: VirtualLoop, programs: Mapping[str, Program | Sequence[Program]]
    ) -> None:
        self.programs: dict[str, Program | Sequence[Program]] = dict(programs)
        self.table: dict[int, FakeProcess] = {}  # everything not reaped yet, by pid
        self.history: list[FakeProcess] = []  # everything ever started, in order
        self.started: list[
            tuple[float, str, int]
        ] = []  # (when, service, pid), also those that failed
        self.signals: list[tuple[float, FakeProcess, int]] = []  # all that were sent, in order
        self.specs: dict[int, ServiceSpec] = {}  # by pid: as what it was started
        self.forgotten: list[str] = []
        self.adopts = True  # False: neither PID 1 nor a subreaper, orphans go to another init
        self.on_signal: Callable[[FakeProcess, int], None] | None = None
        self._loop = loop
        self._pids = 100
        self._counts: dict[str, int] = {}
        self._verdicts: dict[int, tuple[int, int | None]] = {}  # confirm_fd → (write fd, pid)
        self._failures: dict[int, SpawnError] = {}  # confirm_fd → what went wrong
        self._stops: list[tuple[int, int]] = []

    # -- the Kernel protocol

    def start(self, spec: ServiceSpec, *, piped: bool) -> StartedChild:
        program = self._script(spec.command[0])
        if program.fails is not None and program.confirms is None:
            self.started.append((self._loop.now(), spec.name, 0))
            raise _spawn_error(program)
        process = self._fork(program, spec.name, spec.name, INIT)
        self.started.append((self._loop.now(), spec.name, process.pid))
        self.specs[process.pid] = spec
        out, err = (_full_pipe(program.output) if piped else None for _ in range(2))
        if program.confirms is None:
            self._execute(process)
            return StartedChild(process.pid, out, err)
        return StartedChild(process.pid, out, err, self._promise(process))

    def run(self, spec: ServiceSpec, argv: tuple[str, ...]) -> StartedChild:
        program = self._script(argv[0])
        if program.fails is not None:
            raise _spawn_error(program)
        process = self._fork(program, argv[0], spec.name, INIT)
        self._execute(process)
        return StartedChild(process.pid, _full_pipe(program.output), None)

    def confirm(self, started: StartedChild) -> None:
        fd, started.confirm_fd = started.confirm_fd, None
        assert fd is not None
        write_fd, _pid = self._verdicts.pop(fd)
        os.close(fd)
        if write_fd >= 0:
            os.close(write_fd)
        failure = self._failures.pop(fd, None)
        if failure is not None:
            raise failure

    def reap(self) -> list[tuple[int, ExitStatus]]:
        ended = [
            (process.pid, process.ended)
            for process in self.table.values()
            if process.ended is not None and process.parent == INIT
        ][:512]
        for pid, _status in ended:
            del self.table[pid]
        return ended

    def stopped(self) -> list[tuple[int, int]]:
        stops, self._stops = self._stops, []
        return stops

    def kill(self, pid: int, number: int) -> bool:
        process = self.table.get(pid)
        if process is None:
            return False
        self._signal(process, number)
        return True

    def kill_group(self, group: int, number: int) -> bool:
        members = [p for p in self.table.values() if p.group == group]
        for process in members:
            self._signal(process, number)
        return bool(members)

    def kill_everyone(self, number: int) -> None:
        for process in tuple(self.table.values()):
            self._signal(process, number)

    def has_children(self) -> bool:
        return any(process.parent == INIT for process in self.table.values())

    def children(self) -> list[str]:
        return [f"{p.name} ({p.pid})" for p in self.alive() if p.parent == INIT]

    def descendants(self, pid: int) -> list[tuple[int, int]]:
        found = (self.table[each] for each in self.below(pid))
        return [(p.pid, p.start_time) for p in found if p.group != pid]

    def below(self, pid: int) -> list[int]:
        found = [pid]
        for parent in found:
            found += [p.pid for p in self.table.values() if p.parent == parent]
        return found[1:]

    def orphans(self, known: Container[int]) -> dict[str, list[tuple[int, int, int]]]:
        found: dict[str, list[tuple[int, int, int]]] = {}
        for process in self.alive():
            if process.parent == INIT and process.pid not in known and process.executed:
                members = [process, *(self.table[pid] for pid in self.below(process.pid))]
                identified = [(each.pid, each.start_time, each.group) for each in members]
                found.setdefault(process.marker, []).extend(identified)
        return found

    def is_alive(self, pid: int, start_time: int) -> bool:
        process = self.table.get(pid)
        return process is not None and process.ended is None and process.start_time == start_time

    def forget(self, service: str) -> None:
        self.forgotten.append(service)

    # -- the tests' side

    def alive(self, name: str | None = None) -> list[FakeProcess]:
        """Return what runs; with *name* the processes of that service or program."""
        return [
            process
            for process in self.table.values()
            if process.ended is None and name in (None, process.name, process.marker)
        ]

    def end(self, process: FakeProcess, status: ExitStatus) -> None:
        """Let *process* end with *status* now; its children are given to us, if we adopt."""
        if process.ended is not None:
            return
        process.ended = status
        for child in tuple(self.table.values()):
            if child.parent == process.pid:
                child.parent = INIT if self.adopts else ELSEWHERE
                if child.ended is not None:
                    self._loop.note_signal(SIGCHLD)
        if process.parent == INIT:
            self._loop.note_signal(SIGCHLD)
        else:
            del self.table[process.pid]  # scripted parents reap at once

    def fork(self, parent: FakeProcess, program: Program) -> None:
        """Let *parent* start another process, named ``…/late``."""
        self._execute(self._fork(program, f"{parent.name}/late", parent.marker, parent.pid))

    def close(self) -> None:
        """Release the pipes of starts that nobody asked after."""
        for write_fd, _pid in self._verdicts.values():
            if write_fd >= 0:
                os.close(write_fd)
        self._verdicts.clear()

    # -- inside

    def _script(self, name: str) -> Program:
        script = self.programs.get(name, Program())
        if isinstance(script, Program):
            return script
        count = self._counts.get(name, 0)
        self._counts[name] = count + 1
        return script[min(count, len(script) - 1)]

    def _fork(self, program: Program, name: str, marker: str, parent: int) -> FakeProcess:
        self._pids += 1
        pid = self._pids
        group = self.table[parent].group if parent in self.table else 0
        process = FakeProcess(pid, name, program, parent, group, marker, start_time=pid * 7)
        process.executed = False
        self.table[pid] = process
        self.history.append(process)
        return process

    def _execute(self, process: FakeProcess) -> None:
        """Let the program begin; a child of ours is a session leader from here on."""
        process.executed = True
        program = process.program
        if process.parent == INIT or program.setsid:
            process.group = process.pid
        for index, child in enumerate(program.children):
            name = f"{process.name}/{index}"
            self._execute(self._fork(child, name, process.marker, process.pid))
        if program.runs is not None:
            self._loop.call_later(program.runs, lambda: self.end(process, program.ends))

    def _promise(self, process: FakeProcess) -> int:
        """Return the descriptor that becomes readable when the start is decided."""
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
        self._hang_up(read_fd)  # of a start whose verdict nobody waited for
        self._verdicts[read_fd] = (write_fd, process.pid)
        program = process.program
        assert program.confirms is not None
        self._loop.call_later(program.confirms, lambda: self._decide(process, read_fd))
        return read_fd

    def _decide(self, process: FakeProcess, read_fd: int) -> None:
        if process.ended is not None:
            return
        if process.program.dies_unconfirmed:
            self.end(process, Killed(SIGKILL))
        elif process.program.fails is not None:
            self._failures[read_fd] = _spawn_error(process.program)
            self.end(process, Exited(127))
        else:
            self._execute(process)
        self._hang_up(read_fd)

    def _hang_up(self, read_fd: int) -> None:
        """Close the child's end, as exec and death do."""
        if read_fd in self._verdicts:
            write_fd, pid = self._verdicts[read_fd]
            if write_fd >= 0:
                os.close(write_fd)
            self._verdicts[read_fd] = (-1, pid)

    def _signal(self, process: FakeProcess, number: int) -> None:
        if process.ended is not None or number == 0:
            return
        process.received.append((self._loop.now(), number))
        self.signals.append((self._loop.now(), process, number))
        if self.on_signal is not None:
            self.on_signal(process, number)
        if number == SIGCONT:
            process.stopped = False
            waiting, process.pending = process.pending, []
            for each in waiting:
                self._act(process, each)
        if process.stopped and number != SIGKILL:
            process.pending.append(number)
        else:
            self._act(process, number)

    def _act(self, process: FakeProcess, number: int) -> None:
        program = process.program
        if process.ended is not None or program.unkillable:
            return
        if number == SIGKILL or not process.executed:
            self._die(process, Killed(number))
        elif number in program.handles:
            delay, status = program.handles[number]
            if delay == 0:
                self._die(process, status)
            else:
                self._loop.call_later(delay, lambda: self._die(process, status))
        elif number in program.ignores or number in _HARMLESS:
            return
        elif number in _STOPS:
            process.stopped = True
            self._stops.append((process.pid, number))
            self._loop.note_signal(SIGCHLD)
        else:
            self._die(process, Killed(number))

    def _die(self, process: FakeProcess, status: ExitStatus) -> None:
        self.end(process, status)
        for read_fd, (_write_fd, pid) in self._verdicts.items():
            if pid == process.pid:
                self._hang_up(read_fd)


def _spawn_error(program: Program) -> SpawnError:
    number = program.fails
    assert number is not None
    name = errno_names.errorcode.get(number, str(number))
    return SpawnError(program.stage, number, f"cannot {program.stage}: {name}")


def _full_pipe(output: bytes) -> int:
    """Return the read end of a pipe that holds *output* and then ends."""
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    os.write(write_fd, output)
    os.close(write_fd)
    return read_fd
