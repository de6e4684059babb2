"""Requests to the supervisor: restart, reload, signal, and what it tells of its services."""

from __future__ import annotations

import pytest

from supervise.model.exitstatus import Exited
from supervise.model.hint import Hint, HintKind
from supervise.model.process import ProcessState
from supervise.model.service import Condition, Probe, Ready
from supervise.model.signals import SIGNALS
from tests.support.fake_kernel import Program
from tests.support.simulation import NEVER, SIGKILL, SIGTERM, after, booted, oneshot, service

SIGHUP = SIGNALS["SIGHUP"]
SLOW = Program(handles={SIGTERM: (2.0, Exited(0))})
BY_WORD = Ready(Probe(notify=True))


def test_restart_replaces_the_process_once_it_has_ended() -> None:
    with booted({"web": SLOW}, service("web")) as sim:
        sim.facade.restart("web")
        sim.run(10.0)

        assert sim.starts("web") == [0.0, 2.0]
        assert sim.service("web").process.restarts == 0


def test_restart_kills_after_the_timeout_of_the_request() -> None:
    with booted({"web": Program(ignores=frozenset({SIGTERM}))}, service("web")) as sim:
        sim.facade.restart("web", 1.0)
        sim.run(10.0)

        assert sim.received("web") == [(0.0, SIGTERM), (1.0, SIGKILL)]
        assert sim.starts("web") == [0.0, 1.0]


@pytest.mark.parametrize("programs", [Program(runs=1.0), Program(fails=2)])
def test_restart_of_what_is_down_starts_it(programs: Program) -> None:
    with booted({"web": [programs, Program()]}, service("web", restart=NEVER), service("x")) as sim:
        sim.run(5.0)
        sim.facade.restart("web")

        assert sim.state("web") is ProcessState.RUNNING


def test_restart_in_backoff_starts_at_once() -> None:
    with booted({"web": [Program(fails=2)] * 8 + [Program()]}, service("web")) as sim:
        sim.until(lambda: len(sim.starts("web")) == 8)
        sim.settle()
        sim.facade.restart("web")

        assert sim.state("web") is ProcessState.RUNNING


def test_restart_takes_dependents_that_ask_for_it_along_and_they_wait_for_readiness() -> None:
    db = service("db", ready=BY_WORD)
    web = service("web", depends_on=after("db", condition=Condition.READY, restart=True))
    app = service("app", depends_on=after("db", condition=Condition.READY))

    with booted({}, db, web, app) as sim:
        sim.supervisor.report_ready("db")
        pids = {name: sim.pid(name) for name in ("db", "web", "app")}
        sim.facade.restart("db")
        sim.run(3.0)
        waiting = sim.shown("web")
        sim.supervisor.report_ready("db")

        assert waiting == "waiting"
        assert sim.starts("web") == [0.0, 3.0]
        assert sim.pid("app") == pids["app"]
        assert sim.pid("db") != pids["db"]


def test_restart_takes_the_dependents_of_dependents_along() -> None:
    web = service("web", depends_on=after("app", restart=True))
    app = service("app", depends_on=after("db", restart=True))

    with booted({}, service("db"), app, web) as sim:
        sim.run(1.0)
        sim.facade.restart("db")
        sim.run(1.0)

        assert sim.order_of_starts() == ["db", "app", "web", "db", "app", "web"]


def test_dependent_that_a_person_is_stopping_is_not_taken_along() -> None:
    web = service("web", depends_on=after("db", restart=True))

    with booted({"web": SLOW}, service("db"), web) as sim:
        sim.facade.stop("web")
        sim.facade.restart("db")
        sim.run(10.0)

        assert sim.starts("web") == [0.0]


def test_dependent_in_backoff_waits_for_the_restarted_dependency() -> None:
    db = service("db", ready=BY_WORD)
    web = service("web", depends_on=after("db", condition=Condition.READY, restart=True))

    with booted({"web": [Program(runs=1.0), Program()]}, db, web) as sim:
        sim.supervisor.report_ready("db")
        sim.run(1.05)
        assert sim.state("web") is ProcessState.BACKOFF
        sim.facade.restart("db")
        sim.run(1.0)

        assert sim.shown("web") == "waiting"


def test_crash_of_a_dependency_leaves_its_dependents_alone() -> None:
    web = service("web", depends_on=after("db", restart=True))

    with booted({"db": [Program(runs=1.0), Program()]}, service("db"), web) as sim:
        sim.run(5.0)

        assert sim.starts("web") == [0.0]


@pytest.mark.parametrize("order", [("db", "web"), ("web", "db")])
def test_restart_of_everything_keeps_the_order_of_a_boot(order: tuple[str, str]) -> None:
    web = service("web", depends_on=after("db", condition=Condition.READY))

    with booted({"db": SLOW}, service("db", ready=BY_WORD), web) as sim:
        sim.supervisor.report_ready("db")
        for name in order:
            sim.facade.restart(name)
        sim.run(5.0)
        waiting = sim.shown("web")
        sim.supervisor.report_ready("db")

        assert waiting == "waiting"
        assert sim.order_of_starts() == ["db", "web", "db", "web"]


def test_reload_by_signal() -> None:
    with booted({}, service("web", reload_signal=SIGHUP)) as sim:
        pid = sim.pid("web")
        sim.kernel.programs["web"] = Program()
        how = sim.facade.reload("web")

        assert how == "sent SIGHUP"
        assert sim.received("web") == [(0.0, SIGHUP)]
        assert sim.told("service.reloading", "web") == [{"service": "web", "how": how}]
        assert pid in sim.kernel.table


def test_reload_by_command() -> None:
    with booted(
        {"again": Program(runs=1.0)}, service("web", reload_command=("again", "-r"))
    ) as sim:
        how = sim.facade.reload("web")
        sim.run(5.0)

        assert how == "ran again -r"
        assert len(sim.told("service.reloading", "web")) == 1
        assert sim.told("service.reloaded", "web") == [{"service": "web", "how": how}]


def test_reload_command_that_fails_is_told_with_its_output() -> None:
    scripts = {"again": Program(runs=1.0, ends=Exited(1), output=b"no such file\n")}

    with booted(scripts, service("web", reload_command=("again",))) as sim:
        sim.facade.reload("web")
        sim.run(5.0)

        assert sim.told("service.reloaded", "web") == []
        assert sim.told("service.reload_failed", "web") == [
            {"service": "web", "message": "again: exit code 1: no such file"}
        ]


def test_reload_command_that_hangs_is_killed() -> None:
    with booted({}, service("web", reload_command=("again",))) as sim:
        sim.facade.reload("web")
        sim.run(100.0)

        assert sim.kernel.alive("again") == []
        assert sim.starts("web") == [0.0]
        assert sim.told("service.reload_failed", "web") == [
            {"service": "web", "message": "again: it took too long"}
        ]


def test_reload_without_a_way() -> None:
    with booted({}, service("web")) as sim:
        assert sim.facade.reload("web") is None
        assert sim.told("service.reloading") == []


def test_stop_does_not_wait_for_a_reload_command() -> None:
    with booted({}, service("web", reload_command=("again",)), service("idle")) as sim:
        sim.facade.reload("web")
        sim.facade.stop("web")
        sim.settle()

        assert sim.state("web") is ProcessState.STOPPED


def test_signal_reaches_the_main_process_alone() -> None:
    scripts = {"web": Program(children=[Program()], ignores=frozenset({SIGHUP}))}

    with booted(scripts, service("web")) as sim:
        assert sim.facade.signal("web", SIGHUP)
        assert sim.process("web").received == [(sim.loop.now(), SIGHUP)]
        assert sim.received("web/0") == []


def test_signal_to_what_is_down() -> None:
    with booted({}, service("web", autostart=False), service("idle")) as sim:
        assert not sim.facade.signal("web", SIGHUP)


def test_pids_are_the_main_one_and_all_below_it() -> None:
    scripts = {"web": Program(children=[Program(children=[Program(setsid=True)])])}

    with booted(scripts, service("web"), service("idle", autostart=False)) as sim:
        family = [each.pid for each in sim.kernel.history]

        assert sim.facade.pids("web") == family
        assert sim.facade.pids("idle") == []


def test_service_of_pid_knows_main_processes() -> None:
    with booted({}, service("web")) as sim:
        pid = sim.pid("web")

        assert sim.supervisor.service_of_pid(pid) == "web"
        assert sim.supervisor.service_of_pid(pid + 1) is None


def test_output_is_drained_before_the_end_is_told() -> None:
    with booted({"job": Program(runs=1.0)}, oneshot("job"), service("idle")) as sim:
        drained_at_end: list[bool] = []
        sim.events.subscribe(
            lambda event, _: (
                drained_at_end.append("job" in sim.logs.drained)
                if event.name == "service.completed"
                else None
            )
        )
        sim.run(2.0)

        assert drained_at_end == [True]


def test_strangers_that_end_are_nobodys_business() -> None:
    stranger = Program(runs=1.0, setsid=True)
    scripts = {"job": Program(runs=0.5, children=[stranger] * 3)}

    with booted(scripts, oneshot("job"), service("web")) as sim:
        sim.run(5.0)

        assert sim.starts("web") == [0.0]
        assert sorted(p.name for p in sim.kernel.table.values()) == ["web"]


def test_explanation_names_the_cause_and_the_way_out() -> None:
    web = service("web", depends_on=after("job", condition=Condition.COMPLETED))

    with booted(
        {"job": Program(runs=1.0, ends=Exited(3))}, oneshot("job"), web, service("x")
    ) as sim:
        sim.run(5.0)
        explanation = sim.facade.explain("web")

        assert "job" in " ".join(explanation.sentences)
        assert explanation.hints == (Hint(HintKind.EXPLAIN, "job"),)


def test_unknown_service_is_a_key_error() -> None:
    with booted({}, service("web")) as sim, pytest.raises(KeyError):
        sim.facade.view("nobody")
