"""`supervise -- CMD`: what tini and dumb-init do, and services beside it."""

from __future__ import annotations

import os
import signal

import pytest

from tests.support.bench import Bench
from tests.support.eventually import eventually

pytestmark = pytest.mark.integration

# Those that say something to PID 1 itself, cannot be caught, or come from a fault.
NOT_FORWARDED = {
    *(signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD),
    *(signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE),
    *(signal.SIGSEGV, signal.SIGSYS, signal.SIGTTIN, signal.SIGTTOU),
}
ENDS_IT = {signal.SIGTERM, signal.SIGINT, signal.SIGPWR, signal.SIGRTMIN + 3}
FORWARDED = sorted(int(n) for n in signal.valid_signals() - NOT_FORWARDED - ENDS_IT)
DEADLY = [1, 2, 3, 9, 13, 14, 15, 24, 25, 26, 27, 30, 34, 64]


@pytest.mark.parametrize("first", [0, 64, 128, 192])
def test_all_256_exit_codes_come_through(bench: Bench, first: int) -> None:
    codes = {}

    for code in range(first, first + 64):
        codes[code] = bench.start(["supervise", "--", "sh", "-c", f"exit {code}"]).wait()
        bench.close_all()

    assert {code: seen for code, seen in codes.items() if code != seen} == {}


@pytest.mark.parametrize("number", DEADLY)
def test_death_by_signal_n_is_exit_code_128_plus_n(bench: Bench, number: int) -> None:
    pid1 = bench.start(["supervise", "--", "sh", "-c", f"kill -{number} $$"])

    assert pid1.wait() == 128 + number


def test_every_forwardable_signal_arrives_by_its_number(bench: Bench) -> None:
    pid1 = bench.supervise(main=["print_signals.py", "15"])
    pid1.wait_for("ready")

    for number in FORWARDED:
        pid1.signal(number)
        pid1.wait_for(f"got {number}\n")
    code = pid1.terminate()

    assert code == 0
    got = [line for line in pid1.console.splitlines() if line.startswith("got")]
    assert got == [f"got {number}" for number in [*FORWARDED, 15]]


def test_a_signal_sent_from_inside_the_container_arrives_too(bench: Bench) -> None:
    pid1 = bench.supervise(main=["print_signals.py", "10"])
    pid1.wait_for("ready")

    pid1.run("kill", "-USR1", "1")

    assert pid1.wait() == 0


def test_a_signal_is_rewritten_before_it_is_forwarded(bench: Bench) -> None:
    pid1 = bench.supervise(options=["--rewrite", "15:3"], main=["print_signals.py", "3"])
    pid1.wait_for("ready")

    code = pid1.terminate()

    assert (code, "got 3" in pid1.console, "got 15" in pid1.console) == (0, True, False)


def test_an_exit_code_is_remapped(bench: Bench) -> None:
    pid1 = bench.supervise(options=["--remap-exit", "143:0"], main=["sleep", "3600"])

    assert pid1.terminate() == 0


TWO_IN_A_GROUP = "print_signals.py 15 >>child & exec print_signals.py 15"


def test_the_whole_group_gets_a_forwarded_signal(bench: Bench) -> None:
    pid1 = bench.supervise(main=["sh", "-c", TWO_IN_A_GROUP])
    pid1.wait_for("ready")
    eventually(lambda: "ready" in bench.file("child"))

    pid1.signal(signal.SIGUSR2)

    pid1.wait_for("got 12")
    eventually(lambda: "got 12" in bench.file("child"))


def test_with_no_group_the_main_command_alone_gets_it(bench: Bench) -> None:
    pid1 = bench.supervise(options=["--no-group"], main=["sh", "-c", TWO_IN_A_GROUP])
    pid1.wait_for("ready")
    eventually(lambda: "ready" in bench.file("child"))

    pid1.signal(signal.SIGUSR2)
    pid1.wait_for("got 12")
    pid1.terminate()

    assert "got 12" not in bench.file("child")


def test_what_is_not_there_is_127_and_says_so(bench: Bench) -> None:
    pid1 = bench.start(["supervise", "--", "no-such-program"])

    assert pid1.wait() == 127
    assert "no-such-program" in pid1.console


def test_what_has_no_name_is_127(bench: Bench) -> None:
    pid1 = bench.start(["supervise", "--", ""])

    assert pid1.wait() == 127
    assert "cannot execute '': its name is empty" in pid1.console


def test_what_cannot_be_executed_is_126_and_says_so(bench: Bench) -> None:
    bench.write("data", "not a program")
    pid1 = bench.start(["supervise", "--", "./data"])

    assert pid1.wait() == 126
    assert "./data" in pid1.console


def test_the_main_command_has_standard_input_and_unprefixed_output(bench: Bench) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b"from outside")
    os.close(write_end)

    pid1 = bench.start(["supervise", "--", "cat"], stdin=read_end)
    os.close(read_end)

    assert pid1.wait() == 0
    assert pid1.stream("stdout") == b"from outside"


SERVICE_THAT_FLUSHES = """
    services:
      sidecar:
        command: {shell: "trap 'sleep 0.2; echo flushed >flushed; exit 0' TERM; echo up; sleep 3600 & wait"}
"""


def test_services_stop_properly_when_the_main_command_ends(bench: Bench) -> None:
    pid1 = bench.supervise(
        SERVICE_THAT_FLUSHES, main=["sh", "-c", "while ! [ -e go ]; do sleep 0.01; done; exit 5"]
    )
    pid1.wait_for("up")

    bench.write("go", "")

    assert pid1.wait() == 5
    assert bench.file("flushed") == "flushed\n"


def test_nothing_after_the_dashes_means_services_alone(bench: Bench) -> None:
    bench.write("services.yaml", SERVICE_THAT_FLUSHES)
    pid1 = bench.start(["supervise", "-c", "services.yaml", "--"])
    pid1.wait_for("up")

    assert pid1.terminate() == 0
    assert bench.file("flushed") == "flushed\n"


def test_what_the_main_command_left_running_gets_sigterm(bench: Bench) -> None:
    pid1 = bench.start(["supervise", "--", "setsid_grandchild.sh", "told", "once"])

    assert pid1.wait() == 0
    assert bench.file("told") == "SIGTERM\n"
