from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervise.daemon.auxiliary import KEPT_OUTPUT, AuxiliaryCommands
from supervise.daemon.kernel import LinuxKernel
from supervise.daemon.loop import Loop
from supervise.linux import procfs as our_procfs
from supervise.model.exitstatus import Exited, ExitStatus, Killed
from supervise.model.service import ServiceSpec
from tests.support import procfs
from tests.support.eventually import eventually
from tests.support.isolated import isolated
from tests.support.loops import turn_until

SPEC = ServiceSpec("web", ("/bin/true",))
Report = tuple[ExitStatus | None, bytes]


class WatchedKernel(LinuxKernel):
    """The real kernel; remembers whom it was asked to signal."""

    def __init__(self) -> None:
        super().__init__({"PATH": "/usr/bin:/bin", "GREETING": "hello"}, None)
        self.groups: list[int] = []

    def kill_group(self, group: int, number: int) -> bool:
        self.groups.append(group)
        return super().kill_group(group, number)


class Bench:
    """Commands on a real loop and a real kernel, with a reaper."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.kernel = WatchedKernel()
        self.commands = AuxiliaryCommands(loop, self.kernel)
        self.reports: list[Report] = []
        self.reaped: list[int] = []
        loop.take_signals([signal.SIGCHLD], self._reap)

    def _reap(self, _number: int) -> None:
        for pid, status in self.kernel.reap():
            self.commands.reaped(pid, status)
            self.reaped.append(pid)

    def report(self, status: ExitStatus | None, output: bytes) -> None:
        self.reports.append((status, output))

    def run(self, *argv: str, timeout: float | None = None, spec: ServiceSpec = SPEC) -> Report:
        """Run *argv* to its report."""
        self.commands.run(spec, argv, timeout, self.report)
        turn_until(self.loop, lambda: self.reports)
        return self.reports[0]


@pytest.fixture
def bench(loop: Loop) -> Iterator[Bench]:
    before = signal.getsignal(signal.SIGCHLD)
    yield Bench(loop)
    signal.signal(signal.SIGCHLD, before)


@isolated
def test_status_and_output_are_reported(bench: Bench) -> None:
    found = bench.run("sh", "-c", "echo out; echo err >&2; exit 3")

    assert found == (Exited(3), b"out\nerr\n")


@isolated
def test_death_by_signal_is_reported(bench: Bench) -> None:
    assert bench.run("sh", "-c", "kill -9 $$") == (Killed(9), b"")


@isolated
def test_only_the_beginning_of_a_long_output_is_kept(bench: Bench) -> None:
    status, output = bench.run("sh", "-c", "head -c 1000000 /dev/zero; exit 5")

    assert (status, output) == (Exited(5), bytes(KEPT_OUTPUT))


@isolated
def test_command_reads_nothing(bench: Bench) -> None:
    assert bench.run("cat") == (Exited(0), b"")


@isolated
def test_command_runs_in_the_surroundings_of_its_service(bench: Bench, tmp_path: Path) -> None:
    spec = SPEC.replace(working_dir=str(tmp_path), umask=0o27, environment={"PGPORT": "5432"})

    _, output = bench.run(
        "sh", "-c", f"pwd; umask; echo $GREETING $PGPORT ${our_procfs.MARKER}", spec=spec
    )

    assert output.decode().split() == [str(tmp_path), "0027", "hello", "5432", "web"]


@pytest.mark.needs("root")
@isolated
def test_command_runs_as_the_user_of_its_service(bench: Bench) -> None:
    _, output = bench.run("id", "-u", spec=SPEC.replace(user="12345"))

    assert output == b"12345\n"


@isolated
def test_command_that_is_not_there_is_reported_in_words_and_not_at_once(bench: Bench) -> None:
    bench.commands.run(SPEC, ("no-such-program",), None, bench.report)
    at_once = list(bench.reports)

    turn_until(bench.loop, lambda: bench.reports)

    assert at_once == []
    assert bench.reports == [(None, b"cannot execute 'no-such-program': not found in PATH")]


@isolated
def test_command_that_another_user_cannot_execute_ends_with_127(bench: Bench) -> None:
    spec = SPEC.replace(nice=1)  # goes by fork, where the verdict comes later

    assert bench.run("no-such-program", spec=spec) == (Exited(127), b"")


@isolated
def test_late_command_is_killed_with_what_it_started(bench: Bench) -> None:
    status, output = bench.run("sh", "-c", "sleep 99 & echo $!; wait", timeout=0.5)

    assert status is None
    eventually(lambda: procfs.state(int(output)) in ("Z", "gone"))


@isolated
def test_late_command_is_reported_once(bench: Bench) -> None:
    bench.run("sleep", "99", timeout=0.05)

    turn_until(bench.loop, lambda: bench.reaped)

    assert bench.reports == [(None, b"")]


@isolated
def test_command_in_time_is_not_killed(bench: Bench) -> None:
    bench.run("true", timeout=60.0)

    assert bench.kernel.groups == []
    assert bench.loop._timeout() is None


@isolated
def test_cancelled_command_is_killed_and_not_reported(bench: Bench) -> None:
    cancel = bench.commands.run(SPEC, ("sleep", "99"), None, bench.report)

    cancel()
    turn_until(bench.loop, lambda: bench.reaped)

    assert bench.reports == []
    assert bench.reaped == bench.kernel.groups


@isolated
def test_cancelling_what_has_ended_signals_nobody(bench: Bench) -> None:
    cancel = bench.commands.run(SPEC, ("true",), None, bench.report)
    turn_until(bench.loop, lambda: bench.reports)

    cancel()  # the pid may be somebody else's by now

    assert bench.kernel.groups == []


@isolated
def test_commands_are_known_by_pid_until_they_are_reaped(bench: Bench) -> None:
    bench.commands.run(SPEC, ("sleep", "99"), None, bench.report)
    (pid,) = procfs.children(os.getpid())

    known = pid in bench.commands
    os.kill(pid, signal.SIGKILL)
    turn_until(bench.loop, lambda: bench.reports)

    assert known
    assert pid not in bench.commands
    assert not bench.commands.reaped(pid, Exited(0))


@isolated
def test_two_commands_are_not_mixed_up(bench: Bench) -> None:
    found: dict[str, Report] = {}
    for word in ("one", "two"):
        bench.commands.run(
            SPEC,
            ("echo", word),
            None,
            lambda status, output, word=word: found.update({word: (status, output)}),  # type: ignore[misc]
        )

    turn_until(bench.loop, lambda: len(found) == 2)

    assert found == {"one": (Exited(0), b"one\n"), "two": (Exited(0), b"two\n")}


@isolated
def test_ended_command_leaves_no_descriptor(bench: Bench) -> None:
    before = procfs.descriptors()

    bench.run("sh", "-c", "echo x")
    bench.reports.clear()
    bench.run("id", spec=SPEC.replace(nice=1))

    assert procfs.descriptors() == before


@isolated
def test_process_that_keeps_the_pipe_does_not_keep_the_report(bench: Bench) -> None:
    status, output = bench.run("sh", "-c", "sleep 99 & echo $!; exit 4")

    assert status == Exited(4)
    os.kill(int(output), signal.SIGKILL)


@isolated
def test_command_whose_handling_failed_is_killed(bench: Bench) -> None:
    bench.commands.run(SPEC, ("sleep", "99"), None, bench.report)
    (command,) = bench.commands._running.values()

    command.abandon()
    turn_until(bench.loop, lambda: bench.reaped)

    assert bench.reports == []
    eventually(lambda: not procfs.children(os.getpid()))
