"""A new plan: what changed is touched, nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from supervise.daemon.supervisor import Supervisor
from supervise.model.errors import ConfigError, Problem
from supervise.model.exitstatus import Exited
from supervise.model.process import Desired, ProcessState
from supervise.model.service import (
    Condition,
    ExitPolicy,
    Probe,
    Ready,
    RestartMode,
    RestartPolicy,
    StartLimit,
)
from supervise.model.signals import SIGNALS
from supervise.model.view import Difference
from tests.support.fake_kernel import Program
from tests.support.simulation import (
    NEVER,
    SIGTERM,
    Simulation,
    after,
    booted,
    oneshot,
    service,
)

SIGINT = SIGNALS["SIGINT"]
SLOW = Program(handles={SIGTERM: (2.0, Exited(0))})
OTHER = ("other",)


def difference(**names: tuple[str, ...]) -> Difference:
    return Difference(**{"added": (), "removed": (), "changed": (), "unchanged": (), **names})


def test_one_changed_service_of_ten_is_restarted_and_the_other_pids_stay() -> None:
    ten = [service(f"s{i}") for i in range(10)]

    with booted({}, *ten) as sim:
        pids = {each.name: sim.pid(each.name) for each in ten}
        found = sim.apply(*ten[:4], service("s4", command=OTHER), *ten[5:])
        sim.run(5.0)

        unchanged = tuple(each.name for each in ten if each.name != "s4")
        assert found == difference(changed=("s4",), unchanged=unchanged)
        assert {name: sim.pid(name) for name in pids if name != "s4"} == {
            name: pid for name, pid in pids.items() if name != "s4"
        }
        assert sim.process("s4").name == "s4"
        assert sim.kernel.specs[sim.pid("s4")].command == OTHER


def test_changed_service_is_stopped_the_old_way_and_started_the_new_way() -> None:
    with booted({}, service("web", stop_signal=SIGINT), service("idle")) as sim:
        sim.apply(service("web", stop_signal=SIGTERM, command=OTHER), service("idle"))
        sim.run(1.0)

        assert [number for _when, number in sim.received("web")] == [SIGINT]
        assert sim.kernel.specs[sim.pid("web")].command == OTHER
        assert "web" in sim.kernel.forgotten


@pytest.mark.parametrize(
    "change",
    [
        {"restart": NEVER},
        {"stop_signal": SIGINT},
        {"stop_grace_period": 1.0},
        {"essential": True},
        {"autostart": False},
        {"start_limit": StartLimit()},
        {"depends_on": after("idle")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_change_that_takes_effect_in_place_keeps_the_process(change: dict[str, Any]) -> None:
    with booted({}, service("web"), service("idle")) as sim:
        pid = sim.pid("web")
        found = sim.apply(service("web", **change), service("idle"))
        sim.run(5.0)

        assert found.changed == ("web",)
        assert sim.pid("web") == pid
        spec = sim.service("web").process.spec
        assert all(getattr(spec, field) == value for field, value in change.items())


def test_stop_signal_changed_in_place_is_the_one_sent() -> None:
    with booted({}, service("web"), service("idle")) as sim:
        sim.apply(service("web", stop_signal=SIGINT), service("idle"))
        sim.facade.stop("web")

        assert [number for _when, number in sim.received("web")] == [SIGINT]


def test_dependency_added_in_place_orders_the_shutdown() -> None:
    with booted({"web": SLOW}, service("web"), service("db")) as sim:
        sim.apply(service("web", depends_on=after("db")), service("db"))
        begun = sim.now
        sim.signal(SIGTERM)
        sim.exit_code()

        assert sim.received("db")[0][0] == pytest.approx(begun + 2.0)


def test_dependency_removed_in_place_no_longer_orders_the_shutdown() -> None:
    with booted({"web": SLOW}, service("web", depends_on=after("db")), service("db")) as sim:
        sim.apply(service("web"), service("db"))
        begun = sim.now
        sim.signal(SIGTERM)
        sim.exit_code()

        assert sim.received("db")[0][0] == pytest.approx(begun)


def test_dependency_changed_in_place_releases_who_waits_for_it() -> None:
    job = oneshot("job")
    web = service("web", depends_on=after("job", condition=Condition.COMPLETED))

    with booted({}, job, web) as sim:
        assert sim.shown("web") == "waiting"
        sim.apply(job, service("web"))

        assert sim.state("web") is ProcessState.RUNNING


def test_removed_dependency_releases_who_waits_for_it() -> None:
    job = oneshot("job")
    web = service("web", depends_on=after("job", condition=Condition.COMPLETED))

    with booted({}, job, web) as sim:
        sim.apply(service("web"))
        sim.run(5.0)

        assert sim.state("web") is ProcessState.RUNNING
        assert sim.facade.names() == ["web"]


def test_removed_service_is_stopped_and_forgotten() -> None:
    with booted({"old": SLOW}, service("old"), service("web")) as sim:
        found = sim.apply(service("web"))
        sim.run(1.0)
        meanwhile = sim.facade.names(), sim.shown("old")
        sim.run(5.0)

        assert found == difference(removed=("old",), unchanged=("web",))
        assert meanwhile == (["web", "old"], "stopping")
        assert sim.facade.names() == ["web"]
        assert [number for _when, number in sim.received("old")] == [SIGTERM]


def test_removed_service_that_is_down_is_forgotten_at_once() -> None:
    with booted({}, service("old", autostart=False), service("web")) as sim:
        sim.apply(service("web"))

        assert sim.facade.names() == ["web"]


def test_removed_service_in_backoff_does_not_come_back() -> None:
    with booted({"old": Program(runs=1.0)}, service("old"), service("web")) as sim:
        sim.run(1.05)
        sim.apply(service("web"))
        sim.run(60.0)

        assert sim.facade.names() == ["web"]
        assert sim.starts("old") == [0.0]


def test_removed_service_cannot_be_started_while_it_stops() -> None:
    with booted({"old": SLOW}, service("old"), service("web")) as sim:
        sim.apply(service("web"))
        sim.facade.start_all(["old"])
        sim.facade.restart("old")
        sim.run(60.0)

        assert sim.facade.names() == ["web"]
        assert sim.starts("old") == [0.0]


def test_removed_service_does_not_trouble_the_restart_of_what_it_depended_on() -> None:
    old = service("old", depends_on=after("db", restart=True))

    with booted({}, service("db"), old) as sim:
        sim.apply(service("db"))
        sim.run(1.0)
        sim.facade.restart("db")
        sim.run(1.0)

        assert len(sim.starts("db")) == 2


def test_removed_service_that_returns_while_it_stops_is_started_again_as_it_is_now() -> None:
    with booted({"web": SLOW}, service("web"), service("idle")) as sim:
        sim.apply(service("idle"))
        sim.run(1.0)
        found = sim.apply(service("web", command=OTHER), service("idle"))
        sim.run(60.0)

        assert found.added == ("web",)
        assert sim.state("web") is ProcessState.RUNNING
        assert sim.kernel.specs[sim.pid("web")].command == OTHER
        assert sim.facade.names() == ["web", "idle"]


def test_added_service_is_started_after_what_it_depends_on() -> None:
    web = service("web", depends_on=after("db"))

    with booted({}, service("idle")) as sim:
        found = sim.apply(web, service("db"), service("idle"))

        assert found == difference(added=("web", "db"), unchanged=("idle",))
        assert sim.order_of_starts() == ["idle", "db", "web"]
        assert sim.facade.names() == ["web", "db", "idle"]


def test_added_service_without_autostart_is_not_started() -> None:
    with booted({}, service("idle")) as sim:
        sim.apply(service("web", autostart=False), service("idle"))
        sim.run(5.0)

        assert sim.state("web") is ProcessState.STOPPED


def test_dry_run_changes_nothing() -> None:
    with booted({}, service("old"), service("web")) as sim:
        pids = sim.pid("old"), sim.pid("web")
        found = sim.apply(service("web", command=OTHER), service("new"), dry_run=True)
        sim.run(5.0)

        assert found == difference(added=("new",), removed=("old",), changed=("web",))
        assert (sim.pid("old"), sim.pid("web")) == pids
        assert sim.facade.names() == ["old", "web"]
        assert sim.supervisor.plan == sim.plan
        assert sim.adopted == []


@pytest.mark.parametrize("dry_run", [True, False])
def test_bad_configuration_changes_nothing(dry_run: bool) -> None:
    problems = (
        Problem("a.yaml", 1, 1, "services.web", "is wrong"),
        Problem("a.yaml", 2, 1, "services.db", "is wrong too"),
    )

    with booted({}, service("web")) as sim:
        pid = sim.pid("web")
        sim.next_plan = ConfigError(problems)
        found = sim.apply_next(dry_run=dry_run)
        sim.run(5.0)

        assert found.problems == problems
        assert sim.pid("web") == pid
        assert sim.told("supervise.reload_refused") == [
            {
                "message": "a.yaml:1:1: services.web: is wrong "
                "(and 1 more; supervise check shows all)"
            }
        ]


def test_unchanged_plan_is_not_announced() -> None:
    with booted({}, service("web")) as sim:
        sim.apply(service("web"))

        assert sim.told("supervise.reloaded") == []


def test_new_plan_is_told_before_its_services_start() -> None:
    with booted({}, service("web")) as sim:
        sim.apply(service("web"), service("new"))

        assert list(sim.adopted[0].services) == ["web", "new"]
        assert sim.told("supervise.reloaded") == [{"added": ["new"], "removed": [], "changed": []}]


def test_grace_and_exit_policy_of_the_new_plan_count() -> None:
    with booted({}, service("web", restart=NEVER), service("idle")) as sim:
        sim.apply(service("web", restart=NEVER), service("idle"), exit_policy=ExitPolicy.ANY)
        sim.end("web", Exited(5))

        assert sim.exit_code() == 5


def test_what_a_person_stopped_stays_down_when_it_changes() -> None:
    with booted({}, service("web"), service("idle")) as sim:
        sim.facade.stop("web")
        sim.settle()
        sim.apply(service("web", command=OTHER), service("idle"))
        sim.run(60.0)

        assert sim.starts("web") == [0.0]
        sim.facade.start_all(["web"])
        assert sim.kernel.specs[sim.pid("web")].command == OTHER


def test_what_a_person_is_stopping_stays_down_when_it_changes() -> None:
    with booted({"web": SLOW}, service("web"), service("idle")) as sim:
        sim.facade.stop("web")
        sim.apply(service("web", command=OTHER), service("idle"))
        sim.run(60.0)

        assert sim.starts("web") == [0.0]
        assert sim.service("web").process.desired is Desired.DOWN
        assert sim.service("web").process.spec.command == OTHER


def test_start_while_a_changed_service_stops_starts_the_new_command() -> None:
    with booted({"web": SLOW}, service("web"), service("idle")) as sim:
        sim.apply(service("web", command=OTHER), service("idle"))
        sim.facade.start_all(["web"])
        sim.facade.restart("web")
        sim.run(60.0)

        assert len(sim.starts("web")) == 2
        assert sim.kernel.specs[sim.pid("web")].command == OTHER


def test_second_change_while_the_first_stops_is_the_one_that_counts() -> None:
    with booted({"web": SLOW}, service("web"), service("idle")) as sim:
        sim.apply(service("web", command=OTHER), service("idle"))
        sim.apply(service("web", command=OTHER, stop_signal=SIGINT), service("idle"))
        sim.run(60.0)

        spec = sim.service("web").process.spec
        assert (spec.command, spec.stop_signal) == (OTHER, SIGINT)
        assert len(sim.starts("web")) == 2


def test_mended_service_that_had_failed_is_tried_again() -> None:
    web = service("web", restart=NEVER)

    with booted({"web": Program(fails=2)}, web, service("idle")) as sim:
        sim.settle()
        assert sim.state("web") is ProcessState.FAILED
        sim.apply(service("web", restart=NEVER, command=OTHER), service("idle"))

        assert sim.state("web") is ProcessState.RUNNING


def test_changed_service_in_backoff_starts_at_once_with_the_new_command() -> None:
    with booted({"web": Program(fails=2)}, service("web"), service("idle")) as sim:
        sim.run(20.0)
        assert sim.state("web") is ProcessState.BACKOFF
        sim.apply(service("web", command=OTHER), service("idle"))
        sim.settle()

        assert sim.state("web") is ProcessState.RUNNING


def test_changed_dependency_restarts_its_dependents_that_ask_for_it() -> None:
    db = service("db", ready=Ready(Probe(notify=True)))
    web = service("web", depends_on=after("db", condition=Condition.READY, restart=True))
    app = service("app", depends_on=after("db", condition=Condition.READY))

    with booted({}, db, web, app) as sim:
        sim.supervisor.report_ready("db")
        pids = sim.pid("web"), sim.pid("app")
        sim.apply(db.replace(command=OTHER), web, app)
        sim.run(3.0)

        assert sim.shown("web") == "waiting"
        sim.supervisor.report_ready("db")
        assert sim.pid("web") != pids[0]
        assert sim.pid("app") == pids[1]


def test_apply_during_the_shutdown_is_refused() -> None:
    with booted({"web": SLOW}, service("web")) as sim:
        sim.signal(SIGTERM)
        sim.run(0.5)
        found = sim.apply(service("web", command=OTHER), service("new"))
        sim.exit_code()

        assert isinstance(found, ConfigError)
        assert "stopping" in str(found)
        assert sim.order_of_starts() == ["web"]


def test_shutdown_during_the_reading_refuses_what_was_read() -> None:
    with booted({"web": SLOW}, service("web")) as sim:
        sim.next_plan = sim.plan.replace(services={"new": service("new")})
        sim.signal(SIGNALS["SIGHUP"])
        sim.settle()
        sim.signal(SIGTERM)
        sim.exit_code()

        assert sim.order_of_starts() == ["web"]
        assert len(sim.told("supervise.reload_refused")) == 1


def test_hang_up_applies_the_configuration() -> None:
    with booted({}, service("web")) as sim:
        sim.next_plan = sim.plan.replace(services={**sim.plan.services, "new": service("new")})
        sim.signal(SIGNALS["SIGHUP"])
        sim.run(1.0)

        assert sim.state("new") is ProcessState.RUNNING


def test_main_command_stays_what_it_is() -> None:
    main = service("main", restart=NEVER, essential=True)

    with booted({}, service("web"), main=main) as sim:
        pid = sim.pid("main")
        found = sim.apply(service("web"), service("new"))
        sim.run(1.0)

        assert found.unchanged == ("web", "main")
        assert sim.pid("main") == pid
        assert sim.facade.names() == ["web", "new", "main"]


def test_service_named_as_the_main_command_is_refused() -> None:
    main = service("main", restart=NEVER, essential=True)

    with booted({}, service("web"), main=main) as sim:
        sim.next_plan = sim.plan.replace(services={"main": service("main")})
        sim.signal(SIGNALS["SIGHUP"])
        sim.run(1.0)

        assert "main command" in sim.told("supervise.reload_refused")[0]["message"]
        assert sim.facade.names() == ["web", "main"]


def test_restart_policy_changed_in_place_counts_at_the_next_end() -> None:
    with booted({"web": Program(runs=5.0)}, service("web"), service("idle")) as sim:
        sim.run(1.0)
        sim.apply(service("web", restart=RestartPolicy(RestartMode.NO)), service("idle"))
        sim.run(60.0)

        assert sim.starts("web") == [0.0]
        assert sim.state("web") is ProcessState.EXITED


def test_many_sighups_at_once_are_one_reading_and_one_more() -> None:
    with booted({}, service("web")) as sim:
        for _ in range(100):
            sim.signal(SIGNALS["SIGHUP"])
        sim.run(0.005)  # the first reading has begun, and sees what there was
        sim.next_plan = sim.plan.replace(services={"web": service("web"), "new": service("new")})
        sim.run(1.0)

        assert len(sim.adopted) == 2
        assert sim.state("new") is ProcessState.RUNNING


def test_fault_while_a_plan_comes_into_force_still_answers_and_the_next_apply_works() -> None:
    sim = Simulation({}, service("web"))
    sim.boot()
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(Supervisor, "start_waiting")
        found = sim.apply(service("web"), service("new"))

    assert "internal fault" in found.problems[0].what
    assert sim.apply(service("web"), service("newer")).added == ("newer",)
    assert len(sim.faults()) == 1
    sim.close()
