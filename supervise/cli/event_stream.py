"""`supervisectl events`: what supervise says about itself, for people or as JSON lines."""

from __future__ import annotations

import json
import sys

from supervise.cli import render
from supervise.cli.connect import connect
from supervise.cli.exitcodes import DONE
from supervise.model.announcement import EVENTS
from supervise.model.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from supervise.cli.arguments import Arguments

    Event = dict[str, Any]  # the API's type of this name

# Keys of a record that structlog's renderer takes for something else than a field.
_RENDERERS_OWN = frozenset(
    {"timestamp", "level", "event", "logger", "logger_name", "stack", "exception", "exc_info"}
)


def events(given: Arguments) -> int:
    """Run the verb."""
    client = connect(given)
    show = _as_json if given.flag("json") else _for_people()
    for answer in client.stream("Events", follow=given.flag("follow") or None):
        assert answer is not None
        for event in answer["events"]:
            sys.stdout.write(show(event) + "\n")
        sys.stdout.flush()
        if answer["dropped"]:
            render.say(f"{answer['dropped']} events were left out: they came faster than read")
    return DONE


def _as_json(event: Event) -> str:
    return json.dumps(event)


def _for_people() -> Callable[[Event], str]:
    """Return a renderer: structlog's console look, fields in the order docs/events.md has."""
    from structlog.dev import ConsoleRenderer

    # The width by position: its name is another from structlog 25 on.
    renderer = ConsoleRenderer(22, colors=render.wants_colour(sys.stdout), sort_keys=False)

    def show(event: Event) -> str:
        fields = {_key(key): _shown(key, value) for key, value in event["fields"].items()}
        order = EVENTS[event["name"]][2] if event["name"] in EVENTS else ()
        known = {key: fields[key] for key in order if fields.get(key) is not None}
        others = {key: value for key, value in fields.items() if key not in order}
        text: str = renderer(
            None,
            event["severity"],
            {
                "timestamp": _moment(event["time"]),
                "level": event["severity"],
                "event": event["name"],
                **known,
                **others,
            },
        )
        return text

    return show


def _moment(when: float) -> str:
    from datetime import datetime

    try:
        return datetime.fromtimestamp(when).astimezone().isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):  # no date that a calendar has
        return f"@{when:.0f}"


def _key(key: str) -> str:
    """Return the name of a field as it is shown: those the renderer has a meaning for get a mark."""
    return f"{printable(key)}_" if key in _RENDERERS_OWN else printable(key)


def _shown(key: str, value: object) -> object:
    """Return a field's value with nothing in it that a terminal would obey."""
    if isinstance(value, str):
        return printable(value, keep="\n" if key == "traceback" else "")
    return value if value is None or isinstance(value, int | float) else printable(repr(value))
