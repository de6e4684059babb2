"""HEALTHCHECK: which command it is, when it runs next, what its results make of a container.

Pure; `runtime.container.monitor.health_checks` runs the command.  The rules are docker's: the first
check comes an interval after the start, what fails during the start period does not count until one
has passed, and only so many failures in a row make a container unhealthy.
"""

from __future__ import annotations

from runtime.model.container.state import HealthProbe
from runtime.model.image.image_config import Healthcheck

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.container.state import State

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
NONE = Healthcheck(test=("NONE",))
MOST_OUTPUT = 4096  # bytes kept of one check's
TIMED_OUT = -1  # instead of an exit code; also of a command that could not be started
_SHELL = ("/bin/sh", "-c")
_INTERVAL = 30.0  # seconds, docker's
_TIMEOUT = 30.0
_START_INTERVAL = 5.0
_RETRIES = 3
_KEPT = 5  # results


def choose(image: Healthcheck | None, asked: Healthcheck | None) -> Healthcheck | None:
    """Return the check of a container: *asked* where it says something, else the image's."""
    if asked is None or image is None:
        return asked or image
    return image.replace(**dict(asked.set_items()))


def is_on(check: Healthcheck | None) -> bool:
    """Return whether there is a command to run."""
    return check is not None and len(check.test) > 1 and check.test[0] in ("CMD", "CMD-SHELL")


def argv(check: Healthcheck, shell: tuple[str, ...]) -> tuple[str, ...]:
    """Return what is executed; *shell* is the image's SHELL."""
    kind, *words = check.test
    return (*(shell or _SHELL), *words) if kind == "CMD-SHELL" else tuple(words)


def timeout(check: Healthcheck) -> float:
    """Return how many seconds one check may take."""
    return check.timeout or _TIMEOUT


def delay(check: Healthcheck, state: State, now: float) -> float:
    """Return the seconds from one check, or from the start, to the next one."""
    if state.health == STARTING and now - state.started < check.start_period:
        return check.start_interval or _START_INTERVAL
    return check.interval or _INTERVAL


def begin(state: State) -> State:
    """Return the state of a container that has just been started and has a check."""
    return state.replace(health=STARTING, health_streak=0, health_log=())


def after(check: Healthcheck, state: State, probe: HealthProbe) -> State:
    """Return what *probe* makes of a container that runs."""
    log = (*state.health_log, probe)[-_KEPT:]
    if probe.exit_code == 0:
        return state.replace(health=HEALTHY, health_streak=0, health_log=log)
    excused = state.health == STARTING and probe.started - state.started < check.start_period
    streak = state.health_streak + (0 if excused else 1)
    sick = streak >= (check.retries or _RETRIES)
    return state.replace(
        health=UNHEALTHY if sick else state.health, health_streak=streak, health_log=log
    )


def end(state: State) -> State:
    """Return the state of a container that runs no more: docker calls it unhealthy."""
    return state.replace(health=UNHEALTHY) if state.health else state
