"""Every (status, event) of a container's life, by hand, and what holds of any life."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.model.container import lifecycle, statuses
from runtime.model.container.lifecycle import (
    AbandonStart,
    ArmGrace,
    BeginStart,
    EndStart,
    FinishRun,
    FreezeProcesses,
    Frozen,
    GiveUpRestart,
    GraceOver,
    KillAsked,
    KillAtLast,
    Life,
    PauseAsked,
    PolicyChanged,
    ProgramEnded,
    ProgramStarted,
    Refuse,
    Repeat,
    RestartDue,
    SignalProgram,
    SignalStart,
    StartFailed,
    StopAsked,
    TellToEnd,
    Thawed,
    ThawProcesses,
    UnpauseAsked,
)
from runtime.model.container.spec import ContainerRestartPolicy
from runtime.model.container.statuses import CREATED, EXITED, PAUSED, RESTARTING, RUNNING
from supervise.model.record import Record

ALWAYS = ContainerRestartPolicy("always")
FAILED = StartFailed("cannot start 'c'", "", 127)
EVENTS: dict[type[Record], list[Record]] = {
    ProgramStarted: [ProgramStarted()],
    StartFailed: [FAILED],
    ProgramEnded: [ProgramEnded(0, 1.0), ProgramEnded(137, 1.0, oom_killed=True)],
    StopAsked: [StopAsked(15, 10.0), StopAsked(15, -1.0)],
    GraceOver: [GraceOver()],
    KillAsked: [KillAsked(9), KillAsked(10)],
    PauseAsked: [PauseAsked()],
    UnpauseAsked: [UnpauseAsked()],
    Frozen: [Frozen()],
    Thawed: [Thawed()],
    PolicyChanged: [PolicyChanged(ALWAYS)],
    RestartDue: [RestartDue()],
}
LIVED = (CREATED, RUNNING, PAUSED, RESTARTING, EXITED)  # what a monitor sees
# An empty tuple: it means nothing there.  In the order of LIVED.
EXPECTED: dict[type[Record], tuple[tuple[str, ...], ...]] = {
    ProgramStarted: ((RUNNING, CREATED), (), (), (RUNNING, RESTARTING), ()),
    StartFailed: ((CREATED,), (), (), (CREATED, RESTARTING), ()),
    ProgramEnded: ((), (RESTARTING, EXITED), (RESTARTING, EXITED), (), ()),
    StopAsked: ((CREATED,), (RUNNING,), (PAUSED,), (RESTARTING, EXITED), ()),
    GraceOver: ((), (RUNNING,), (PAUSED,), (), ()),
    KillAsked: ((CREATED,), (RUNNING,), (PAUSED,), (RESTARTING,), ()),
    PauseAsked: ((), (RUNNING,), (), (), ()),
    UnpauseAsked: ((), (), (PAUSED,), (), ()),
    Frozen: ((), (PAUSED,), (), (), ()),
    Thawed: ((), (), (RUNNING,), (), ()),
    PolicyChanged: ((CREATED,), (RUNNING,), (PAUSED,), (RESTARTING,), ()),
    RestartDue: ((), (), (), (RESTARTING,), ()),
}
PAIRS = [(status, event) for event in EXPECTED for status in statuses.EVERY]


def expected(status: str, event: type[Record]) -> tuple[str, ...]:
    return EXPECTED[event][LIVED.index(status)] if status in LIVED else ()


def lives_in(status: str) -> list[Life]:
    """Return lives that differ in all that the handlers look at."""
    return [
        Life(policy, status=status, starting=starting, stopping=stopping, stopped_by_user=by_user)
        for policy in (ContainerRestartPolicy(), ALWAYS)
        for starting in ((False, True) if status in (CREATED, RESTARTING) else (False,))
        for stopping in (False, True)
        for by_user in (False, True)
    ]


@pytest.mark.parametrize(("status", "event"), PAIRS)
def test_pair_reaches_all_its_statuses_and_no_other(status: str, event: type[Record]) -> None:
    declared = lifecycle.TRANSITIONS.get((status, event))
    after = [lifecycle.step(life, each) for life in lives_in(status) for each in EVENTS[event]]
    targets = expected(status, event)

    assert set(declared[1] if declared else ()) == set(targets)
    assert {life.status for life, _ in after} == set(targets or (status,))


@pytest.mark.parametrize(("status", "event"), [pair for pair in PAIRS if not expected(*pair)])
def test_pair_without_meaning_changes_nothing(status: str, event: type[Record]) -> None:
    refused = {KillAsked: [Refuse(RUNNING)], PauseAsked: [Refuse(RUNNING)]}
    refused[UnpauseAsked] = [Refuse(PAUSED)]

    for life in lives_in(status):
        for each in EVENTS[event]:
            assert lifecycle.step(life, each) == (life, refused.get(event, []))


def test_second_stop_waits_for_the_first() -> None:
    life, effects = lifecycle.step(Life(status=RUNNING, starting=False), StopAsked(15, 3.0))

    assert TellToEnd(15, 3.0) in effects
    assert effects[-1] == ArmGrace(3.0)
    assert lifecycle.step(life, StopAsked(9, 0.0)) == (life, [])


def test_stop_without_an_end_of_patience_arms_no_grace() -> None:
    _, effects = lifecycle.step(Life(status=RUNNING, starting=False), StopAsked(15, -1.0))

    assert not any(isinstance(each, ArmGrace) for each in effects)


class Kernel:
    """What carries effects out, as the kernel would, and counts processes."""

    def __init__(self, policy: ContainerRestartPolicy) -> None:
        self.life = Life(policy)
        self.starting = True
        self.live = 0
        self.over = False
        self.stopped = False  # before this run began or in it
        self.told_to_end = False

    def feed(self, event: Record) -> None:
        before = self.life.status
        self.life, effects = lifecycle.step(self.life, event)
        declared = lifecycle.TRANSITIONS.get((before, type(event)))
        assert self.life.status in (declared[1] if declared else (before,))
        for effect in effects:
            self.carry_out(effect)

    def carry_out(self, effect: Record) -> None:
        if isinstance(effect, BeginStart):
            assert not self.stopped, "a container stopped by a person starts again"
            assert not self.starting
            assert self.live == 0, "two live processes"
            self.starting = True
        elif isinstance(effect, FreezeProcesses):
            self.feed(Frozen())
        elif isinstance(effect, ThawProcesses):
            self.feed(Thawed())
        elif isinstance(effect, Repeat):
            self.feed(effect.event)
        elif isinstance(effect, TellToEnd | SignalProgram | KillAtLast):
            assert self.live == 1, "a signal to nobody"
            self.told_to_end = self.told_to_end or isinstance(effect, TellToEnd)
        elif isinstance(effect, EndStart | SignalStart):
            assert self.starting
        elif isinstance(effect, AbandonStart | FinishRun | GiveUpRestart):
            assert self.live == 0
            self.over = True

    def happen(self, event: Record) -> None:
        """Feed *event* if the kernel could say it now; people may say anything."""
        if isinstance(event, ProgramStarted | StartFailed):
            if not self.starting:
                return
            self.starting = False
            self.live = int(isinstance(event, ProgramStarted))
        elif isinstance(event, ProgramEnded):
            if not self.live:
                return
            self.live, self.told_to_end = 0, False
        elif isinstance(event, Frozen | Thawed):
            return
        elif isinstance(event, StopAsked):
            self.stopped = True
        self.feed(event)
        if isinstance(event, StopAsked):
            assert self.over or self.starting or self.told_to_end, "a stop that nothing follows"


@given(
    st.sampled_from(("no", "always", "on-failure", "unless-stopped")),
    st.lists(st.sampled_from([each for kind in EVENTS.values() for each in kind]), max_size=40),
)
def test_any_life_keeps_the_laws(mode: str, events: list[Record]) -> None:
    kernel = Kernel(ContainerRestartPolicy(mode))

    for event in events:
        if kernel.over:
            return
        kernel.happen(event)
        assert (kernel.life.status in statuses.HAS_PROCESS) == bool(kernel.live)
        assert kernel.life.starting == kernel.starting
