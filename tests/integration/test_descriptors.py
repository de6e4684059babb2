"""Descriptors, standard streams and the console: corner cases 27 to 37."""

from __future__ import annotations

import json
import os
import signal
import socket
import time

import pytest

from tests.support import procfs
from tests.support.bench import Bench
from tests.support.eventually import eventually, holds
from tests.support.pid1 import Pid1

pytestmark = pytest.mark.integration

ONE_SLEEPER = """
    services:
      sleeper: {command: [sleep, "3600"]}
"""
SHOWS = """
    services:
      shows: {command: [show_start.py], restart: "no", environment: {SHOW_START_FILE: facts}}
      sleeper: {command: [sleep, "3600"]}
"""


def facts(bench: Bench) -> dict[str, object]:
    """Return what show_start.py wrote."""
    found: dict[str, object] = json.loads(eventually(lambda: bench.file("facts")))
    return found


def test_a_service_reads_nothing_from_standard_input(bench: Bench) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b"meant for nobody")

    pid1 = bench.supervise(
        "services: {reader: {command: [cat], restart: 'no', type: oneshot}}\nexit: never",
        stdin=read_end,
    )

    assert pid1.wait_state("reader", "exited")["exit_code"] == 0
    assert os.read(read_end, 100) == b"meant for nobody"
    os.close(read_end)
    os.close(write_end)


def test_standard_output_is_never_made_non_blocking(bench: Bench) -> None:
    read_end, write_end = os.pipe()

    pid1 = bench.supervise(ONE_SLEEPER, stdout=write_end)
    pid1.wait_state("sleeper", "running")

    assert not procfs.descriptor_flags(os.getpid(), write_end) & os.O_NONBLOCK
    pid1.terminate()
    assert not procfs.descriptor_flags(os.getpid(), write_end) & os.O_NONBLOCK
    os.close(write_end)
    os.close(read_end)


@pytest.mark.needs("root")
def test_another_users_pipe_on_standard_output_works(bench: Bench) -> None:
    pid1 = bench.supervise(
        "services: {talker: {command: [sh, -c, 'echo hello; exec sleep 3600'], logs: {file: /dev/stdout}}}",
        prefix=bench.as_user(12345, 12345),
    )

    pid1.wait_for("hello")


def test_a_socket_on_standard_output_works(bench: Bench) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        pid1 = bench.supervise(
            "services: {talker: {command: [sh, -c, 'echo hello; exec sleep 3600']}}",
            stdout=theirs.fileno(),
        )
        theirs.close()

        seen = b""
        while b"| hello\n" not in seen:
            seen += ours.recv(4096)
        pid1.terminate()


FLOOD = """
    services:
      flood: {{command: [yes, "a line of some length that fills pipes in no time"], logs: {logs}}}
      sleeper: {{command: [sleep, "3600"]}}
"""


@pytest.mark.parametrize("logs", ["{on_stall: block}", "{on_stall: drop}", "{format: json}"])
def test_a_console_nobody_reads_stalls_neither_status_nor_sigterm(bench: Bench, logs: str) -> None:
    pid1 = bench.supervise(FLOOD.format(logs=logs), stdout="stalled")
    pid1.wait_state("flood", "running")
    pipe_is_full = eventually(lambda: pid1.stalled_bytes() >= 65536 - 4096)
    assert pipe_is_full

    answers = []
    for _ in range(5):
        start = time.monotonic()
        assert pid1.status()["sleeper"]["state"] == "running"
        answers.append(time.monotonic() - start)

    assert min(answers) < 0.5
    assert pid1.terminate() == 0


def test_dropped_lines_are_counted_and_said(bench: Bench) -> None:
    read_end, write_end = os.pipe()
    pid1 = bench.supervise(FLOOD.format(logs="{on_stall: drop}"), stdout=write_end)
    os.close(write_end)
    pid1.wait_state("flood", "running")
    eventually(lambda: "ropped" in pid1.ctl("events").stdout or _time_passes())

    with os.fdopen(read_end, "rb") as console:
        seen = b""
        while b"ropped" not in seen:
            seen = seen[-200:] + console.read1(65536)
        assert b"lines" in seen
        pid1.signal(signal.SIGTERM)
        console.read()
    assert pid1.wait() == 0


def _time_passes() -> bool:
    """Let the flood go on: there is no outside sign of a dropped line until someone reads."""
    holds(lambda: True, seconds=0.3)
    return True


def test_a_grandchild_that_keeps_the_pipe_open_does_not_hide_the_exit(bench: Bench) -> None:
    pid1 = bench.supervise("""
        exit: never
        services:
          parent: {command: [setsid_grandchild.sh, told, once], restart: "no"}
    """)

    row = pid1.wait_state("parent", "exited")

    assert row["exit_code"] == 0
    assert pid1.lines_of("parent") == ["ready"]
    assert pid1.find("grandchild")


def test_a_last_line_without_newline_is_shown(bench: Bench) -> None:
    pid1 = bench.supervise("""
        exit: never
        services: {brief: {command: [printf, "one\\ntwo"], restart: "no"}}
    """)

    pid1.wait_state("brief", "exited")

    assert pid1.lines_of("brief") == ["one", "two"]


def test_bytes_that_are_not_utf_8_pass(bench: Bench) -> None:
    pid1 = bench.supervise("""
        exit: never
        services: {brief: {command: [printf, '\\377\\033[31mred\\n'], restart: "no"}}
    """)

    pid1.wait_state("brief", "exited")

    assert b"| \xff\x1b[31mred\n" in pid1.stream("stdout")


def test_children_get_no_descriptor_that_is_not_meant_for_them(bench: Bench) -> None:
    leaky = ("sh", "-c", 'exec 7</etc/hostname 8>leaked; exec "$@"', "sh")

    pid1 = bench.supervise(SHOWS, prefix=leaky)

    descriptors = facts(bench)["descriptors"]
    assert isinstance(descriptors, dict)
    assert set(descriptors) == {"0", "1", "2"}
    assert descriptors["0"] == "/dev/null"
    assert pid1.status()


def test_the_readers_of_the_console_may_go_away(bench: Bench) -> None:
    pid1 = bench.supervise("""
        services:
          talker: {command: {shell: "while :; do echo more; sleep 0.01; done"}}
    """)
    pid1.wait_for("more")

    pid1.close_output()

    holds(lambda: pid1.running, seconds=0.5)
    row = pid1.status()["talker"]
    assert (row["state"], row["restarts"]) == ("running", 0)
    assert pid1.terminate() == 0


def test_variables_that_named_pid_1_are_not_passed_on(bench: Bench) -> None:
    meant_for_pid_1 = {
        "LISTEN_FDS": "1",
        "LISTEN_PID": "1",
        "LISTEN_FDNAMES": "http",
        "NOTIFY_SOCKET": "@nobody",
        "WATCHDOG_PID": "1",
        "WATCHDOG_USEC": "1000",
    }

    bench.supervise(SHOWS, environment={**meant_for_pid_1, "KEPT": "yes"})

    environment = facts(bench)["environment"]
    assert isinstance(environment, dict)
    assert environment["KEPT"] == "yes"
    assert not meant_for_pid_1.keys() & environment.keys()


NOTIFIES = """
    services:
      speaker:
        command: [{command}]
        ready: {{notify: true}}
"""


def test_a_service_that_notifies_is_ready(bench: Bench) -> None:
    command = "notify.py, --stay, '-', READY=1, STATUS=all well"

    pid1 = bench.supervise(NOTIFIES.format(command=command))

    eventually(lambda: pid1.status()["speaker"]["ready"])
    eventually(lambda: "all well" in pid1.status()["speaker"]["detail"])


def test_a_stranger_cannot_say_that_a_service_is_ready(bench: Bench) -> None:
    command = "sh, -c, 'echo $$NOTIFY_SOCKET >socket.new; mv socket.new socket; exec sleep 3600'"
    pid1 = bench.supervise(NOTIFIES.format(command=command))
    target = eventually(lambda: bench.file("socket")).strip()

    said = pid1.run("notify.py", target, "READY=1", "STATUS=intruder")

    row = pid1.status()["speaker"]
    assert (row["ready"], "intruder" in row["detail"]) == (False, False), said


SAYS_READY = """
import signal, socket, sys
target = sys.argv[1]
target = chr(0) + target[1:] if target.startswith("@") else target
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", target)
signal.sigtimedwait([], 1)
"""


@pytest.mark.needs("root")
@pytest.mark.parametrize(("user", "believed"), [("54321", False), ("0", True)])
def test_the_marker_of_a_service_counts_from_its_own_user_alone(
    bench: Bench, user: str, *, believed: bool
) -> None:
    command = "sh, -c, 'echo $$NOTIFY_SOCKET >socket.new; mv socket.new socket; exec sleep 3600'"
    pid1 = bench.supervise(NOTIFIES.format(command=command))
    target = eventually(lambda: bench.file("socket")).strip()

    pid1.run(
        *("env", "SUPERVISE_SERVICE=speaker", "setpriv", "--reuid", user, "--clear-groups"),
        *("/usr/bin/python3", "-I", "-c", SAYS_READY, target),
    )

    assert pid1.status()["speaker"]["ready"] is believed


def test_pid_1_pins_no_mount_and_children_keep_the_working_directory(bench: Bench) -> None:
    pid1 = bench.supervise(SHOWS)

    assert facts(bench)["cwd"] == str(bench.directory)
    assert os.readlink(f"/proc/{pid1.pid}/cwd") == "/"


def test_it_opens_no_descriptor_that_it_does_not_close(bench: Bench) -> None:
    pid1 = bench.supervise("""
        services:
          brief: {command: ["true"], backoff: {initial: 1ms, max: 2ms}, logs: {file: /run/brief.log}}
          sleeper: {command: [sleep, "3600"]}
    """)
    before = _when_brief_is_stopped(pid1, restarts=5)

    pid1.ctl("start", "brief", "--no-wait")
    after = _when_brief_is_stopped(pid1, restarts=60)

    assert after == before


def _when_brief_is_stopped(pid1: Pid1, *, restarts: int) -> dict[int, str]:
    """Return the descriptors of PID 1 while nobody is served and nothing starts."""
    eventually(lambda: pid1.status()["brief"]["restarts"] > restarts)
    pid1.ctl("stop", "brief")
    return _settled_descriptors(pid1)


def _settled_descriptors(pid1: Pid1) -> dict[int, str]:
    """Return the descriptors of PID 1 once the client that asked last is gone."""

    def settled() -> dict[int, str]:
        found = procfs.descriptors(pid1.pid)
        holds(lambda: procfs.descriptors(pid1.pid) == found, seconds=0.2)
        return found

    return eventually(settled)


def test_removed_services_leave_no_descriptor_and_no_memory(bench: Bench) -> None:
    """Each apply replaces ten services by ten with names that nobody has had."""
    pid1 = bench.supervise(_generation(0))
    pid1.wait_state("s0-0", "running")

    def apply(numbers: range) -> tuple[int, int]:
        for number in numbers:
            bench.write("supervise.yaml", _generation(number))
            applied = pid1.ctl("apply")
            assert applied.returncode == 0, applied.stderr
        eventually(lambda: len(pid1.status()) == 10)
        return len(_settled_descriptors(pid1)), int(procfs.status(pid1.pid)["VmRSS"].split()[0])

    descriptors, memory = apply(range(1, 8))
    later, grown = apply(range(8, 24))

    assert later == descriptors
    # The backlog of events is filling; what was kept took 430 kB an apply.
    assert grown - memory < 2 * 1024  # kB


def _generation(number: int) -> str:
    lines = "".join(
        f"""
      s{number}-{each}:
        command: {{shell: "seq 5000; exec sleep 3600"}}
        stop_grace_period: 1s
        logs: {{file: /run/log-{number}-{each}}}"""
        for each in range(10)
    )
    return f"    services:{lines}\n"
