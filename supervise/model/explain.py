"""From a process to what a person wants to know of it.  Pure: `now` is an argument."""

from __future__ import annotations

from supervise.model.exitstatus import Exited, Killed, shell_code
from supervise.model.hint import Hint, HintKind
from supervise.model.process import Desired, Process, ProcessState, StopReason
from supervise.model.service import RestartMode, ServiceType
from supervise.model.signals import SIGNALS
from supervise.model.view import Blocker, Explanation, ServiceView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_STALLED = "output is stalled, as the reader of its logs does not keep up"
_TO_THE_BACKGROUND = (
    "It ended well and left processes behind: programs that go to the background have to stay in "
    "the foreground here, as with nginx -g 'daemon off;'."
)
_NEVER_RAN = {126: ": not executable", 127: ": not found"}
WAITING = "waiting"  # shown for a stopped service that is wanted up


def view(
    process: Process, blockers: Sequence[Blocker], now: float, *, stalled: bool = False
) -> ServiceView:
    """Return the line of `supervisectl status` for *process*; *stalled*: so are its logs."""
    up = process.pid is not None and process.started_at is not None
    return ServiceView(
        name=process.spec.name,
        type=process.spec.type.value,
        state=shown_state(process),
        desired=process.desired.value,
        ready=process.ready,
        health=process.health,
        pid=process.pid,
        uptime=now - process.started_at if up and process.started_at is not None else None,
        restarts=process.restarts,
        detail=detail(process, blockers, now) or (_STALLED if stalled else ""),
        exit_code=None if process.last_exit is None else shell_code(process.last_exit),
        next_start=max(0.0, process.next_start - now) if process.next_start is not None else None,
        essential=process.spec.essential,
    )


def shown_state(process: Process) -> str:
    """Return the state's word: `waiting` when it is stopped but wanted up."""
    if process.state is ProcessState.STOPPED and process.desired is Desired.UP:
        return WAITING
    return process.state.value


def detail(process: Process, blockers: Sequence[Blocker], now: float) -> str:
    """Return one clause: why the service is not up, or its own status text."""
    last = last_end(process)
    match process.state:
        case ProcessState.STOPPED if process.desired is Desired.UP:
            return f"waits for {_blocked_by(blockers)}" if blockers else "is about to start"
        case ProcessState.STARTING if process.pid is not None:
            return process.status_text or "not ready yet"
        case ProcessState.BACKOFF:
            wait = max(0.0, (process.next_start or now) - now)
            limits = _retry_limits(process)
            return f"{process.failure or last or 'ended'}; starts again in {wait:.1f} s ({limits})"
        case ProcessState.STOPPING:
            return process.reason.value if process.reason else ""
        case ProcessState.FAILED:
            return process.failure or last
        case ProcessState.EXITED | ProcessState.STOPPED:
            return last
        case _:
            return process.status_text


def _retry_limits(process: Process) -> str:
    """Return which try this is and what limits the tries."""
    spec, nth = process.spec, process.attempts
    if spec.restart.mode is RestartMode.ON_FAILURE and spec.restart.max_retries is not None:
        return f"try {nth} of {spec.restart.max_retries}"
    if spec.start_limit is not None:
        limit = spec.start_limit
        return f"try {nth}, at most {limit.burst} starts in {limit.interval:g} s"
    return f"try {nth}, for ever, at most every {spec.backoff.max:g} s"


def last_end(process: Process) -> str:
    """Return how the last process ended, decoded, with the likely cause where there is one."""
    status = process.last_exit
    if status is None:
        return ""
    if isinstance(status, Exited):
        meaning = _NEVER_RAN.get(status.code, "")
        return f"{status}{meaning}"
    if process.state is ProcessState.STOPPED:
        return str(status)  # it was requested, so the cause is known
    return f"{status}{_likely_cause(status)}"


def _likely_cause(status: Killed) -> str:
    causes = {
        SIGNALS["SIGKILL"]: " (out of memory, or killed by a person)",
        SIGNALS["SIGSEGV"]: " (invalid memory access)",
        SIGNALS["SIGABRT"]: " (it aborted itself)",
        SIGNALS["SIGSYS"]: " (a system call that the sandbox forbids)",
        SIGNALS["SIGXCPU"]: " (its CPU time limit)",
        SIGNALS["SIGXFSZ"]: " (its file size limit)",
    }
    return causes.get(status.signal, "")


def explain(
    process: Process,
    blockers: Sequence[Blocker],
    now: float,
    probe: str,
    *,
    stalled: bool = False,
) -> Explanation:
    """Return why the service is as it is, in sentences from the cause to the way out.

    *probe* is what the last failed readiness or health try said, empty if none did.  *stalled*
    tells that the reader of its logs does not keep up.
    """
    seen = view(process, blockers, now, stalled=stalled)
    sentences = [_state_sentence(process, blockers, now)]
    sentences += [_blocker_sentence(blocker) for blocker in blockers]
    sentences += _endings(process)
    if probe and not (process.ready and process.health in ("", "healthy")):
        sentences.append(f"The last probe failed: {probe}.")
    if stalled:
        sentences.append(f"Its {_STALLED}: it may wait in write(2).")
    if process.status_text:
        sentences.append(f"It says: {process.status_text}.")
    if _went_to_the_background(process):
        sentences.append(_TO_THE_BACKGROUND)
    return Explanation(seen, tuple(blockers), tuple(sentences), _way_out(process, blockers))


def _state_sentence(process: Process, blockers: Sequence[Blocker], now: float) -> str:
    name, spec = process.spec.name, process.spec
    match process.state:
        case ProcessState.RUNNING:
            health = f", {process.health}" if process.health else ""
            ready = "" if process.ready or spec.type is ServiceType.ONESHOT else ", not ready"
            age = now - (process.started_at or now)
            return f"{name} runs as pid {process.pid} since {age:.0f} s{health}{ready}."
        case ProcessState.STARTING if process.pid is not None:
            left = max(0.0, spec.start_timeout - (now - (process.started_at or now)))
            return (
                f"{name} was executed as pid {process.pid} but is not ready; "
                f"it has {left:.0f} s left."
            )
        case ProcessState.STARTING:
            return f"{name} is being started."
        case ProcessState.BACKOFF:
            wait = max(0.0, (process.next_start or now) - now)
            often = f"{process.attempts} times in a row" if process.attempts > 1 else "once"
            return (
                f"{name} ended {often}; "
                f"it starts again in {wait:.1f} s (at most every {spec.backoff.max:g} s)."
            )
        case ProcessState.STOPPING:
            reason = process.reason.value if process.reason else "asked to"
            killed = "; SIGKILL has been sent" if process.killed else ""
            return f"{name} is being stopped: {reason}{killed}."
        case ProcessState.FAILED:
            return f"{name} has failed for good: {process.failure or last_end(process)}."
        case ProcessState.EXITED:
            return f"{name} has done its work and ended well."
        case _ if process.desired is Desired.UP:
            reason = _blocked_by(blockers) if blockers else "its turn"
            return f"{name} is wanted up and waits for {reason}."
        case _:
            autostart = "" if spec.autostart else "; it is not started by itself (autostart: false)"
            return f"{name} is stopped, and nobody wants it up{autostart}."


def _endings(process: Process) -> list[str]:
    """Return why the last attempt came to nothing, and how its process ended if there was one."""
    last, failure = process.last_exit, process.failure
    if last is None or process.state is ProcessState.RUNNING:
        return []
    has_reason = failure not in {"", str(last)}
    # A start that fails before exec has the code that a shell would give it, and no process.
    never_ran = has_reason and isinstance(last, Exited) and last.code in _NEVER_RAN
    reason = [f"The reason: {failure}."] if process.state is ProcessState.BACKOFF else []
    ended = [f"Its last process ended with {last_end(process)}."]
    return (reason if has_reason else []) + ([] if never_ran else ended)


def _blocked_by(blockers: Sequence[Blocker]) -> str:
    return ", ".join(f"{each.service} ({_wanted_word(each)})" for each in blockers)


def _wanted_word(blocker: Blocker) -> str:
    return blocker.condition.removeprefix("service_").replace("_", " ")


def _blocker_sentence(blocker: Blocker) -> str:
    stuck = ", and will not get further by itself" if blocker.final else ""
    return (
        f"It depends on {blocker.service} being {_wanted_word(blocker)}; "
        f"{blocker.service} is {blocker.state}{stuck}."
    )


def _way_out(process: Process, blockers: Sequence[Blocker]) -> tuple[Hint, ...]:
    stuck = [blocker.service for blocker in blockers if blocker.final]
    name = process.spec.name
    if stuck:
        return (Hint(HintKind.EXPLAIN, stuck[0]),)
    if process.state is ProcessState.FAILED:
        return (Hint(HintKind.LAST_LINES, name), Hint(HintKind.START, name))
    if process.state is ProcessState.BACKOFF and process.failure == StopReason.LEFTOVERS.value:
        return ()
    if process.state is ProcessState.BACKOFF and process.last_exit is not None:
        return (Hint(HintKind.LAST_LINES, name),)
    if process.state is ProcessState.STOPPED and process.desired is Desired.DOWN:
        return (Hint(HintKind.START, name),)
    return ()


def _went_to_the_background(process: Process) -> bool:
    """Return whether it seems to be a program that forks and leaves."""
    left = process.failure == StopReason.LEFTOVERS.value
    return process.state is ProcessState.BACKOFF and left and process.last_exit == Exited(0)
