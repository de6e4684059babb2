"""When the container ends, how the end goes, and the exit code.  Pure.

`Ending` remembers the first failure and what was asked for; `decide` is the exit policy.
"""

from __future__ import annotations

import enum

from supervise.model.exitstatus import shell_code
from supervise.model.process import Process, ProcessState
from supervise.model.record import Record
from supervise.model.service import ExitPolicy, OnFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Phase(enum.Enum):
    """Where PID 1 itself is."""

    RUNNING = "running"
    STOPPING = "stopping"  # services end, in reverse dependency order
    SWEEPING = "sweeping"  # as PID 1: whatever else there is ends
    GONE = "gone"


# How the grace of a whole shutdown is divided.  Whoever has not been asked to stop when this share
# of it is left is asked at once, order or not: everyone gets its stop signal before SIGKILL.
LAST_CALL_SHARE = 0.25
LAST_CALL_MOST = 1.0  # seconds


def last_call(grace: float) -> float:
    """Return how many seconds before the end of *grace* order no longer counts."""
    return min(grace * LAST_CALL_SHARE, LAST_CALL_MOST)


def failure_code(process: Process) -> int | None:
    """Return the exit code *process* gives the container, None when it did not fail for good."""
    if process.state is not ProcessState.FAILED:
        return None
    if process.last_exit is None or process.cut_off:
        return 1  # with the code of a stop, 143 most often, it would look like a requested stop
    code = shell_code(process.last_exit)
    # It failed with a code that counts as success: by the start limit.
    return code if code != 0 else 1


def decide(policy: ExitPolicy, ended: Process, *, may_run: bool) -> str | None:
    """Return why the container ends now that *ended* has ended for good, None when it goes on.

    *may_run* returns whether anything else runs or can still start by itself.
    """
    name = ended.spec.name
    failed = ended.state is ProcessState.FAILED
    how = ended.failure if failed and ended.failure else _how(ended)
    if failed and ended.spec.on_failure is OnFailure.SHUTDOWN:
        return f"{name} failed ({how})"
    if policy is ExitPolicy.NEVER:
        return None
    if policy is ExitPolicy.ANY:
        return f"{name} ended ({how})"
    if policy is ExitPolicy.ESSENTIAL and ended.spec.essential:
        return f"essential service {name} ended ({how})"
    return None if may_run else "nothing is left to run"


def _how(process: Process) -> str:
    return str(process.last_exit) if process.last_exit is not None else "never ran"


class Ending(Record):
    """What the container's exit code will be, and why."""

    requested_code: int | None = None  # supervisectl shutdown --exit-code
    first_failure: int | None = None  # of the first service that failed for good
    main_code: int | None = None  # of the main command, when there is one

    def with_end(self, process: Process, *, is_main: bool) -> Ending:
        """Return this with the end of *process* taken into account."""
        if is_main and process.last_exit is not None:
            return self.replace(main_code=shell_code(process.last_exit))
        code = failure_code(process)
        if code is not None and self.first_failure is None:
            return self.replace(first_failure=code)
        return self

    def exit_code(self, remap: Iterable[tuple[int, int]] = ()) -> int:
        """Return the container's exit code; *remap* are (from, to) pairs for the main command."""
        if self.requested_code is not None:
            return self.requested_code
        if self.main_code is not None:
            return dict(remap).get(self.main_code, self.main_code)
        return self.first_failure or 0
