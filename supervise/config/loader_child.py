"""Reads the configuration in a child of PID 1, under limits, and reports it on a pipe.

A hostile or enormous file can hurt the child only, and the YAML parser is never in PID 1's
memory.  The parent forks, calls `main` in the child, and reads one JSON object until the end of
the file::

    {"plan": {...}, "warnings": [...]}     what `plan_from_plain` reads
    {"problems": [...]}                    each a Problem as a mapping
    {"failure": "one sentence"}            out of memory, out of time, or a bug of ours

An empty answer means that the child was killed.
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, NoReturn

    from supervise.config.load import LoadOutcome

MEMORY_LIMIT_BYTES = 1024**3  # address space; 10,000 services take a tenth of it
CPU_LIMIT_SECONDS = 30


def main(
    write_fd: int, paths: Sequence[str] | None, environ: Mapping[str, str], cwd: str
) -> NoReturn:
    """Load *paths*, write the answer to *write_fd*, and end this process with status 0.

    To be called right after fork(2): undoes the parent's signal handling first.
    """
    try:
        answer = _answer(paths, environ, cwd)
    except MemoryError:
        answer = _FAILURE_MEMORY
    except BaseException as error:  # noqa: BLE001 - the one barrier of this process
        text = f"cannot load the configuration: {type(error).__name__}: {error}"
        answer = json.dumps({"failure": text, "traceback": _traceback(error)}).encode()
    _write_all(write_fd, answer)
    os._exit(0)


_FAILURE_MEMORY = json.dumps(
    {
        "failure": "cannot load the configuration: it needs more than "
        f"{MEMORY_LIMIT_BYTES // 1024**2} MiB of memory"
    }
).encode()


def _answer(paths: Sequence[str] | None, environ: Mapping[str, str], cwd: str) -> bytes:
    import gc

    _reset_signals()
    _limit()
    # Millions of small nodes, none of them in cycles: the collector would only walk them.
    gc.disable()
    from supervise.config.load import examine

    return json.dumps(answer_of(examine(paths, environ, cwd)), separators=(",", ":")).encode()


def answer_of(outcome: LoadOutcome) -> dict[str, Any]:
    """Return *outcome* as the JSON values that the parent reads."""
    from supervise.model.service import plan_to_plain

    if outcome.plan is None:
        return {"problems": [dict(problem.items()) for problem in outcome.problems]}
    return {
        "plan": plan_to_plain(outcome.plan),
        "warnings": [dict(warning.items()) for warning in outcome.warnings],
    }


def _reset_signals() -> None:
    """Let signals do to this process what they do to any: PID 1's handlers are not for it."""
    import signal

    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _limit() -> None:
    import resource

    for which, wanted in (
        (resource.RLIMIT_AS, MEMORY_LIMIT_BYTES),
        (resource.RLIMIT_CPU, CPU_LIMIT_SECONDS),
    ):
        hard = resource.getrlimit(which)[1]
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(which, (limit, hard))


def _traceback(error: BaseException) -> str:
    import traceback

    return "".join(traceback.format_exception(error))


def _write_all(write_fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(write_fd, view) :]
