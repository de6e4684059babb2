"""Get a Plan without letting YAML into PID 1.

Files are parsed and validated in a forked child with limits on memory and time; the plan comes
back as JSON through a pipe that the loop watches.  A hostile or enormous file costs the child.
"""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress

from supervise.daemon.loop import READABLE
from supervise.linux import signal_actions
from supervise.model.errors import ConfigError, Problem
from supervise.model.service import Plan, plan_from_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn

    from supervise.daemon.loop import Loop, Timer

    Outcome = Plan | ConfigError

# Ten thousand services take a few seconds; what takes this long never ends.
PATIENCE = 60.0  # seconds


class Loading:
    """One run of the loader; *done* is called once, from the loop, after *warn* for each warning."""

    name = "configuration"

    def __init__(
        self,
        loop: Loop,
        paths: list[str] | None,
        *,
        environ: Mapping[str, str],
        working_dir: str,
        done: Callable[[Outcome], None],
        warn: Callable[[str], None],
    ) -> None:
        """Fork the loader.

        Raises:
            OSError: EAGAIN, ENOMEM, EMFILE: there is no room for the child.
        """
        self._loop = loop
        self._done = done
        self._warn = warn
        self._chunks: list[bytes] = []
        self._pid, self._fd = _fork_loader(paths, environ, working_dir)
        self._timer: Timer = loop.call_later(PATIENCE, self._took_too_long, self)
        loop.watch(self._fd, READABLE, self._read, self)

    def abandon(self) -> None:
        """Give up after a fault of ours: the configuration in force stays."""
        self._finish(_failure("an internal fault while reading the configuration"))

    def _read(self, _events: int) -> None:
        chunk = os.read(self._fd, 1 << 20)
        if chunk:
            self._chunks.append(chunk)
            return
        outcome, warnings = _decode(b"".join(self._chunks))
        for warning in warnings:
            self._warn(warning)
        self._finish(outcome)

    def _took_too_long(self) -> None:
        self._finish(_failure(f"reading the configuration took more than {PATIENCE:g} s"))

    def _finish(self, outcome: Outcome) -> None:
        if self._fd < 0:
            return
        self._loop.forget(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._timer.cancel()
        # Not reaped yet or our child no more: the one reaper sees to it either way.
        with suppress(PermissionError):  # a sandbox forbids it: the child ends by its own limits
            signal_actions.kill(self._pid, signal.SIGKILL)
        self._done(outcome)


def _fork_loader(
    paths: list[str] | None, environ: Mapping[str, str], working_dir: str
) -> tuple[int, int]:
    """Return (pid, read end of the pipe)."""
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    mask = signal_actions.block_all()
    try:
        pid = os.fork()
        if pid == 0:
            _be_loader(write_fd, paths, environ, working_dir)
    except OSError:
        os.close(read_fd)
        raise
    finally:
        signal_actions.restore_mask(mask)
        os.close(write_fd)
    return pid, read_fd


def _be_loader(
    write_fd: int, paths: list[str] | None, environ: Mapping[str, str], working_dir: str
) -> NoReturn:
    try:
        signal.set_wakeup_fd(-1)
        signal_actions.reset_all()
        signal_actions.restore_mask(set())
        from supervise.config import loader_child

        loader_child.main(write_fd, paths, environ, working_dir)
    finally:
        # Whatever happened in there: a second PID 1 must not run on.
        os._exit(70)


def _decode(answer: bytes) -> tuple[Outcome, list[str]]:
    """Return the outcome and warnings in words; see `supervise.config.loader_child` for the shape."""
    try:
        found: dict[str, Any] = json.loads(answer)
    except ValueError:
        # Killed by its limits, or by the kernel for want of memory.
        why = "the reader of the configuration died: is a file too large, or memory short?"
        return _failure(why), []
    if "plan" in found:
        warnings = [str(Problem(**warning)) for warning in found.get("warnings", ())]
        return plan_from_plain(found["plan"]), warnings
    if "problems" in found:
        return ConfigError(tuple(Problem(**problem) for problem in found["problems"])), []
    where = f"\n{found['traceback']}" if "traceback" in found else ""
    return _failure(f"{found.get('failure', 'the reader gave no answer')}{where}"), []


def _failure(what: str) -> ConfigError:
    return ConfigError((Problem("supervise", 0, 0, "", what),))
