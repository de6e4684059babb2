"""Who starts when: dependencies, their four conditions, and what a failed one does."""

from __future__ import annotations

import pytest

from supervise.model.exitstatus import Exited
from supervise.model.process import Desired, ProcessState
from supervise.model.service import Condition, HealthCheck, Probe, Ready
from supervise.model.view import Blocker
from tests.support.fake_kernel import Program
from tests.support.simulation import NEVER, after, booted, oneshot, service

READY_WHEN_PROBED = Ready(Probe(exec=("probe",)), interval=1.0)
CHECKED = HealthCheck(Probe(exec=("probe",)), interval=2.0, start_interval=2.0)
# A probe that answers at once; the first three say no.
NO_NO_YES = [Program(runs=0.0, ends=Exited(1))] * 3 + [Program(runs=0.0)]


def test_services_without_dependencies_start_in_file_order() -> None:
    with booted({}, service("c"), service("a"), service("b")) as sim:
        assert sim.order_of_starts() == ["c", "a", "b"]


def test_dependencies_start_first_whatever_the_file_order() -> None:
    web = service("web", depends_on=after("app"))
    app = service("app", depends_on=after("db"))

    with booted({}, web, app, service("db")) as sim:
        assert sim.order_of_starts() == ["db", "app", "web"]


def test_started_waits_for_the_exec_alone() -> None:
    db = service("db", ready=READY_WHEN_PROBED)

    with booted({"probe": NO_NO_YES}, db, service("web", depends_on=after("db"))) as sim:
        sim.settle()

        assert sim.starts("web") == [0.0]
        assert not sim.service("db").process.ready


def test_started_waits_for_an_exec_that_is_not_confirmed() -> None:
    scripts = {"db": Program(confirms=2.0)}

    with booted(scripts, service("db"), service("web", depends_on=after("db"))) as sim:
        sim.run(5.0)

        assert sim.starts("web") == [2.0]


def test_ready_waits_for_the_probe() -> None:
    db = service("db", ready=READY_WHEN_PROBED)
    web = service("web", depends_on=after("db", condition=Condition.READY))

    with booted({"probe": NO_NO_YES}, db, web) as sim:
        sim.run(10.0)

        assert sim.starts("web") == [3.0]
        assert sim.when("service.ready", "db") == [3.0]


def test_ready_without_a_probe_is_running() -> None:
    web = service("web", depends_on=after("db", condition=Condition.READY))

    with booted({}, service("db"), web) as sim:
        assert sim.starts("web") == [0.0]


def test_ready_by_the_services_own_word() -> None:
    db = service("db", ready=Ready(Probe(notify=True)))
    web = service("web", depends_on=after("db", condition=Condition.READY))

    with booted({}, db, web) as sim:
        sim.run(4.0)
        sim.supervisor.report_status("db", "recovering")
        waiting = sim.supervisor.view("db").detail
        sim.supervisor.report_ready("db")

        assert waiting == "recovering"
        assert sim.starts("web") == [4.0]


def test_healthy_waits_for_the_first_good_check() -> None:
    db = service("db", healthcheck=CHECKED)
    web = service("web", depends_on=after("db", condition=Condition.HEALTHY))

    with booted({"probe": NO_NO_YES[2:]}, db, web) as sim:
        sim.run(10.0)

        assert sim.starts("web") == [4.0]


def test_completed_waits_for_the_end_of_a_oneshot() -> None:
    web = service("web", depends_on=after("migrate", condition=Condition.COMPLETED))

    with booted({"migrate": Program(runs=3.0)}, oneshot("migrate"), web) as sim:
        sim.run(5.0)

        assert sim.starts("web") == [3.0]
        assert sim.state("migrate") is ProcessState.EXITED
        assert sim.told("service.completed", "migrate")[0]["after"] == 3.0


def test_whoever_waits_says_for_what() -> None:
    web = service("web", depends_on=after("db", condition=Condition.READY))

    with booted({}, service("db", ready=Ready(Probe(notify=True))), web) as sim:
        assert sim.shown("web") == "waiting"
        assert sim.supervisor.view("web").detail == "waits for db (ready)"
        assert sim.told("service.waiting", "web") == [
            {"service": "web", "message": "waits for db (ready)"}
        ]


def test_failing_oneshot_blocks_its_dependents_and_ends_the_container_with_its_code() -> None:
    web = service("web", depends_on=after("migrate", condition=Condition.COMPLETED))
    scripts = {"migrate": Program(runs=1.0, ends=Exited(7))}

    with booted(scripts, oneshot("migrate"), web) as sim:
        assert sim.exit_code() == 7
        assert sim.starts("web") == []
        assert sim.shutdown.reason == "nothing is left to run"


def test_failing_oneshot_ends_the_container_though_the_waiting_stand_in_a_row() -> None:
    app = service("app", depends_on=after("migrate", condition=Condition.COMPLETED))
    web = service("web", depends_on=after("app"))
    proxy = service("proxy", depends_on=after("web"))
    scripts = {"migrate": Program(runs=1.0, ends=Exited(7))}

    with booted(scripts, proxy, web, app, oneshot("migrate")) as sim:
        assert sim.exit_code(within=10.0) == 7
        assert sim.order_of_starts() == ["migrate"]


def test_failing_oneshot_leaves_others_running() -> None:
    app = service("app", depends_on=after("migrate", condition=Condition.COMPLETED))
    scripts = {"migrate": Program(runs=1.0, ends=Exited(7))}

    with booted(scripts, service("db"), oneshot("migrate"), app) as sim:
        sim.run(5.0)

        assert sim.state("db") is ProcessState.RUNNING
        assert sim.shown("app") == "waiting"
        assert sim.supervisor.blockers("app") == [
            Blocker("migrate", "service_completed_successfully", "failed", final=True)
        ]


def test_mended_dependency_lets_the_waiting_go_on() -> None:
    app = service("app", depends_on=after("migrate", condition=Condition.COMPLETED))
    scripts = {"migrate": [Program(runs=1.0, ends=Exited(7)), Program(runs=1.0)]}

    with booted(scripts, service("db"), oneshot("migrate"), app) as sim:
        sim.run(5.0)
        sim.facade.start_all(["migrate"])
        sim.run(5.0)

        assert sim.starts("app") == [6.0]


def test_dependency_that_is_not_required_is_waited_for() -> None:
    cache = service("cache", ready=READY_WHEN_PROBED)
    web = service("web", depends_on=after("cache", condition=Condition.READY, required=False))

    with booted({"probe": NO_NO_YES}, cache, web) as sim:
        sim.run(5.0)

        assert sim.starts("web") == [3.0]


def test_dependency_that_is_not_required_is_waited_for_whatever_the_file_order() -> None:
    cache = service("cache", ready=READY_WHEN_PROBED)
    web = service("web", depends_on=after("cache", condition=Condition.READY, required=False))

    with booted({"probe": NO_NO_YES}, web, cache) as sim:
        sim.run(5.0)

        assert sim.starts("web") == [3.0]


def test_dependency_that_is_not_required_may_fail() -> None:
    web = service("web", depends_on=after("warm", condition=Condition.COMPLETED, required=False))

    with booted({"warm": Program(runs=2.0, ends=Exited(1))}, oneshot("warm"), web) as sim:
        sim.run(5.0)

        assert sim.starts("web") == [2.0]


def test_dependency_that_is_not_required_may_be_blocked_for_good() -> None:
    cache = service("cache", depends_on=after("fill", condition=Condition.COMPLETED))
    web = service("web", depends_on=after("cache", required=False))

    with booted({"fill": Program(runs=2.0, ends=Exited(1))}, oneshot("fill"), cache, web) as sim:
        sim.run(5.0)

        assert sim.starts("web") == [2.0]
        assert sim.shown("cache") == "waiting"


def test_dependency_that_is_not_required_is_not_started_for_it() -> None:
    web = service("web", depends_on=after("cache", required=False))

    with booted({}, service("cache", autostart=False), web) as sim:
        assert sim.order_of_starts() == ["web"]


def test_required_dependency_is_started_though_it_has_no_autostart() -> None:
    with booted({}, service("db", autostart=False), service("web", depends_on=after("db"))) as sim:
        assert sim.order_of_starts() == ["db", "web"]


def test_start_of_one_service_starts_what_it_depends_on() -> None:
    web = service("web", autostart=False, depends_on=after("db"))
    db = service("db", autostart=False)

    with booted({}, service("other"), db, web) as sim:
        sim.facade.start_all(["web"])

        assert sim.order_of_starts() == ["other", "db", "web"]


def test_start_does_not_run_a_completed_oneshot_again() -> None:
    web = service(
        "web", autostart=False, depends_on=after("migrate", condition=Condition.COMPLETED)
    )

    with booted({"migrate": Program(runs=1.0)}, service("db"), oneshot("migrate"), web) as sim:
        sim.run(2.0)
        sim.facade.start_all(["web"])
        sim.settle()

        assert sim.starts("migrate") == [0.0]
        assert sim.starts("web") == [2.0]


def test_stopped_while_waiting_it_waits_no_more() -> None:
    web = service("web", depends_on=after("db", condition=Condition.READY))

    with booted({}, service("db", ready=Ready(Probe(notify=True))), web) as sim:
        sim.facade.stop("web")
        sim.supervisor.report_ready("db")
        sim.run(60.0)

        assert sim.starts("web") == []
        assert sim.service("web").process.desired is Desired.DOWN


@pytest.mark.parametrize("condition", list(Condition))
def test_dependent_of_an_exec_that_fails_does_not_start(condition: Condition) -> None:
    web = service("web", depends_on=after("db", condition=condition))
    scripts = {"db": Program(fails=2)}

    with booted(scripts, service("db", restart=NEVER), service("idle"), web) as sim:
        sim.run(5.0)

        assert sim.starts("web") == []
        assert sim.state("db") is ProcessState.FAILED


def test_a_hundred_services_in_a_row_start_in_one_turn() -> None:
    row = [service("s0")]
    row += [service(f"s{i}", depends_on=after(f"s{i - 1}")) for i in range(1, 100)]

    with booted({}, *reversed(row)) as sim:
        assert sim.order_of_starts() == [f"s{i}" for i in range(100)]
