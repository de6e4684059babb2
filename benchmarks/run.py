"""One run: all samples of all peers in random order, the machine's own speed noted in between."""

from __future__ import annotations

import datetime as dt
import math
import os
import platform
import random
import resource
import shutil
import sys
import time
from typing import TYPE_CHECKING

from benchmarks.records import BenchmarkError
from benchmarks.results import Results

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.peers.base import MeasuredPeer
    from benchmarks.rows.base import Case, Row
    from benchmarks.workshop import Workshop

_COOL_SECONDS = 0.05


def take(
    workshop: Workshop,
    rows: list[Row],
    peers: list[MeasuredPeer],
    *,
    quick: bool,
    rounds: int = 1,
    say: Callable[[str], None],
    keep: Callable[[Results], None],
    most_seconds: float = math.inf,
) -> Results:
    """Take all samples, or those that *most_seconds* have room for.

    One that fails is noted and the run goes on; *keep* is called after each, so that a run that
    is ended has its results.
    """
    _raise_limits()
    results = Results()
    _describe(results)
    usable = _usable(peers, results)
    samples = [
        (row, case, peer)
        for row in rows
        for case in row.cases(quick=quick)
        for peer in usable
        if row.applies(peer, case)
        for _ in range(rounds if quick else rounds * case.samples)
    ]
    random.shuffle(samples)
    began = time.monotonic()
    for done, (row, case, peer) in enumerate(samples):
        if time.monotonic() - began > most_seconds:
            say(f"the time is up: {len(samples) - done} samples are not taken")
            break
        say(f"[{done + 1}/{len(samples)}] {row.name} {case.label} {peer.name}")
        _note_machine(results)
        _sample(workshop, row, case, peer, results, quick=quick, say=say)
        results.machine.seconds = time.monotonic() - began
        results.machine.samples = done + 1
        keep(results)
    return results


def _sample(
    workshop: Workshop,
    row: Row,
    case: Case,
    peer: MeasuredPeer,
    results: Results,
    *,
    quick: bool,
    say: Callable[[str], None],
) -> None:
    try:
        results.add(row.name, case.label, peer.name, row.measure(workshop, peer, case, quick=quick))
    except BenchmarkError as error:
        text = f"{row.name} {case.label} {peer.name}: {error}"
        results.failures.append(text)
        say("  void: " + "\n  ".join([text, *getattr(error, "__notes__", ())]))
    for directory in workshop.scratch.iterdir():  # its logs would fill memory
        shutil.rmtree(directory, ignore_errors=True)


def _usable(peers: list[MeasuredPeer], results: Results) -> list[MeasuredPeer]:
    usable = []
    for peer in peers:
        missing = peer.missing()
        if missing:
            results.missing[peer.name] = missing
            continue
        usable.append(peer)
        results.versions[peer.name] = peer.version()
        if peer.note:
            results.notes[peer.name] = peer.note
    return usable


def _raise_limits() -> None:
    """Raise the soft limit as far as it goes; the hard one is the machine's, or the container's."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _describe(results: Results) -> None:
    machine = results.machine
    machine.date = dt.datetime.now(tz=dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    machine.processors = os.cpu_count() or 0
    machine.kernel = platform.release()
    machine.python = platform.python_version()
    machine.command = "python -m benchmarks " + " ".join(sys.argv[1:])
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    machine.model = names[0] if names else platform.machine()


def _note_machine(results: Results) -> None:
    """Note how long a fixed computation takes just now, and whether others are at work."""
    time.sleep(_COOL_SECONDS)  # the sample before may still be dying
    with open("/proc/loadavg", encoding="ascii") as file:
        running = int(file.read().split()[3].partition("/")[0])
    results.machine.busy_samples += running > 1
    before = time.perf_counter()
    total = 0
    for number in range(100_000):
        total += number * number % 7
    results.machine.loop_ms.append((time.perf_counter() - before) * 1000)
