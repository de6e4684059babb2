"""`python -m benchmarks`: take the samples, print the tables, write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import inside, kind, pairing, rows, run, subnet, tables, workshop
from benchmarks.engines import small
from benchmarks.engines.base import Engine
from benchmarks.records import BenchmarkError
from benchmarks.results import Results

if TYPE_CHECKING:
    from benchmarks.kind import RunKind
    from benchmarks.peers.base import MeasuredPeer
    from benchmarks.rows.base import Row


def main(argv: list[str]) -> int:
    """Run as the command line says; 0 when all samples were taken, 1 when one was void."""
    options = _parser().parse_args(argv)
    chosen = kind.ENGINES if options.runtime else kind.SUPERVISORS
    try:
        results = Results.load(options.render) if options.render else _measure(options, chosen)
    except BenchmarkError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    if options.before:
        print(pairing.table(results, chosen.rows(), options.before))
    else:
        _print(results, chosen)
    if options.write:
        options.write.write_text(chosen.page(results))
        print(f"wrote {options.write}")
    return 1 if results.failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure supervise beside other supervisors, in one interleaved run. "
        "Needs root, gcc and the peers: apt-get install supervisor s6 runit tini dumb-init gcc.",
    )
    names = [row.name for row in (*rows.all_rows(), *rows.engine_rows())]
    parser.add_argument(
        "--runtime", action="store_true", help="runtime beside container engines, not supervise"
    )
    parser.add_argument("--quick", action="store_true", help="one small sample of each")
    parser.add_argument(
        "--only", nargs="+", metavar="ROW", choices=names, help=f"rows: {', '.join(names)}"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=math.inf,
        metavar="N",
        help="take no sample after that; what was taken by then counts",
    )
    parser.add_argument(
        "--disk", action="store_true", help="with --runtime: the stores on disk, not in memory"
    )
    parser.add_argument("--peers", nargs="+", metavar="PEER", help="these and no others")
    parser.add_argument(
        "--before",
        metavar="REVISION",
        help="this working tree beside that commit of it, and no other peers",
    )
    parser.add_argument(
        "--rounds", type=int, default=1, metavar="N", help="take every sample N times as often"
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=kind.WORK,
        metavar="DIR",
        help="compiled programs, virtual environments, results (default: %(default)s)",
    )
    parser.add_argument(
        "--python", default=sys.executable, help="the Python that supervise is installed into"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page there too")
    parser.add_argument(
        "--inside", action="store_true", help="take supervise apart too: imports, system calls"
    )
    parser.add_argument(
        "--render", type=Path, metavar="FILE", help="measure nothing: show results kept earlier"
    )
    return parser


def _measure(options: argparse.Namespace, chosen: RunKind) -> Results:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # engines are closed all the same
    if os.geteuid() != 0:
        raise BenchmarkError("needs root: for pid namespaces, /proc/PID/pagemap and a tmpfs")
    place = workshop.Workshop(options.work, options.python)
    everyone = chosen.paired(place, options.before) if options.before else chosen.peers(place)
    unknown = set(options.peers or ()) - {peer.name for peer in everyone}
    if unknown:
        known = ", ".join(peer.name for peer in everyone)
        raise BenchmarkError(f"no peer '{unknown.pop()}'; there are {known}")
    taken = [peer for peer in everyone if not options.peers or peer.name in options.peers]
    wanted = [row for row in chosen.rows() if not options.only or row.name in options.only]
    place.mount_scratch()
    kept = options.work / ("paired-" * bool(options.before) + chosen.results)
    with ExitStack() as stack:
        if chosen is kind.ENGINES:
            taken = _opened(place, taken, wanted, stack, disk=options.disk)
        results = run.take(
            place,
            wanted,
            taken,
            quick=options.quick,
            rounds=options.rounds,
            say=_say,
            keep=lambda so_far: so_far.save(kept),
            most_seconds=options.minutes * 60,
        )
    if options.inside:
        _say("supervise from inside")
        results.inside = inside.take(place)
    results.save(kept)
    print(f"kept in {kept}")
    return results


def _opened(
    place: workshop.Workshop,
    taken: list[MeasuredPeer],
    wanted: list[Row],
    stack: ExitStack,
    *,
    disk: bool,
) -> list[MeasuredPeer]:
    """Get the engines ready that a row wants, and close them with *stack*."""
    names = {row.name for row in wanted}
    found = [peer for peer in taken if peer.rows & names]
    for row in wanted:  # what follows has no network
        row.fetch(place)
    for peer in found:
        peer.fetch()
    if not disk:
        place.mount_stores()
    subnet.enter()
    image = small.root_file_system(place)
    for peer in found:
        if isinstance(peer, Engine) and not peer.missing():
            _say(f"making {peer.name} ready")
            stack.callback(peer.close)
            peer.open(image)
    return found


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _print(results: Results, chosen: RunKind) -> None:
    for row in chosen.rows():
        if row.name in results.values:
            print(f"\n{row.title}; median (best) n\n\n{tables.row_table(results, row)}")
    print(f"\nBudgets and goals\n\n{tables.target_table(results, chosen.targets)}")
    if results.inside:
        print("\n" + tables.inside_tables(results.inside))
    for failure in results.failures:
        print(f"void: {failure}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
