"""docs/benchmarks.md, written from the results of one run."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from benchmarks import rows, tables, targets

if TYPE_CHECKING:
    from benchmarks.results import Results
    from benchmarks.rows.base import Row

_HEAD = """\
# Benchmarks

supervise beside other supervisors, measured in one run in which the samples of all of them come in
random order. `python -m benchmarks --inside --write docs/benchmarks.md` writes this page.

Each supervisor is PID 1 of a fresh pid and mount namespace. The services are static C programs
without a library ([benchmarks/programs](../benchmarks/programs)), which tell the monotonic clock
at their first instruction; the clock starts right before the `execve` of PID 1, the `kill`, or the
signal. A number counts only when it is known to have happened: every service started once, the
successor has another pid, the 20,000 orphans are gone one by one, each line arrived once and in
order, all 100 services are shown as running. supervise is installed by pip from the working tree
into a fresh virtual environment and started by its console script.

`python -m benchmarks --quick` takes one sample of each in about a minute; `--only ROW` and
`--peers PEER` narrow it down. It needs root, and on Debian
`apt-get install supervisor s6 runit tini dumb-init gcc`. With `--before REVISION` it measures the
working tree beside that commit of it, samples of both in random order, and prints the ratios; with
`--runtime` as well.

Cells are median (best) and the number of values. MB are 2^20 bytes for memory and 10^6 for logs.
"""
_ENGINE_HEAD = """\
# Benchmarks of runtime

`runtime` beside docker, podman, runc, crun and bubblewrap, measured in one run in which the samples
of all of them come in random order.
`python -m benchmarks --runtime --write docs/benchmarks-runtime.md` writes this page.

The run has a network namespace of its own, and every engine's store lies in memory, so that the
disk is not what is measured (`--disk` has them there). A sample is a command from before its start to after its end, and counts only when it
succeeded. `runtime` is installed by pip from the working tree into a fresh virtual environment.

`--quick` takes one sample of each in about two minutes; `--only ROW` and `--peers ENGINE` narrow it
down. It needs root, and on Debian `apt-get install docker.io docker-registry podman skopeo crun bubblewrap
busybox-static mmdebstrap gcc iproute2 iptables nftables`.

Cells are median (best) and the number of values. MB are 2^20 bytes.
"""
_TARGETS = """\
## Budgets and goals

A budget must hold; a goal is where it gets interesting. A peer's name is its median of this run.
"""
_INSIDE = """\
## Where it goes

supervise taken apart. Tracing costs a little time itself: these
figures explain, the tables above count.
"""
_ROW_NOTES = {
    "boot-many": "Services with `logs: {format: raw}`, which takes no descriptor a service.",
    "restart": (
        "*Settled*: the service ran long enough for the supervisor's usual way (1.1 s where it "
        "tells fast failures apart). *Again at once*: killed the moment it is back. supervise has "
        "`backoff: {initial: 0s}`; the others have no such setting, their second is theirs."
    ),
    "memory": (
        "*RSS* is summed over the supervisor's processes, *unique* counts each physical page once. "
        "The services are not in it."
    ),
    "relay": "Megabytes of the service's own bytes. CPU is the supervisor's, its loggers included.",
    "start-bridge": (
        "`runtime run` makes supervise PID 1, `docker run --init` tini; the others run the command "
        "alone."
    ),
    "footprint": (
        "The *monitor* is the process that is there for this one container: ours, a containerd-shim, "
        "a conmon. *Private* are the pages it shares with nobody. *Daemons* are there once for all "
        "containers. PID 1 is supervise in ours and `sleep` in the others."
    ),
    "import": "A Debian of 13,000 files from mmdebstrap, 237 MB.",
    "load": (
        "docker-archive; `runtime[layers]` has the packages isal and backports.zstd installed too."
    ),
    "pull": (
        "Debian's docker-registry, plain http. skopeo downloads and verifies and unpacks nothing: "
        "what is left is unpacking."
    ),
    "ports": (
        "One client asks one server, one connection after the other. docker answers 127.0.0.1 by a "
        "proxy and the other address by DNAT."
    ),
    "stop": "The services end at once on SIGTERM.",
}


def page(results: Results) -> str:
    """Return the page of supervisors."""
    parts = [_HEAD, _machine(results), _TARGETS, tables.target_table(results) + "\n"]
    parts += _rows(results, rows.all_rows())
    if results.inside:
        parts += [_INSIDE, tables.inside_tables(results.inside) + "\n"]
    return "\n".join([*parts, *_void(results)])


def engine_page(results: Results) -> str:
    """Return the page of container engines."""
    verdicts = tables.target_table(results, targets.ENGINE_TARGETS)
    parts = [_ENGINE_HEAD, _machine(results), _TARGETS, verdicts + "\n"]
    return "\n".join([*parts, *_rows(results, rows.engine_rows()), *_void(results)])


def _rows(results: Results, wanted: list[Row]) -> list[str]:
    parts = []
    for row in wanted:
        if row.name in results.values:
            parts += [f"## {row.title}\n", tables.row_table(results, row) + "\n"]
            if row.name in _ROW_NOTES:
                parts.append(_ROW_NOTES[row.name] + "\n")
    return parts


def _void(results: Results) -> list[str]:
    if not results.failures:
        return []
    return ["## Void samples\n", "\n".join(f"- {each}" for each in results.failures) + "\n"]


def _machine(results: Results) -> str:
    machine = results.machine
    loop = machine.loop_ms
    text = (
        f"Taken {machine.date} with `{machine.command.strip()}`: {machine.samples} samples in "
        f"{machine.seconds:.0f} s.\n"
        f"Machine: {machine.processors} processors ({machine.model}), Linux {machine.kernel}, "
        f"Python {machine.python}.\n"
        f"It is shared: other work ran when {machine.busy_samples} of the samples began, and a "
        f"fixed computation before each\ntook {statistics.median(loop):.1f} ms in the median, "
        f"{min(loop):.1f} at best, {max(loop):.1f} at worst. Compare medians of one run with each "
        "other,\nnot with another run's.\n"
    )
    peers = [
        f"- {name}: {version}" + (f" ({results.notes[name]})" if name in results.notes else "")
        for name, version in results.versions.items()
    ]
    peers += [f"- {name}: left out, {what} is missing" for name, what in results.missing.items()]
    return "\n".join([text, *peers, ""])
