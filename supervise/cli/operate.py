"""`supervisectl start, stop, restart, reload, signal, wait`: one result a service, as it is known."""

from __future__ import annotations

import sys

from supervise.cli import failures
from supervise.cli.connect import connect
from supervise.client.control_client import ControlClient
from supervise.model.printable import printable
from supervise.wire import hints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from supervise.cli.arguments import Arguments

MARGIN = 10.0  # seconds on top of the start_timeouts
_LAST_LINES = 5  # of a service that failed to start


def start(given: Arguments) -> int:
    """Run the verb."""
    client = connect(given)
    limit = given.get("timeout")
    if limit is None and not given.flag("no-wait"):
        limit = _patience(client, given)
    return _operate(client, given, "Start", timeout=limit, **_waiting(given), explain=True)


def stop(given: Arguments) -> int:
    """Run the verb."""
    client = connect(given)
    return _operate(client, given, "Stop", grace=given.get("timeout"), **_waiting(given))


def restart(given: Arguments) -> int:
    """Run the verb."""
    client = connect(given)
    limit = None if given.flag("no-wait") else _patience(client, given)
    grace = given.get("timeout")
    if limit is not None:
        limit += grace or 0.0
    return _operate(
        client, given, "Restart", grace=grace, timeout=limit, **_waiting(given), explain=True
    )


def reload(given: Arguments) -> int:
    """Run the verb."""
    return _operate(connect(given), given, "Reload")


def signal(given: Arguments) -> int:
    """Run the verb."""
    name, *services = given.operands
    given = given.replace(operands=tuple(services))
    return _operate(connect(given), given, "Signal", signal=name)


def wait(given: Arguments) -> int:
    """Run the verb."""
    until = given.get("for") or "ready"
    client = connect(given)
    return _operate(client, given, "Wait", until=until, timeout=given.get("timeout"))


def _waiting(given: Arguments) -> dict[str, Any]:
    return {"wait": False if given.flag("no-wait") else None}


def _operate(
    client: ControlClient,
    given: Arguments,
    method: str,
    *,
    explain: bool = False,
    **parameters: Any,
) -> int:
    everything = given.flag("all")
    names = None if everything else list(given.operands)
    chosen: dict[str, Any] = {"all": everything or None, "services": names}
    troubles: dict[str, str] = {}  # service → kind
    results = 0
    for answer in client.stream(method, **chosen, **parameters):
        assert answer is not None
        for outcome in answer["results"]:
            results += 1
            _say(outcome)
            if outcome.get("trouble"):
                troubles[outcome["service"]] = outcome["trouble"]
    if explain:
        for name in troubles:
            _show_last_lines(client, name)
    if everything and not results:
        sys.stdout.write("nothing to do\n")
    return failures.code_of_troubles(troubles.values())


def _say(outcome: dict[str, Any]) -> None:
    text = f"{outcome['service']}: {printable(outcome['message'])}"
    if outcome.get("trouble"):
        hint = hints.advised(outcome)
        sys.stdout.flush()  # in this order on a terminal
        sys.stderr.write(f"{text} ({hint})\n" if hint else f"{text}\n")
    else:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def _show_last_lines(client: ControlClient, name: str) -> None:
    """Show what a service that did not come up said last: most often the reason."""
    entries = client.call("Logs", services=[name], lines=_LAST_LINES)["entries"]
    for entry in entries:
        sys.stderr.write(f"  {name} | {printable(entry['message'])}\n")


def _patience(client: ControlClient, given: Arguments) -> float | None:
    """Return how many seconds a start may take by the configuration, None if it does not say.

    All that is depended on counts, one after the other; a oneshot may take for ever.
    """
    nodes = {node["name"]: node for node in client.call("Graph")["nodes"]}
    todo = list(nodes) if given.flag("all") else [n for n in given.operands if n in nodes]
    limit, seen = MARGIN, set()
    while todo:
        name = todo.pop()
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        node = nodes[name]
        if node["type"] == "oneshot":
            return None
        limit += node["start_timeout"] or 0.0
        limit += node["stop_grace_period"] if name in given.operands else 0.0
        todo += [edge["service"] for edge in node["depends_on"]]
    return limit
