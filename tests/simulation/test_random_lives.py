"""Random lives of a whole supervisor: deaths, requests, new plans, signals, and time.

The laws hold after each step; every life ends with a shutdown that ends in time.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from supervise.model import ordering
from supervise.model.exitstatus import Exited, Killed
from supervise.model.process import Deadline, Desired, ProcessState, has_ended_for_good, is_active
from supervise.model.service import (
    Backoff,
    Condition,
    Dependency,
    ExitPolicy,
    KillMode,
    OnFailure,
    Plan,
    Probe,
    Ready,
    RestartMode,
    RestartPolicy,
    ServiceSpec,
    ServiceType,
    StartLimit,
)
from supervise.model.shutdown import Phase
from supervise.model.signals import SIGNALS
from tests.support.fake_kernel import Program
from tests.support.simulation import SIGKILL, SIGTERM, Simulation

NAMES = ("a", "b", "c")
GRACE = 4.0
# A process that survives SIGKILL is waited for twice: as a service, and in the sweep.
PATIENCE = 2 * 2.0 + 0.5
DAEMON = Program(setsid=True)
STUBBORN_DAEMON = Program(setsid=True, ignores=frozenset({SIGTERM}))

programs = st.sampled_from(
    [
        Program(),
        Program(),
        Program(runs=0.5, ends=Exited(1)),
        Program(runs=3.0),
        Program(ignores=frozenset({SIGTERM})),
        Program(handles={SIGTERM: (1.5, Exited(0))}),
        Program(children=[Program(), DAEMON]),
        Program(children=[STUBBORN_DAEMON], runs=2.0, ends=Killed(11)),
        Program(handles={SIGTERM: (0.5, Exited(0))}, children=[STUBBORN_DAEMON]),
        Program(fails=2),
        Program(fails=11, stage="fork"),
        Program(confirms=0.3),
        Program(confirms=0.3, fails=13),
        Program(confirms=0.3, dies_unconfirmed=True),
        Program(confirms=2.0, children=[DAEMON]),
        Program(unkillable=True),
    ]
)
scripts = st.fixed_dictionaries(
    {name: st.lists(programs, min_size=1, max_size=3) for name in (*NAMES, "new", "tell")}
)
dependencies = st.builds(
    Dependency, st.sampled_from(Condition), required=st.booleans(), restart=st.booleans()
)
restarts = st.sampled_from(
    [RestartPolicy(mode) for mode in RestartMode] + [RestartPolicy(RestartMode.ON_FAILURE, 1)]
)
names = st.sampled_from(NAMES)
graces = st.none() | st.sampled_from([0.0, 0.5, 20.0])


def specs(name: str, lower: tuple[str, ...]) -> st.SearchStrategy[ServiceSpec]:
    """Return services called *name* that may depend on those of *lower*."""
    return st.builds(
        ServiceSpec,
        st.just(name),
        st.sampled_from([(name,), (name,), ("new",)]),
        type=st.sampled_from([ServiceType.SERVICE, ServiceType.SERVICE, ServiceType.ONESHOT]),
        autostart=st.sampled_from([True, True, False]),
        ready=st.sampled_from([None, None, Ready(Probe(notify=True))]),
        start_timeout=st.sampled_from([1.0, 90.0]),
        depends_on=st.dictionaries(st.sampled_from(lower), dependencies, max_size=2)
        if lower
        else st.just({}),
        restart=restarts,
        backoff=st.sampled_from([Backoff(0.1, jitter=0.0), Backoff(1.0, max=2.0)]),
        start_limit=st.sampled_from([None, None, StartLimit(3, 10.0)]),
        essential=st.sampled_from([False] * 7 + [True]),
        on_failure=st.sampled_from([*[OnFailure.NONE] * 7, OnFailure.SHUTDOWN]),
        stop_grace_period=st.sampled_from([0.5, 2.0, 60.0]),
        stop_command=st.sampled_from([None, None, ("tell",)]),
        kill_mode=st.sampled_from([KillMode.GROUP, KillMode.GROUP, KillMode.PROCESS]),
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Return plans of some of the names, in any order of the file, without cycles."""
    chosen = [name for name in NAMES if draw(st.integers(0, 5))]
    made = [draw(specs(name, tuple(chosen[:i]))) for i, name in enumerate(chosen)]
    policies = [*[ExitPolicy.NEVER] * 8, *ExitPolicy]
    return Plan(
        {spec.name: spec for spec in draw(st.permutations(made))},
        grace=GRACE,
        exit_policy=draw(st.sampled_from(policies)),
    )


class Lives(RuleBasedStateMachine):
    """One container."""

    def __init__(self) -> None:
        super().__init__()
        self.sim: Simulation
        self.at_rest: dict[str, int] = {}  # stopped by a person: how often each had started
        self.started_before_the_end: int | None = None
        self.end_began = 0.0

    @initialize(plan=plans(), scripts=scripts)
    def boot(self, plan: Plan, scripts: dict[str, list[Program]]) -> None:
        self.sim = Simulation(scripts, grace=GRACE)
        self.sim.plan = plan
        self.sim.events.subscribe(self._hear)
        self.sim.boot()

    def _hear(self, event: Any, _time: float) -> None:
        if event.name == "supervise.stopping":
            self.started_before_the_end = len(self.sim.kernel.started)
            self.end_began = self.sim.now

    # -- what happens

    def is_running(self) -> bool:
        return not self.sim.loop.ended

    def known(self, name: str) -> bool:
        return self.is_running() and name in self.sim.facade.names()

    @precondition(is_running)
    @rule(seconds=st.sampled_from([0.0, 0.01, 0.4, 1.0, 3.0, 10.0]))
    def time_passes(self, seconds: float) -> None:
        self.sim.run(seconds)

    @precondition(is_running)
    @rule(name=names)
    def somebody_starts(self, name: str) -> None:
        if self.known(name):
            for each in self._needed_by(name):
                self.at_rest.pop(each, None)
            self.sim.facade.start_all([name])

    @precondition(is_running)
    @rule(name=names, grace=graces)
    def somebody_stops(self, name: str, grace: float | None) -> None:
        if self.known(name):
            self.sim.facade.stop(name, grace)
            self.at_rest[name] = len(self.sim.starts(name))

    @precondition(is_running)
    @rule(name=names, grace=graces)
    def somebody_restarts(self, name: str, grace: float | None) -> None:
        if self.known(name):
            for each in self._needed_by(name):
                self.at_rest.pop(each, None)
            self.sim.facade.restart(name, grace)

    @precondition(is_running)
    @rule(name=names, status=st.sampled_from([Exited(0), Exited(1), Killed(SIGKILL)]))
    def process_ends(self, name: str, status: Exited | Killed) -> None:
        if self.known(name):
            process = self.sim.kernel.table.get(self.sim.service(name).pid or 0)
            if process is not None and process.executed and not process.program.unkillable:
                self.sim.kernel.end(process, status)

    @precondition(is_running)
    @rule(name=names)
    def service_says_it_is_ready(self, name: str) -> None:
        if self.known(name) and self.sim.service(name).pid is not None:
            self.sim.supervisor.report_ready(name)

    @precondition(is_running)
    @rule(name=names, number=st.sampled_from(["SIGSTOP", "SIGCONT", "SIGHUP"]))
    def somebody_signals(self, name: str, number: str) -> None:
        if self.known(name):
            self.sim.facade.signal(name, SIGNALS[number])

    @precondition(is_running)
    @rule(plan=plans(), dry_run=st.booleans())
    def plan_is_applied(self, plan: Plan, dry_run: bool) -> None:
        before = set(self.sim.supervisor.plan.services)
        ended = {
            name
            for name, service in self.sim.supervisor.services.items()
            if has_ended_for_good(service.process)
        }
        self.sim.next_plan = plan
        self.sim.facade.apply(dry_run=dry_run, done=lambda _outcome: None)
        self.sim.run(0.1)
        if not dry_run and not self.sim.facade.stopping:
            # What is new, or had ended and was mended, is started with all that it needs.
            started = set(plan.services) - (before - ended)
            needed = {each for name in started for each in self._needed_by(name)}
            for name in needed | (before - set(plan.services)):
                self.at_rest.pop(name, None)

    @precondition(is_running)
    @rule(often=st.sampled_from([0] * 12 + [1, 1, 2, 3]))
    def container_is_stopped(self, often: int) -> None:
        for _ in range(often):
            self.sim.signal(SIGTERM)
        self.sim.settle()

    @precondition(lambda self: self.sim.loop.ended)
    @rule()
    def nothing_happens_any_more(self) -> None:
        assert self.sim.shutdown.phase is Phase.GONE

    def _needed_by(self, name: str) -> list[str]:
        services = self.sim.supervisor.services
        graph = {each: tuple(s.process.spec.depends_on) for each, s in services.items()}
        return ordering.closure(graph, [name])

    # -- the laws

    @invariant()
    def no_service_has_two_live_processes(self) -> None:
        alive = [
            self.sim.kernel.specs[process.pid].name
            for process in self.sim.kernel.alive()
            if process.pid in self.sim.kernel.specs and not process.program.unkillable
        ]
        assert len(alive) == len(set(alive))

    @invariant()
    def every_stop_has_a_deadline(self) -> None:
        for service in self.sim.supervisor.services.values():
            if service.process.state is ProcessState.STOPPING:
                assert service.timers[Deadline.STOP].callback is not None

    @invariant()
    def what_is_down_has_no_timer_and_no_start_under_way(self) -> None:
        for service in self.sim.supervisor.services.values():
            if not is_active(service.process):
                assert service.timers == {}
                assert service.next_spec is None
                assert service.cancel_command is None
                assert not service.start_again

    @invariant()
    def active_is_what_has_or_will_have_a_process(self) -> None:
        services = self.sim.supervisor.services
        assert self.sim.supervisor.active == {
            name for name, service in services.items() if is_active(service.process)
        }

    @invariant()
    def pids_are_those_of_children_not_yet_reaped(self) -> None:
        table = self.sim.kernel.table
        assert set(self.sim.supervisor._by_pid) <= set(table)
        for service in self.sim.supervisor.services.values():
            assert service.pid is None or service.pid in table
            assert service.process.pid in (None, service.pid)

    @invariant()
    def what_a_person_stopped_does_not_start_by_itself(self) -> None:
        for name, count in self.at_rest.items():
            assert len(self.sim.starts(name)) == count, name

    @invariant()
    def nothing_starts_once_the_shutdown_has_begun(self) -> None:
        if self.started_before_the_end is not None:
            assert len(self.sim.kernel.started) == self.started_before_the_end

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        for name, service in self.sim.supervisor.services.items():
            process = service.process
            if process.state is ProcessState.STOPPED and process.desired is Desired.UP:
                assert self.sim.supervisor.blockers(name) != []

    @invariant()
    def edges_are_those_of_the_specs(self) -> None:
        services = self.sim.supervisor.services
        graph = {name: tuple(s.process.spec.depends_on) for name, s in services.items()}
        found = self.sim.supervisor.dependencies.dependents
        assert {name: sorted(others) for name, others in found.items() if others} == {
            name: sorted(others) for name, others in ordering.reverse(graph).items() if others
        }

    @invariant()
    def nothing_is_watched_for_nobody(self) -> None:
        sim = self.sim
        services = sim.supervisor.services.values()
        verdicts = {s.started.confirm_fd for s in services if s.started is not None}
        outputs = {each.started.stdout_fd for each in sim.commands._running.values()}
        assert set(sim.loop._watched) <= verdicts | outputs

    @invariant()
    def nothing_has_gone_wrong(self) -> None:
        assert self.sim.faults() == []
        assert len(self.sim.told("supervise.exiting")) == int(self.sim.loop.ended)

    def teardown(self) -> None:
        if not hasattr(self, "sim"):
            return
        try:
            if not self.sim.facade.stopping:
                self.sim.signal(SIGTERM)
            self.sim.exit_code(within=60.0)
            self.nothing_starts_once_the_shutdown_has_begun()
            self.nothing_has_gone_wrong()
            assert self.sim.shutdown.phase is Phase.GONE
            assert self.sim.now - self.end_began <= GRACE + PATIENCE
            assert all(process.program.unkillable for process in self.sim.kernel.alive())
        finally:
            self.sim.close()


Lives.TestCase.settings = settings(
    max_examples=120,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestLives = Lives.TestCase
