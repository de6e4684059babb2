"""supervise taken apart: where its boot, its memory and a restart go.

Not side by side with anybody: the figures show what to change.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import statistics
import subprocess
import time
from collections import Counter
from typing import TYPE_CHECKING

from benchmarks.container import Container
from benchmarks.peers.base import LaunchCommand
from benchmarks.peers.supervise import Supervise, SuperviseCompiled
from benchmarks.records import STARTED, BenchmarkError
from benchmarks.rows.base import run_waiting, waiting_services
from benchmarks.tracing import Trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.tracing import TracedCall
    from benchmarks.workshop import Workshop

_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| +(\S+)")
_RESTARTS = 15
_BOOTS = 5
_SETTLE_SECONDS = 0.5
_FORKS = ("clone", "clone3", "fork")
_SLEEPS = ("epoll_wait", "epoll_pwait", "epoll_pwait2")
_WAITS = ("wait4", "waitid")
_SPAWNS = ("vfork", *_FORKS)

Imports = list[tuple[str, int]]  # module, microseconds of its own, in order of import
Ladder = list[tuple[str, float]]  # what has been loaded by then, RSS in MB


def take(workshop: Workshop) -> dict[str, object]:
    """Return everything the page shows, as plain values; keys are the functions below."""
    imports = import_list(workshop)
    return {
        "imports": imports,
        "ladder": ladder(workshop, [module for module, _ in imports]),
        "mappings": mappings(workshop),
        "boot": boot_stages(workshop),
        **restarts(workshop),
    }


def import_list(workshop: Workshop) -> Imports:
    """Return what PID 1 imports, compiled plan and one service, after the interpreter's own start.

    With a compiled plan, because the loader's child would write to the same descriptor.
    """
    peer = SuperviseCompiled(workshop)
    directory = workshop.sample_directory()
    script = peer.prepare(directory, waiting_services(workshop, directory, 1)).argv
    launch = LaunchCommand([peer.program("python"), "-X", "importtime", *script])
    with Container(workshop, directory, launch) as container:
        container.wait_started(1)
        time.sleep(_SETTLE_SECONDS)
    rows = [(match[3], int(match[1])) for match in _IMPORT.finditer(container.output.decode())]
    names = [module for module, _ in rows]
    return rows[names.index("site") + 1 :] if "site" in names else rows


def ladder(workshop: Workshop, modules: list[str]) -> Ladder:
    """Return the RSS after each step from the bare interpreter to 100 services."""
    peer = Supervise(workshop)
    python = peer.program("python")
    library = [module for module in modules if module.partition(".")[0] != "supervise"]
    own = [module for module in modules if module.partition(".")[0] == "supervise"]
    steps = [
        ("the interpreter, `python -I -S`", _rss(workshop, [python, "-I", "-S"], [])),
        ("with site, in a virtual environment", _rss(workshop, [python], [])),
        (f"{len(library)} modules of the standard library", _rss(workshop, [python], library)),
        (f"{len(own)} modules of our own", _rss(workshop, [python], library + own)),
    ]
    running = [
        (f"running, services: {count}", _running_rss(workshop, peer, count))
        for count in (1, 10, 100)
    ]
    return steps + running


def mappings(workshop: Workshop) -> list[tuple[str, float, float]]:
    """Return the largest mappings of PID 1 with 10 services: name, RSS and private MB."""
    peer = Supervise(workshop)
    directory = workshop.sample_directory()
    sizes: Counter[str] = Counter()
    private: Counter[str] = Counter()
    with run_waiting(workshop, peer, directory, 10) as container:
        container.wait_started(10)
        time.sleep(_SETTLE_SECONDS)
        name = ""
        with open(f"/proc/{container.pid}/smaps", encoding="utf-8") as file:
            for line in file:
                words = line.split()
                if "-" in words[0] and not words[0].endswith(":"):
                    name = os.path.basename(words[5]) if len(words) > 5 else "Python's own arenas"
                elif words[0] == "Rss:":
                    sizes[name] += int(words[1])
                elif words[0] in ("Private_Dirty:", "Private_Clean:"):
                    private[name] += int(words[1])
    return [(name, size / 1024, private[name] / 1024) for name, size in sizes.most_common(12)]


def boot_stages(workshop: Workshop) -> dict[str, list[tuple[str, float]]]:
    """Return the median milliseconds from the execve of PID 1 to each milestone of a boot.

    The first is the end of the window in which a SIGTERM is lost, unless the launcher blocked it.
    """
    return {
        "from YAML": _milestones(workshop, Supervise(workshop)),
        "from a compiled plan": _milestones(workshop, SuperviseCompiled(workshop)),
    }


def _milestones(workshop: Workshop, peer: Supervise) -> list[tuple[str, float]]:
    laps: list[dict[str, float]] = []
    for _ in range(_BOOTS):
        directory = workshop.sample_directory()
        container = run_waiting(workshop, peer, directory, 1)
        with Trace(os.getpid(), workshop.root / "tracing") as trace, container:
            (started,) = container.wait_started(1)
            time.sleep(_SETTLE_SECONDS)
        own = [call for call in trace.calls if call.pid == container.pid]
        begins = [call for call in own if call.result is None]
        lap = {
            "the handler of SIGTERM": _first(begins, _handles_sigterm),
            "the loader's fork": _first_or_none(begins, lambda call: call.name in _FORKS),
            "the first service's vfork": _first(begins, lambda call: call.name == "vfork"),
            "the first service's first instruction": started.time,
            "asleep": _last(begins, lambda call: call.name in _SLEEPS),
        }
        laps.append(
            {name: when - container.executed_at for name, when in lap.items() if when is not None}
        )
    return [(name, statistics.median(lap[name] for lap in laps) * 1000) for name in laps[0]]


def _handles_sigterm(call: TracedCall) -> bool:
    # sig 15 with an action, not a question or a reset.
    return call.name == "rt_sigaction" and call.arguments.startswith("sig: 0xf, act: 0x")


def restarts(workshop: Workshop) -> dict[str, object]:
    """Return the system calls of a restart and its stages.

    "calls": mean number by name, of PID 1 and of the child until its execve.  "stages": median
    microseconds from the kill to the successor's first instruction, and of PID 1 until it sleeps.
    """
    directory = workshop.sample_directory()
    with run_waiting(workshop, Supervise(workshop), directory, 1) as container:
        container.wait_started(1)
        time.sleep(_SETTLE_SECONDS)
        with Trace(container.pid, workshop.root / "tracing") as trace:
            spans = [_kill(container) for _ in range(_RESTARTS)]
            time.sleep(_SETTLE_SECONDS)
        return {
            "calls": _counts(container.pid, trace.calls),
            "stages": _stages(container.pid, trace.calls, spans),
        }


def _counts(pid1: int, calls: list[TracedCall]) -> dict[str, dict[str, float]]:
    counts: dict[str, Counter[str]] = {"PID 1": Counter(), "the child until its execve": Counter()}
    executed: set[int] = set()
    for call in calls:
        if call.result is not None:
            continue
        if call.pid == pid1:
            counts["PID 1"][call.name] += 1
        elif call.pid not in executed:
            counts["the child until its execve"][call.name] += 1
            if call.name == "execve":
                executed.add(call.pid)
    return {
        who: {name: count / _RESTARTS for name, count in counter.most_common()}
        for who, counter in counts.items()
    }


def _stages(
    pid1: int, calls: list[TracedCall], spans: list[tuple[float, float]]
) -> list[tuple[str, float]]:
    laps: list[list[float]] = []
    for killed, started in spans:
        window = [call for call in calls if killed <= call.time <= started + _SETTLE_SECONDS]
        own = [call for call in window if call.pid == pid1]
        woken = _first(own, lambda call: call.name in _SLEEPS and call.result is not None)
        edges = [
            killed,
            woken,
            _first(own, lambda call: call.name in _WAITS and (call.result or 0) > 0),
            _first(own, lambda call: call.name in _SPAWNS and call.result is None),
            _first(window, lambda call: call.name == "execve" and call.result is None),
            started,
        ]
        awake = [call for call in own if call.time > woken]
        asleep = _first(awake, lambda call: call.name in _SLEEPS and call.result is None)
        laps.append([*(b - a for a, b in itertools.pairwise(edges)), asleep - woken])
    names = (
        "kill to the end of epoll_wait: the kernel, the wake-up",
        "to the end of wait4: the death is known",
        "to vfork: the state machine, pipes, the log",
        "to the child's execve: session, descriptors, signals",
        "to the first instruction: the kernel",
        "in all, PID 1 from its wake-up until it sleeps again",
    )
    return [
        (name, statistics.median(lap[index] for lap in laps) * 1e6)
        for index, name in enumerate(names)
    ]


def _first_or_none(calls: list[TracedCall], wanted: Callable[[TracedCall], bool]) -> float | None:
    return next((call.time for call in calls if wanted(call)), None)


def _last(calls: list[TracedCall], wanted: Callable[[TracedCall], bool]) -> float:
    return _first(calls[::-1], wanted)


def _first(calls: list[TracedCall], wanted: Callable[[TracedCall], bool]) -> float:
    """Return the moment of the first call that is *wanted*."""
    when = _first_or_none(calls, wanted)
    if when is None:
        raise BenchmarkError("the trace does not show all that a stage needs")
    return when


def _rss(workshop: Workshop, python: list[str], modules: list[str]) -> float:
    """Return the RSS, in MB, of an interpreter that has imported *modules*."""
    program = "import sys\nfor name in sys.argv[1:]: __import__(name)\n"
    program += "print(open('/proc/self/status').read().partition('VmRSS:')[2].split()[0])"
    # In an empty directory: `-c` looks for modules where it is started.
    done = subprocess.run(
        [*python, "-c", program, *modules],
        capture_output=True,
        text=True,
        check=False,
        cwd=workshop.sample_directory(),
    )
    if done.returncode != 0:
        raise BenchmarkError(f"cannot import what PID 1 imports: {done.stderr.strip()}")
    return int(done.stdout) / 1024


def _running_rss(workshop: Workshop, peer: Supervise, count: int) -> float:
    directory = workshop.sample_directory()
    with run_waiting(workshop, peer, directory, count) as container:
        container.wait_started(count)
        time.sleep(_SETTLE_SECONDS)
        with open(f"/proc/{container.pid}/status", encoding="utf-8") as file:
            return int(file.read().partition("VmRSS:")[2].split()[0]) / 1024


def _kill(container: Container) -> tuple[float, float]:
    """Kill the only service; return when that was and when its successor started."""
    time.sleep(0.03)
    pid = container.service_pid()
    before = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    (started,) = container.records.wait(STARTED, 1, timeout=10)
    return before, started.time
