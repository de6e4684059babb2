"""Errors of the API → a sentence that helps, and an exit code."""

from __future__ import annotations

import os

from supervise.cli.exitcodes import FAILED, NO_SUCH_SERVICE, NOT_RUNNING, UNREACHABLE, USAGE
from supervise.model.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.cli.client import ApiError


def explain(error: ApiError) -> tuple[str, int]:
    """Return what to tell the user, without the program's name, and the exit code."""
    found = error.parameters
    match error.name:
        case "NoSuchService":
            return _no_such_service(found["service"], found["known"], found.get("suggestion"))
        case "NotPermitted":
            who = f"user {os.geteuid()} may not do this"
            return f"not permitted: {who}; it takes {found['need']}", UNREACHABLE
        case "InvalidConfiguration":
            lines = [str(Problem(**problem)) for problem in found["problems"]]
            return "\n".join(
                ["the configuration has problems, nothing was changed", *lines]
            ), FAILED
        case "ShuttingDown":
            return "supervise is shutting down; nothing starts any more", FAILED
        case "Busy":
            return f"not now: {found['reason']}; try again", FAILED
        case "OperationFailed" | "NotRunning" | "TimedOut":
            code = NOT_RUNNING if error.name == "NotRunning" else FAILED
            hint = f" ({found['hint']})" if found.get("hint") else ""
            return f"{found['service']}: {found['reason']}{hint}", code
        case "InvalidParameter" if found.get("parameter") == "signal":
            return "this is no signal; such as HUP, SIGTERM, 10, SIGRTMIN+3", USAGE
        case "InvalidParameter":
            return f"supervise does not accept '{found.get('parameter')}'", USAGE
        case "MethodNotFound" | "InterfaceNotFound" | "MethodNotImplemented":
            return f"the supervise that runs is older and cannot {found['method']}", FAILED
        case _:
            return f"{found['method']} failed: {error.name}", FAILED


def _no_such_service(name: str, known: list[str], suggestion: str | None) -> tuple[str, int]:
    if suggestion:
        return f"there is no service '{name}'; did you mean '{suggestion}'?", NO_SUCH_SERVICE
    if not known:
        return f"there is no service '{name}'; none is configured", NO_SUCH_SERVICE
    shown = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
    return f"there is no service '{name}'; there are {shown}", NO_SUCH_SERVICE
