"""The laws of a process's life, held against random lives.

`Anything` feeds every event at any time: the model is total.  `Life` plays the daemon: only what
can happen happens, and effects are carried out; there every child must stay accounted for.
"""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from supervise.model import lifecycle
from supervise.model.exitstatus import Exited as ExitedStatus
from supervise.model.exitstatus import ExitStatus, Killed
from supervise.model.process import (
    BecameReady,
    Deadline,
    DeadlineReached,
    Desired,
    Event,
    HealthChanged,
    HurryRequested,
    Process,
    ProcessExited,
    ProcessState,
    RestartRequested,
    ShutdownBegan,
    Spawn,
    Spawned,
    SpawnFailed,
    StartRequested,
    StatusReported,
    StopCommandEnded,
    StopRequested,
    SurvivorsGone,
    Wanted,
    is_active,
)
from supervise.model.service import (
    Backoff,
    HealthCheck,
    KillMode,
    OnUnhealthy,
    Probe,
    Ready,
    RestartMode,
    RestartPolicy,
    ServiceSpec,
    ServiceType,
    StartLimit,
)
from tests.support.processes import Timers, announced

PROBE = Probe(tcp="127.0.0.1:1")
REST = (ProcessState.STOPPED, ProcessState.EXITED, ProcessState.FAILED)

specs = st.builds(
    ServiceSpec,
    name=st.just("web"),
    command=st.just(("/bin/true",)),
    type=st.sampled_from(ServiceType),
    ready=st.sampled_from([None, Ready(PROBE)]),
    healthcheck=st.sampled_from([None, HealthCheck(PROBE, on_unhealthy=OnUnhealthy.RESTART)]),
    restart=st.builds(RestartPolicy, st.sampled_from(RestartMode), st.sampled_from([None, 0, 2])),
    backoff=st.builds(Backoff, initial=st.sampled_from([0.0, 0.1, 5.0])),
    start_limit=st.sampled_from([None, StartLimit(3, 10.0)]),
    stop_command=st.sampled_from([None, ("/bin/stop",)]),
    kill_mode=st.sampled_from(KillMode),
)
statuses: st.SearchStrategy[ExitStatus] = st.one_of(
    st.builds(ExitedStatus, st.sampled_from([0, 1, 255])), st.builds(Killed, st.just(9))
)
graces = st.sampled_from([None, 0.0, 1.0])
errnos = st.sampled_from([2, 11])
steps = st.floats(0.0, 20.0)
jitters = st.floats(-1.0, 1.0)
healths = st.sampled_from(["healthy", "unhealthy", "starting"])

events: st.SearchStrategy[Event] = st.one_of(
    st.just(Wanted()),
    st.just(StartRequested()),
    st.builds(StopRequested, graces),
    st.builds(RestartRequested, graces),
    st.builds(Spawned, st.integers(2, 9)),
    st.builds(SpawnFailed, st.just("exec"), errnos, st.just("refused")),
    st.builds(ProcessExited, statuses, st.booleans()),
    st.just(SurvivorsGone()),
    st.builds(DeadlineReached, st.sampled_from(Deadline)),
    st.just(BecameReady()),
    st.builds(HealthChanged, healths),
    st.builds(StatusReported, st.sampled_from(["a", "b"])),
    st.just(StopCommandEnded()),
    st.just(HurryRequested()),
    st.just(ShutdownBegan()),
)
endings: st.SearchStrategy[Event] = st.one_of(
    st.builds(StopRequested, graces), st.just(ShutdownBegan())
)
lives = st.lists(st.tuples(events, steps, jitters), max_size=40)
without_starts = lives.map(
    lambda life: [
        step for step in life if not isinstance(step[0], StartRequested | RestartRequested)
    ]
)


@example(
    ServiceSpec("web", ("/bin/true",), restart=RestartPolicy(RestartMode.NO)),
    [
        (StartRequested(), 0.0, 0.0),
        (ProcessExited(Killed(9), survivors=True), 0.0, 0.0),
        (ProcessExited(ExitedStatus(0)), 0.0, 0.0),
    ],
)
@given(specs, lives)
def test_only_edges_of_the_table_are_taken(
    spec: ServiceSpec, life: list[tuple[Event, float, float]]
) -> None:
    """Whatever happens in whatever order, a change of state is in TRANSITIONS."""
    process, now = Process(spec), 0.0

    for event, passed, jitter in life:
        now += passed
        before = process
        process, effects = lifecycle.on_event(before, event, now, jitter)
        found = lifecycle.TRANSITIONS.get((before.state, type(event)))
        assert process.state in found[1] if found else (process is before and effects == [])


@given(specs, lives)
def test_stopping_process_always_has_an_armed_deadline(
    spec: ServiceSpec, life: list[tuple[Event, float, float]]
) -> None:
    """In STOPPING the STOP timer is armed, also right after it ran out."""
    process, now, timers = Process(spec), 0.0, Timers()

    for event, passed, jitter in life:
        now += passed
        if isinstance(event, DeadlineReached):
            timers.armed.discard(event.deadline)
        process, effects = lifecycle.on_event(process, event, now, jitter)
        timers.carry_out(effects)
        assert process.state is not ProcessState.STOPPING or Deadline.STOP in timers.armed


@given(specs, lives, endings, without_starts)
def test_service_stopped_by_a_person_or_a_shutdown_never_starts_by_itself(
    spec: ServiceSpec,
    before: list[tuple[Event, float, float]],
    ending: Event,
    after: list[tuple[Event, float, float]],
) -> None:
    """After StopRequested or ShutdownBegan nothing is spawned until somebody asks for a start."""
    process, now = Process(spec), 0.0
    for event, passed, jitter in before:
        now += passed
        process, _ = lifecycle.on_event(process, event, now, jitter)

    process, effects = lifecycle.on_event(process, ending, now)
    for event, passed, jitter in after:
        now += passed
        process, more = lifecycle.on_event(process, event, now, jitter)
        effects += more

    assert Spawn() not in effects


class Life(RuleBasedStateMachine):
    """One service and a daemon that carries its effects out, in virtual time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.timers = Timers()
        self.child = ""  # "" | pending: Spawn has no answer yet | alive: executed, not reaped
        self.pid = 100
        self.ending = False  # the container ends: a restart is only a stop
        self.process = Process(ServiceSpec("web", ("/bin/true",)))

    @initialize(spec=specs)
    def declare(self, spec: ServiceSpec) -> None:
        self.process = Process(spec)

    def feed(self, event: Event, jitter: float = 0.0) -> None:
        self.process, effects = lifecycle.on_event(self.process, event, self.now, jitter)
        if "service.unkillable" in announced(effects):
            self.child = ""  # given up; the daemon drops its pid
        for effect in effects:
            if isinstance(effect, Spawn):
                assert not self.child, "two live processes of one service"
                self.child = "pending"
        self.timers.carry_out(effects)

    @rule(passed=steps)
    def time_passes(self, passed: float) -> None:
        self.now += passed

    @rule(event=st.sampled_from([Wanted(), StartRequested(), HurryRequested()]))
    def somebody_asks(self, event: Event) -> None:
        self.feed(event)

    @rule(grace=graces)
    def somebody_stops_it(self, grace: float | None) -> None:
        self.feed(StopRequested(grace))

        assert self.process.desired is Desired.DOWN

    @rule()
    def container_ends(self) -> None:
        self.ending = True
        self.feed(ShutdownBegan())

        assert self.process.desired is Desired.DOWN or self.process.state in REST

    @rule(grace=graces)
    def somebody_restarts_it(self, grace: float | None) -> None:
        self.feed(RestartRequested(grace))

        assert self.process.desired is Desired.UP or self.ending

    @precondition(lambda self: self.child == "pending")
    @rule()
    def program_is_executed(self) -> None:
        self.pid += 1
        self.child = "alive"
        self.feed(Spawned(self.pid))

    @precondition(lambda self: self.child == "pending")
    @rule(number=errnos, jitter=jitters)
    def program_is_not_executed(self, number: int, jitter: float) -> None:
        self.child = ""
        self.feed(SpawnFailed("exec", number, "refused"), jitter)

    @precondition(lambda self: self.child == "alive")
    @rule(status=statuses, survivors=st.booleans(), jitter=jitters)
    def main_process_ends(self, status: ExitStatus, survivors: bool, jitter: float) -> None:
        self.child = ""
        self.feed(ProcessExited(status, survivors), jitter)

    @rule(jitter=jitters)
    def survivors_are_gone(self, jitter: float) -> None:
        self.feed(SurvivorsGone(), jitter)

    @precondition(lambda self: self.timers.armed)
    @rule(data=st.data(), jitter=jitters)
    def timer_runs_out(self, data: st.DataObject, jitter: float) -> None:
        armed = sorted(self.timers.armed, key=lambda deadline: deadline.value)
        deadline = data.draw(st.sampled_from(armed))
        self.timers.armed.discard(deadline)
        self.feed(DeadlineReached(deadline), jitter)

    @rule(event=st.sampled_from([BecameReady(), StopCommandEnded(), StatusReported("fine")]))
    def something_is_reported(self, event: Event) -> None:
        self.feed(event)

    @rule(health=healths)
    def health_changes(self, health: str) -> None:
        self.feed(HealthChanged(health))

    @invariant()
    def each_timer_is_armed_in_its_state_alone(self) -> None:
        state, armed = self.process.state, self.timers.armed
        assert (Deadline.STOP in armed) == (state is ProcessState.STOPPING)
        assert (Deadline.BACKOFF in armed) == (state is ProcessState.BACKOFF)
        assert Deadline.START not in armed or state is ProcessState.STARTING

    @invariant()
    def pid_is_that_of_the_living_child(self) -> None:
        assert self.process.pid == (self.pid if self.child == "alive" else None)

    @invariant()
    def no_child_is_without_a_service(self) -> None:
        if self.process.state in (*REST, ProcessState.BACKOFF):
            assert not self.child
        if self.process.state is ProcessState.RUNNING:
            assert self.child == "alive"
        assert is_active(self.process) == (self.process.state not in REST)

    @invariant()
    def what_is_down_shows_no_trace_of_its_last_run(self) -> None:
        if self.process.state in REST:
            assert (self.process.ready, self.process.health) == (False, "")
            assert (self.process.next_start, self.process.killed) == (None, False)


Life.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestLife = Life.TestCase
