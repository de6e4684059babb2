"""The kinds of failure that a client meets → the exit codes of `supervisectl`."""

from __future__ import annotations

from supervise.cli.exitcodes import (
    DONE,
    FAILED,
    NO_SUCH_SERVICE,
    NOT_RUNNING,
    UNREACHABLE,
    USAGE,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from supervise.client.control_client import ApiError

# Errors of the API by name; every other is FAILED.
_OF_ERRORS = {
    "NoSuchService": NO_SUCH_SERVICE,
    "NotPermitted": UNREACHABLE,
    "NotRunning": NOT_RUNNING,
    "InvalidParameter": USAGE,
}


def code_of(error: ApiError) -> int:
    """Return the exit code when a call is refused with *error*."""
    return _OF_ERRORS.get(error.name, FAILED)


def code_of_troubles(troubles: Iterable[str]) -> int:
    """Return the exit code of an operation in which services had *troubles*.

    NOT_RUNNING only if that is all that is wrong.
    """
    kinds = set(troubles)
    if not kinds:
        return DONE
    return NOT_RUNNING if kinds == {"not_running"} else FAILED
