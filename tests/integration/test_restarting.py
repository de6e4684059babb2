"""Staying up: restart, backoff, start limit, readiness, health, dependencies; real processes."""

from __future__ import annotations

import os
import signal

import pytest

from tests.support.bench import Bench
from tests.support.eventually import eventually, holds

pytestmark = pytest.mark.integration


def test_a_killed_service_has_a_successor(bench: Bench) -> None:
    pid1 = bench.supervise(
        "services: {sleeper: {command: [sleep, '3600'], backoff: {initial: 0s}}}"
    )
    before = eventually(lambda: pid1.find("sleep"))[0]

    os.kill(before.pid, signal.SIGKILL)

    after = eventually(lambda: [p for p in pid1.find("sleep") if p.pid != before.pid])[0]
    row = pid1.wait_state("sleeper", "running")
    assert (row["pid"], row["restarts"]) == (after.inner, 1)


def test_the_delays_grow_and_the_status_says_so(bench: Bench) -> None:
    pid1 = bench.supervise("""
        services:
          crasher: {command: ["false"], backoff: {initial: 10ms, factor: 4, max: 1h, jitter: 0}}
    """)

    row = eventually(
        lambda: next(
            (
                r
                for r in [pid1.status()["crasher"]]
                if (r["next_start"] or 0) > 5 and r["restarts"] > 3
            ),
            None,
        )
    )

    assert row is not None
    assert row["state"] == "backoff"
    assert row["exit_code"] == 1


def test_the_start_limit_ends_in_failed(bench: Bench) -> None:
    pid1 = bench.supervise("""
        services:
          crasher:
            command: ["false"]
            backoff: {initial: 1ms, max: 2ms}
            start_limit: {burst: 3, interval: 60s}
          other: {command: [sleep, "3600"]}
    """)

    row = pid1.wait_state("crasher", "failed")

    assert row["restarts"] == 2
    assert pid1.status()["other"]["state"] == "running"


def test_an_essential_service_that_fails_ends_the_container_with_its_code(bench: Bench) -> None:
    pid1 = bench.start_config("""
        services:
          crasher:
            command: [sh, -c, "exit 9"]
            essential: true
            backoff: {initial: 1ms, max: 2ms}
            start_limit: {burst: 3, interval: 60s}
          other: {command: [stop_slowly.sh, "0"]}
    """)

    assert pid1.wait() == 9
    assert "stopped" in pid1.lines_of("other")


def test_on_failure_restarts_up_to_its_number(bench: Bench) -> None:
    pid1 = bench.supervise("""
        exit: never
        services:
          crasher: {command: ["false"], restart: "on-failure:2", backoff: {initial: 1ms}}
          done: {command: ["true"], restart: on-failure}
    """)

    assert pid1.wait_state("crasher", "failed")["restarts"] == 2
    assert pid1.wait_state("done", "exited")["restarts"] == 0


def test_a_service_that_a_person_stopped_stays_down(bench: Bench) -> None:
    pid1 = bench.supervise("""
        services:
          sleeper: {command: [sleep, "3600"], backoff: {initial: 0s}}
          other: {command: [sleep, "3601"]}
    """)
    pid1.wait_state("sleeper", "running")

    assert pid1.ctl("stop", "sleeper").returncode == 0

    holds(lambda: not pid1.find("sleep", "3600"), seconds=0.5)
    assert pid1.status()["sleeper"]["state"] == "stopped"


def test_a_program_that_is_not_there_is_said_and_tried_again(bench: Bench) -> None:
    pid1 = bench.supervise("""
        services:
          late: {command: [./late.sh], backoff: {initial: 20ms, max: 50ms}}
    """)
    pid1.wait_for("o such file")

    script = bench.write("late.new", "#!/bin/sh\nexec sleep 3600\n")
    script.chmod(0o755)
    script.rename(bench.directory / "late.sh")

    assert pid1.wait_state("late", "running")


def test_a_service_waits_until_what_it_depends_on_is_ready(bench: Bench) -> None:
    pid1 = bench.supervise("""
        services:
          db:
            command: {shell: "while ! [ -e go ]; do sleep 0.02; done; exec python3 -m http.server --bind 127.0.0.1 18080"}
            ready: {tcp: "127.0.0.1:18080", interval: 20ms}
          migrate:
            type: oneshot
            command: [sh, -c, "echo migrated >>order"]
            depends_on: {db: {condition: service_ready}}
          web:
            command: [sh, -c, "echo web >>order; exec sleep 3600"]
            depends_on: {migrate: {condition: service_completed_successfully}}
    """)
    waiting = pid1.wait_state("web", "waiting")
    assert "migrate" in waiting["detail"]
    assert "migrate" in pid1.ctl("explain", "web").stdout
    assert not (bench.directory / "order").exists()

    bench.write("go", "")

    pid1.wait_state("web", "running")
    assert bench.file("order") == "migrated\nweb\n"


def test_an_unhealthy_service_is_restarted_when_asked(bench: Bench) -> None:
    pid1 = bench.supervise("""
        services:
          sick:
            command: [sleep, "3600"]
            backoff: {initial: 1ms}
            healthcheck:
              test: [CMD, test, -e, fine]
              interval: 30ms
              timeout: 5s
              retries: 2
              on_unhealthy: restart
    """)
    eventually(lambda: pid1.status()["sick"]["restarts"] >= 1)

    bench.write("fine", "")

    eventually(lambda: pid1.status()["sick"]["health"] == "healthy")


def test_a_service_that_is_not_ready_in_time_is_started_again(bench: Bench) -> None:
    pid1 = bench.supervise("""
        services:
          slow:
            command: [sleep, "3600"]
            ready: {tcp: "127.0.0.1:1", interval: 20ms}
            start_timeout: 200ms
            backoff: {initial: 1ms}
    """)

    eventually(lambda: pid1.status()["slow"]["restarts"] >= 2)


def test_apply_touches_only_what_changed(bench: Bench) -> None:
    ten = "services:\n" + "".join(f"  s{n}: {{command: [sleep, '360{n}']}}\n" for n in range(10))
    pid1 = bench.supervise(ten)
    eventually(lambda: len(pid1.find("sleep")) == 10)
    before = {name: row["pid"] for name, row in pid1.status().items()}
    bench.write("supervise.yaml", ten.replace("'3604'", "'4604'"))

    applied = pid1.ctl("apply")

    assert applied.returncode == 0, applied
    eventually(lambda: pid1.find("4604"))
    after = {name: row["pid"] for name, row in pid1.status().items()}
    assert {name for name in before if before[name] != after[name]} == {"s4"}


def test_apply_of_a_broken_file_changes_nothing(bench: Bench) -> None:
    pid1 = bench.supervise("services: {sleeper: {command: [sleep, '3600']}}")
    before = pid1.wait_state("sleeper", "running")
    bench.write("supervise.yaml", "services: {sleeper: {comand: [sleep]}}\n")

    applied = pid1.ctl("apply")

    assert applied.returncode == 1
    assert "supervise.yaml:1:" in applied.stdout + applied.stderr
    assert pid1.status()["sleeper"]["pid"] == before["pid"]


def test_a_descriptor_limit_that_is_lowered_later_does_not_end_restarts(bench: Bench) -> None:
    pid1 = bench.supervise("services: {web: {command: [sleep, '3600'], backoff: {initial: 0s}}}")
    first = pid1.wait_state("web", "running")["pid"]

    assert pid1.run("prlimit", "--pid", "1", "--nofile=64:4096").returncode == 0
    assert pid1.ctl("signal", "SIGKILL", "web").returncode == 0

    eventually(lambda: pid1.status()["web"]["pid"] not in (None, first))
    assert pid1.status()["web"]["state"] == "running"


def test_a_reload_says_how_its_command_has_ended(bench: Bench) -> None:
    pid1 = bench.supervise("""
        services:
          good: {command: [sleep, "3600"], reload_command: {shell: "sleep 0.2; echo read"}}
          bad: {command: [sleep, "3600"], reload_command: {shell: "echo no such file; exit 3"}}
          gone: {command: [sleep, "3600"], reload_command: [no-such-program]}
    """)
    for name in ("good", "bad", "gone"):
        pid1.wait_state(name, "running")

    good = pid1.ctl("reload", "good")
    bad = pid1.ctl("reload", "bad")
    gone = pid1.ctl("reload", "gone")

    assert (good.returncode, good.stdout) == (
        0,
        "good: has reloaded: ran /bin/sh -c sleep 0.2; echo read\n",
    )
    assert bad.returncode == gone.returncode == 1
    assert "exit code 3: no such file (it goes on as it was)" in bad.stderr
    assert "cannot reload: no-such-program" in gone.stderr
    assert pid1.status()["bad"]["state"] == "running"


def test_a_service_that_is_never_ready_ends_the_container_with_1(bench: Bench) -> None:
    pid1 = bench.supervise("""
        services:
          web:
            command: [sleep, "3600"]
            ready: {exec: ["false"], interval: 10ms}
            start_timeout: 100ms
            restart: "no"
            essential: true
    """)

    assert pid1.wait() == 1
    assert "essential service web ended (not ready within 0.1 s)" in pid1.console
