"""Shall a container start again, and when: docker's restart policies and backoff."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.container.spec import ContainerRestartPolicy

_FIRST = 0.1  # seconds
_LONGEST = 60.0
_RESET_AFTER = 10.0  # seconds up, after which it counts as a fresh start


def delay(
    policy: ContainerRestartPolicy,
    *,
    exit_code: int,
    restarts: int,
    previous: float,
    ran_for: float,
    stopped_by_user: bool,
) -> float | None:
    """Return the seconds to wait before the next start, None for no further one.

    *restarts* is how often it was started again already, *previous* the last delay (0.0 before
    the first), *ran_for* how long it was up, in seconds.
    """
    if stopped_by_user or policy.mode == "no":
        return None
    exhausted = 0 < policy.max_retries <= restarts
    if policy.mode == "on-failure" and (exit_code == 0 or exhausted):
        return None
    if previous == 0.0 or ran_for >= _RESET_AFTER:
        return _FIRST
    return min(previous * 2, _LONGEST)
