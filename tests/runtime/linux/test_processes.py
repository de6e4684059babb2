from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from runtime.linux import processes
from supervise.linux import procfs


@pytest.fixture
def child() -> Iterator[int]:
    """A process that sleeps."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process.pid
        process.kill()


def elsewhere(boot_time: str, *words: str) -> str:
    """Run the module's *words* where the boot seems that many seconds earlier."""
    program = f"from runtime.linux import processes; print({words[0]})"
    enter = ["unshare", "--time", "--boottime", boot_time]
    done = subprocess.run(
        [*enter, sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_process_is_what_the_kernel_says_where_time_is_the_machines(child: int) -> None:
    found = procfs.stat(child)
    assert found is not None

    assert processes.started(child) == found.start_time
    assert processes.exists(child, found.start_time)
    assert not processes.exists(child, found.start_time + 1)
    assert processes.runs(child)


@pytest.mark.needs("root")
@pytest.mark.parametrize("boot_time", ["1000000", "1", "-1"])
def test_it_is_the_same_process_in_every_time_namespace(child: int, boot_time: str) -> None:
    when = processes.started(child)

    shown = elsewhere(boot_time, f"processes.procfs.stat({child}).start_time")
    there = elsewhere(boot_time, f"processes.started({child})")
    answers = elsewhere(
        boot_time,
        f"processes.exists({child}, {when}), processes.runs({child}, {when}), "
        f"processes.exists({child}, {when + 1}), processes.runs({child}, {when - 1})",
    )

    assert int(shown) != when  # the kernel's number is another one there
    assert int(there) == when
    assert answers == "True True False False"


@pytest.mark.parametrize(
    ("offset", "shown", "ticks"),
    [
        (0, 7, (7, 7)),
        (10_000_000, 7, (6, 6)),
        (-10_000_000, 7, (8, 8)),
        (1, 7, (6, 7)),  # not a whole tick away: one of two
        (-100_000_000, (1 << 64) // 10_000_000, (9, 10)),  # before the boot that is shown: wrapped
    ],
)
def test_what_is_shown_stands_for_ticks_since_the_machines_boot(
    monkeypatch: pytest.MonkeyPatch, offset: int, shown: int, ticks: tuple[int, int]
) -> None:
    monkeypatch.setattr(processes, "_offset", offset)
    assert os.sysconf("SC_CLK_TCK") == 100

    assert processes._candidates(shown) == ticks


def test_who_has_ended_is_there_until_it_is_reaped_and_does_not_run() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    when = processes.started(pid)

    assert processes.exists(pid, when)
    assert not processes.runs(pid, when)
    os.waitpid(pid, 0)
    assert not processes.exists(pid, when)
    assert processes.started(pid) == 0
