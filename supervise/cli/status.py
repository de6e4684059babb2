"""`supervisectl status`: the table, as JSON, once or at every change."""

from __future__ import annotations

import json
import sys
import time

from supervise.cli import durations, render
from supervise.cli.connect import connect
from supervise.cli.exitcodes import DONE, NOT_RUNNING
from supervise.client.control_client import ControlClient
from supervise.model.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from supervise.cli.arguments import Arguments

    Service = dict[str, Any]  # the API's type of this name

HEAD = ("NAME", "STATE", "HEALTH", "PID", "UPTIME", "RESTARTS", "DETAIL")
_RIGHT_ALIGNED = (3, 4, 5)
_CLEAR = "\x1b[H\x1b[J"  # home, erase below: no flicker, no scrolling


def status(given: Arguments) -> int:
    """Run the verb."""
    client = connect(given)
    names = list(given.operands) or None
    if given.flag("watch"):
        return _watch(client, names, as_json=given.flag("json"))
    services = client.call("Status", services=names)["services"]
    if given.flag("json"):
        sys.stdout.write(json.dumps(services, indent=2) + "\n")
    else:
        _print("".join(f"{line}\n" for line in lines(services)))
    return NOT_RUNNING if names and not all(map(is_up, services)) else DONE


def is_up(service: Service) -> bool:
    """Return whether a service runs; a oneshot that has completed does its duty as well."""
    if service["state"] == "running":
        return True
    return bool(
        service["type"] == "oneshot" and service["state"] == "exited" and service["exit_code"] == 0
    )


def lines(services: list[Service], *, aged: float = 0.0) -> list[str]:
    """Return the table for the standard output; *aged*: seconds since the services were seen."""
    rows = [HEAD, *(_row(service, aged) for service in services)]
    return render.table(
        rows,
        right=_RIGHT_ALIGNED,
        width=render.width_of(sys.stdout),
        colour=render.wants_colour(sys.stdout),
    )


def _row(service: Service, aged: float) -> tuple[str, ...]:
    uptime = service["uptime"]
    return (
        service["name"],
        service["state"],
        service["health"] or "-",
        str(service["pid"] or "-"),
        "-" if uptime is None else durations.show_age(uptime + aged),
        str(service["restarts"]),
        printable(service["detail"]),
    )


def _watch(client: ControlClient, names: list[str] | None, *, as_json: bool) -> int:
    on_terminal = sys.stdout.isatty() and not as_json
    seen: list[Service] = []
    when = 0.0
    # On a terminal the ages tick; elsewhere a line appears when something happens.
    for answer in client.stream("Status", services=names, tick=1.0 if on_terminal else None):
        before = seen
        if answer is not None:
            seen, when = answer["services"], time.monotonic()
        if as_json:
            _print(json.dumps(seen) + "\n")
        elif on_terminal:
            shown = lines(seen, aged=time.monotonic() - when)
            _print(_CLEAR + "".join(f"{line}\n" for line in shown))
        else:
            _print("".join(f"{line}\n" for line in _changed_lines(before, seen)))
    return DONE


def _changed_lines(before: list[Service], seen: list[Service]) -> list[str]:
    """Return the whole table the first time, then the rows that say something else."""
    if not before:
        return lines(seen)
    old = {service["name"]: _lasting(service) for service in before}
    table = lines(seen)[1:]
    return [
        line
        for service, line in zip(seen, table, strict=True)
        if old.get(service["name"]) != _lasting(service)
    ]


def _lasting(service: Service) -> Service:
    return {**service, "uptime": None, "next_start": None}


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
