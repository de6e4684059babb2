"""What both kernels promise the supervisor: cases that run on the fake one and on the real one.

For the real one a case runs in a process of its own, `python -m tests.support.kernel_contract
CASE`, because it reaps and kills everything below its process.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from supervise.daemon.kernel import LinuxKernel, StartedChild
from supervise.linux import prctl
from supervise.linux.request import SpawnError
from supervise.model.exitstatus import Exited, ExitStatus, Killed
from supervise.model.service import ServiceSpec, Stdin
from tests.support.eventually import eventually
from tests.support.fake_kernel import FakeKernel, Program
from tests.support.virtual_loop import VirtualLoop

if TYPE_CHECKING:
    from supervise.daemon.kernel import Kernel

T = TypeVar("T")

SIGTERM, SIGKILL, SIGCONT, SIGSTOP = 15, 9, 18, 19
IGNORES_TERM = frozenset({SIGTERM})

# The same programs for both kernels.  A shell says that it is set up by making the file $READY;
# the fake ones are set up at once.
SLEEP = "exec sleep 1000"
SCRIPTS: dict[str, tuple[Program, str]] = {
    "ends with 3": (Program(runs=0.0, ends=Exited(3)), "exit 3"),
    "kills itself": (Program(runs=0.0, ends=Killed(SIGKILL)), "kill -9 $$"),
    "sleeps": (Program(), f": >$READY; {SLEEP}"),
    "ignores TERM": (Program(ignores=IGNORES_TERM), f"trap '' TERM; : >$READY; {SLEEP}"),
    "obeys TERM": (
        Program(handles={SIGTERM: (0.0, Exited(7))}),
        "trap 'exit 7' TERM; : >$READY; while :; do sleep 0.01; done",
    ),
    "has a child": (Program(children=[Program()]), "sleep 1000 & : >$READY; wait"),
    "has a daemon": (
        Program(children=[Program(setsid=True)]),
        "setsid sh -c ': >$READY; exec sleep 1000' & wait",
    ),
    "has a stubborn daemon": (
        Program(children=[Program(setsid=True, ignores=IGNORES_TERM)]),
        "setsid sh -c 'trap \"\" TERM; : >$READY; exec sleep 1000' & wait",
    ),
    "has a short-lived child": (Program(children=[Program(runs=0.0)]), f"true & wait; {SLEEP}"),
    "prints": (Program(runs=0.0, output=b"hello\n"), "echo hello"),
}


class World(Protocol):
    """A kernel and the time it lives in."""

    slow: bool  # starts are to be confirmed

    @property
    def kernel(self) -> Kernel:
        """Return the kernel under test."""

    def start(self, script: str, *, piped: bool = False) -> StartedChild:
        """Start a script as a service of that name and wait until it is set up."""

    def start_missing(self) -> StartedChild:
        """Try to start a program that does not exist."""

    def run(self, script: str) -> StartedChild:
        """Start a script as a command of service `sleeps`."""

    def wait(self, fact: Callable[[], T]) -> T:
        """Let time pass until *fact* is true."""


class FakeWorld:
    """The fake kernel in virtual time."""

    def __init__(self, *, slow: bool) -> None:
        self.slow = slow
        self.loop = VirtualLoop(_raise)
        confirms = 0.01 if slow else None
        scripts = {
            name: Program(**{**vars(program), "confirms": confirms})
            for name, (program, _shell) in SCRIPTS.items()
        }
        missing = Program(fails=errno.ENOENT, confirms=confirms)
        self.kernel = FakeKernel(self.loop, {**scripts, "missing": missing})

    def start(self, script: str, *, piped: bool = False) -> StartedChild:
        started = self.kernel.start(ServiceSpec(script, (script,)), piped=piped)
        self._decided(started)
        return started

    def start_missing(self) -> StartedChild:
        started = self.kernel.start(ServiceSpec("missing", ("missing",)), piped=False)
        self._decided(started)
        return started

    def run(self, script: str) -> StartedChild:
        return self.kernel.run(ServiceSpec("sleeps", ("sleeps",)), (script,))

    def wait(self, fact: Callable[[], T]) -> T:
        self.loop.call_later(100.0, lambda: None)
        found: list[T] = []

        def holds() -> bool:
            value = None if found else fact()
            if value:
                found.append(value)
            return bool(found)

        self.loop.run_until(holds, within=50.0)
        return found[-1]

    def close(self) -> None:
        self.kernel.close()
        self.loop.close()

    def _decided(self, started: StartedChild) -> None:
        if started.confirm_fd is not None:
            self.loop.run_for(1.0)


class RealWorld:
    """The real kernel, with this process as the init of all below it."""

    def __init__(self, *, slow: bool) -> None:
        self.slow = slow
        self.kernel = LinuxKernel(os.environ, None)
        self._count = 0
        prctl.set_child_subreaper()

    def start(self, script: str, *, piped: bool = False) -> StartedChild:
        spec, ready = self._spec(script)
        started = self.kernel.start(spec, piped=piped)
        if "$READY" in SCRIPTS[script][1]:
            eventually(lambda: os.path.exists(ready))
        return started

    def start_missing(self) -> StartedChild:
        spec = ServiceSpec("missing", ("/nowhere/to/be/found",))
        return self.kernel.start(self._as_asked(spec), piped=False)

    def run(self, script: str) -> StartedChild:
        spec, _ready = self._spec("sleeps")
        return self.kernel.run(spec, ("sh", "-c", SCRIPTS[script][1]))

    def wait(self, fact: Callable[[], T]) -> T:
        return eventually(fact)

    def _spec(self, script: str) -> tuple[ServiceSpec, str]:
        self._count += 1
        ready = os.path.abspath(f"ready-{self._count}")
        command = ("sh", "-c", SCRIPTS[script][1])
        self.kernel.forget(script)
        return self._as_asked(ServiceSpec(script, command, environment={"READY": ready})), ready

    def _as_asked(self, spec: ServiceSpec) -> ServiceSpec:
        """Return *spec* such that it is forked: with a start that is confirmed later."""
        assert spec.stdin is Stdin.NULL
        return spec.replace(nice=1) if self.slow else spec


def reaped(world: World, count: int = 1) -> dict[int, ExitStatus]:
    """Return the next *count* ends."""
    ended: dict[int, ExitStatus] = {}

    def enough() -> bool:
        ended.update(world.kernel.reap())
        return len(ended) >= count

    world.wait(enough)
    return ended


def confirmed(world: World, started: StartedChild) -> StartedChild:
    if started.confirm_fd is not None:
        world.kernel.confirm(started)
    return started


def failure_of(world: World) -> SpawnError:
    """Return how the start of what does not exist fails."""
    try:
        started = world.start_missing()
        assert world.slow, "it was started"
        world.kernel.confirm(started)
    except SpawnError as error:
        return error
    raise AssertionError("it was started")


# -- the cases


def exit_code_is_reaped_once(world: World) -> None:
    started = confirmed(world, world.start("ends with 3"))

    assert reaped(world) == {started.pid: Exited(3)}
    assert world.kernel.reap() == []
    assert not world.kernel.has_children()


def death_by_signal_is_told_from_an_exit(world: World) -> None:
    started = confirmed(world, world.start("kills itself"))

    assert reaped(world) == {started.pid: Killed(SIGKILL)}


def start_is_confirmed_later_when_it_needs_a_fork(world: World) -> None:
    started = world.start("sleeps")

    assert (started.confirm_fd is not None) == world.slow
    confirmed(world, started)
    assert started.confirm_fd is None


def missing_program_is_a_spawn_error(world: World) -> None:
    error = failure_of(world)

    assert (error.stage, error.errno) == ("exec", errno.ENOENT)
    assert error.message


def failed_start_leaves_at_most_a_child_to_reap(world: World) -> None:
    failure_of(world)

    world.wait(lambda: not world.kernel.reap() and not world.kernel.has_children())


def child_leads_a_group_of_its_own(world: World) -> None:
    started = confirmed(world, world.start("has a child"))

    assert world.kernel.kill_group(started.pid, 0)
    assert world.kernel.kill_group(started.pid, SIGTERM)
    assert reaped(world)[started.pid] == Killed(SIGTERM)


def group_lasts_as_long_as_a_member(world: World) -> None:
    started = confirmed(world, world.start("has a child"))
    world.kernel.kill(started.pid, SIGKILL)
    reaped(world)

    assert world.kernel.kill_group(started.pid, 0)
    assert world.kernel.kill_group(started.pid, SIGKILL)
    reaped(world)
    assert not world.kernel.kill_group(started.pid, 0)


def signal_to_who_is_gone_is_no_error(world: World) -> None:
    started = confirmed(world, world.start("ends with 3"))
    reaped(world)

    assert not world.kernel.kill(started.pid, SIGTERM)
    assert not world.kernel.kill_group(started.pid, SIGTERM)


def handler_decides_the_exit_code(world: World) -> None:
    started = confirmed(world, world.start("obeys TERM"))
    world.kernel.kill(started.pid, SIGTERM)

    assert reaped(world) == {started.pid: Exited(7)}


def ignored_signal_changes_nothing_and_sigkill_ends_it(world: World) -> None:
    started = confirmed(world, world.start("ignores TERM"))
    world.kernel.kill(started.pid, SIGTERM)
    world.kernel.kill(started.pid, SIGKILL)

    assert reaped(world) == {started.pid: Killed(SIGKILL)}


def stopped_process_acts_once_it_is_continued(world: World) -> None:
    started = confirmed(world, world.start("obeys TERM"))
    world.kernel.kill(started.pid, SIGSTOP)
    assert world.wait(world.kernel.stopped) == [(started.pid, SIGSTOP)]
    assert world.kernel.stopped() == []

    world.kernel.kill(started.pid, SIGTERM)
    assert world.kernel.reap() == []
    world.kernel.kill(started.pid, SIGCONT)

    assert reaped(world) == {started.pid: Exited(7)}


def daemon_is_a_descendant_and_no_member_of_the_group(world: World) -> None:
    started = confirmed(world, world.start("has a daemon"))
    ((daemon, start),) = world.kernel.descendants(started.pid)

    assert world.kernel.below(started.pid) == [daemon]
    assert world.kernel.is_alive(daemon, start)
    assert not world.kernel.is_alive(daemon, start + 1)


def child_in_the_group_is_reached_through_the_group(world: World) -> None:
    started = confirmed(world, world.start("has a child"))

    assert world.kernel.descendants(started.pid) == []
    assert len(world.kernel.below(started.pid)) == 1


def daemon_becomes_an_orphan_of_its_service(world: World) -> None:
    started = confirmed(world, world.start("has a daemon"))
    ((daemon, start),) = world.kernel.descendants(started.pid)
    assert world.kernel.orphans({started.pid}) == {}
    world.kernel.kill(started.pid, SIGKILL)
    reaped(world)

    assert world.kernel.orphans({}) == {"has a daemon": [(daemon, start, daemon)]}
    assert world.kernel.orphans({daemon}) == {}
    assert world.kernel.has_children()
    world.kernel.kill(daemon, SIGTERM)
    assert reaped(world) == {daemon: Killed(SIGTERM)}
    assert not world.kernel.is_alive(daemon, start)


def known_children_are_no_orphans(world: World) -> None:
    started = confirmed(world, world.start("sleeps"))

    assert world.kernel.orphans({started.pid}) == {}
    # Its environment can be read only a moment after the exec.
    world.wait(lambda: list(world.kernel.orphans({})) == ["sleeps"])


def zombie_is_not_alive_and_its_pid_is_not_free(world: World) -> None:
    started = confirmed(world, world.start("has a daemon"))
    ((daemon, start),) = world.kernel.descendants(started.pid)
    world.kernel.kill(started.pid, SIGKILL)
    reaped(world)
    world.kernel.kill(daemon, SIGKILL)
    world.wait(lambda: not world.kernel.is_alive(daemon, start))

    assert world.kernel.kill(daemon, 0)
    assert world.kernel.kill_group(daemon, 0)
    assert world.kernel.orphans({}) == {}
    assert world.kernel.children() == []
    assert world.kernel.has_children()


def parent_that_lives_reaps_its_own(world: World) -> None:
    started = confirmed(world, world.start("has a short-lived child"))

    world.wait(lambda: world.kernel.below(started.pid) == [])
    assert world.kernel.reap() == []


def everyone_is_signalled_but_not_ourselves(world: World) -> None:
    services = [confirmed(world, world.start("has a daemon")) for _ in range(2)]
    daemons = [pid for each in services for pid, _start in world.kernel.descendants(each.pid)]
    world.kernel.kill_everyone(SIGTERM)

    assert set(reaped(world, 4)) == {each.pid for each in services} | set(daemons)
    assert not world.kernel.has_children()


def who_is_left_is_named(world: World) -> None:
    started = confirmed(world, world.start("sleeps"))
    (name,) = world.wait(world.kernel.children)

    assert name.endswith(f" ({started.pid})")


def command_has_one_pipe_for_its_output(world: World) -> None:
    started = world.run("prints")
    assert started.stdout_fd is not None
    assert started.stderr_fd is None
    confirmed(world, started)

    assert reaped(world) == {started.pid: Exited(0)}
    assert os.read(started.stdout_fd, 100) == b"hello\n"
    assert os.read(started.stdout_fd, 100) == b""
    os.close(started.stdout_fd)


def command_leads_a_group_of_its_own(world: World) -> None:
    started = world.run("sleeps")
    confirmed(world, started)
    assert started.stdout_fd is not None
    os.close(started.stdout_fd)

    assert world.wait(lambda: world.kernel.kill_group(started.pid, SIGKILL))
    assert reaped(world) == {started.pid: Killed(SIGKILL)}


def output_goes_into_pipes_only_when_asked_for(world: World) -> None:
    piped = confirmed(world, world.start("ends with 3", piped=True))
    plain = confirmed(world, world.start("ends with 3"))

    assert piped.stdout_fd is not None
    assert piped.stderr_fd is not None
    assert (plain.stdout_fd, plain.stderr_fd) == (None, None)
    for fd in (piped.stdout_fd, piped.stderr_fd):
        assert not os.get_blocking(fd)
        os.close(fd)
    reaped(world, 2)


def many_ends_are_taken_in_together(world: World) -> None:
    started = [confirmed(world, world.start("ends with 3")) for _ in range(20)]

    assert reaped(world, 20) == {each.pid: Exited(3) for each in started}


CASES: dict[str, Callable[[World], None]] = {
    case.__name__: case
    for case in (
        exit_code_is_reaped_once,
        death_by_signal_is_told_from_an_exit,
        start_is_confirmed_later_when_it_needs_a_fork,
        missing_program_is_a_spawn_error,
        failed_start_leaves_at_most_a_child_to_reap,
        child_leads_a_group_of_its_own,
        group_lasts_as_long_as_a_member,
        signal_to_who_is_gone_is_no_error,
        handler_decides_the_exit_code,
        ignored_signal_changes_nothing_and_sigkill_ends_it,
        stopped_process_acts_once_it_is_continued,
        daemon_is_a_descendant_and_no_member_of_the_group,
        child_in_the_group_is_reached_through_the_group,
        daemon_becomes_an_orphan_of_its_service,
        known_children_are_no_orphans,
        zombie_is_not_alive_and_its_pid_is_not_free,
        parent_that_lives_reaps_its_own,
        everyone_is_signalled_but_not_ourselves,
        who_is_left_is_named,
        command_has_one_pipe_for_its_output,
        command_leads_a_group_of_its_own,
        output_goes_into_pipes_only_when_asked_for,
        many_ends_are_taken_in_together,
    )
}


def _raise(_owner: str, error: Exception) -> None:
    raise error


def main() -> None:
    """Run the case that the arguments name, then leave nothing behind."""
    name, speed = sys.argv[1:]
    signal.alarm(60)
    world = RealWorld(slow=speed == "slow")
    try:
        CASES[name](world)
    finally:
        world.kernel.kill_everyone(SIGKILL)
        eventually(lambda: not world.kernel.reap() and not world.kernel.has_children())


if __name__ == "__main__":
    main()
