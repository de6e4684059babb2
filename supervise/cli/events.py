"""`supervisectl events`: what supervise says about itself, for people or as JSON lines."""

from __future__ import annotations

import json
import sys

from supervise.cli import render
from supervise.cli.client import Client
from supervise.cli.exitcodes import DONE
from supervise.model.announcement import EVENTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from supervise.cli.arguments import Arguments

    Event = dict[str, Any]  # the API's type of this name


def events(given: Arguments) -> int:
    """Run the verb."""
    client = Client(given.get("socket"))
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
    from datetime import datetime

    from structlog.dev import ConsoleRenderer

    # The width by position: its name is another from structlog 25 on.
    renderer = ConsoleRenderer(22, colors=render.wants_colour(sys.stdout), sort_keys=False)

    def show(event: Event) -> str:
        moment = datetime.fromtimestamp(event["time"]).astimezone()
        fields = event["fields"]
        order = EVENTS[event["name"]][2] if event["name"] in EVENTS else ()
        known = {key: fields[key] for key in order if fields.get(key) is not None}
        others = {key: value for key, value in fields.items() if key not in order}
        text: str = renderer(
            None,
            event["severity"],
            {
                "timestamp": moment.isoformat(timespec="milliseconds"),
                "level": event["severity"],
                "event": event["name"],
                **known,
                **others,
            },
        )
        return text

    return show
