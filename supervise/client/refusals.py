"""Errors of the API → a sentence that helps.

What exit code that means is the program's own affair; see `supervise.cli.failures`.
"""

from __future__ import annotations

import os

from supervise.model.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from supervise.client.control_client import ApiError


def explain(error: ApiError, advised: Callable[[Mapping[str, Any]], str]) -> str:
    """Return what to tell the user, without the program's name.

    *advised* words what to do by the parameters of an error; see `supervise.wire.hints`.
    """
    found = error.parameters
    match error.name:
        case "NoSuchService":
            return _no_such_service(found["service"], found["known"], found.get("suggestion"))
        case "NotPermitted":
            who = f"user {os.geteuid()} may not do this"
            return f"not permitted: {who}; it takes {found['need']}"
        case "InvalidConfiguration":
            lines = [str(Problem(**problem)) for problem in found["problems"]]
            return "\n".join(["the configuration has problems, nothing was changed", *lines])
        case "ShuttingDown":
            return "supervise is shutting down; nothing starts any more"
        case "Busy":
            return f"not now: {found['reason']}; try again"
        case "OperationFailed" | "NotRunning" | "TimedOut":
            hint = advised(found)
            return f"{found['service']}: {found['reason']}{f' ({hint})' if hint else ''}"
        case "InvalidParameter" if found.get("parameter") == "signal":
            return "this is no signal; such as HUP, SIGTERM, 10, SIGRTMIN+3"
        case "InvalidParameter":
            return f"supervise does not accept '{found.get('parameter')}'"
        case "MethodNotFound" | "InterfaceNotFound" | "MethodNotImplemented":
            return f"the supervise that runs is older and cannot {found['method']}"
        case _:
            return f"{found['method']} failed: {error.name}"


def _no_such_service(name: str, known: list[str], suggestion: str | None) -> str:
    if suggestion:
        return f"there is no service '{name}'; did you mean '{suggestion}'?"
    if not known:
        return f"there is no service '{name}'; none is configured"
    shown = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
    return f"there is no service '{name}'; there are {shown}"
