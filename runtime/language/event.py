"""What happened, as `docker events` tells it: one record, its JSON, its line, its filters."""

from __future__ import annotations

from runtime.model import jsontext, timestamp
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from runtime.language.filters import Filters
    from runtime.model.container.spec import Spec

TYPES = ("container", "image", "network", "volume")
FILTERS = ("container", "event", "image", "label", "network", "scope", "type", "volume")
_MICRO = 1_000_000
_LATEST = 10**20  # nanoseconds: a date of four digits


class Event(Record):
    """One thing that happened."""

    type: str  # one of TYPES
    action: str  # start, die, "health_status: healthy", …
    actor: str  # the id, or a volume's name
    attributes: Mapping[str, str] = {}
    time: float = 0.0  # wall clock seconds


def of_container(spec: Spec, action: str, now: float, more: Mapping[str, str]) -> Event:
    """Return what happened to a container: its labels, image and name are among the attributes."""
    attributes = {**spec.labels, **more, "image": spec.image, "name": spec.name}
    return Event("container", action, spec.id, attributes, now)


def document(event: Event) -> dict[str, Any]:
    """Return docker's JSON value: short names for containers and images, as old clients read it."""
    nanoseconds = round(event.time * _MICRO) * 1000  # a float of today holds microseconds
    short: dict[str, Any] = {}
    if event.type in ("container", "image"):
        short = {"status": event.action, "id": event.actor}
    if event.type == "container":
        short["from"] = event.attributes.get("image", "")
    return {
        **short,
        "Type": event.type,
        "Action": event.action,
        "Actor": {"ID": event.actor, "Attributes": dict(sorted(event.attributes.items()))},
        "scope": "local",
        "time": nanoseconds // 1_000_000_000,
        "timeNano": nanoseconds,
    }


def encode(event: Event) -> str:
    """Return the JSON text, one line."""
    return jsontext.dumps(document(event))


def is_document(found: Mapping[str, Any]) -> bool:
    """Return whether *found* is a JSON value that `document` made."""
    actor, when = found.get("Actor"), found.get("timeNano")
    if not isinstance(actor, dict) or type(when) is not int or not 0 <= when < _LATEST:
        return False
    attributes = actor.get("Attributes")
    return (
        isinstance(attributes, dict)
        and all(isinstance(value, str) for value in attributes.values())
        and all(isinstance(each, str) for each in (found.get("Type"), found.get("Action")))
        and isinstance(actor.get("ID"), str)
    )


def from_document(found: Mapping[str, Any]) -> Event:
    """Return the event of a JSON value that `document` made."""
    actor = found["Actor"]
    when = found["timeNano"] / 1_000_000_000
    return Event(found["Type"], found["Action"], actor["ID"], actor["Attributes"], when)


def line(event: Event) -> str:
    """Return docker's own line: time, type, action, id, attributes."""
    whole, _, fraction = timestamp.render(event.time).removesuffix("Z").partition(".")
    attributes = ", ".join(f"{key}={event.attributes[key]}" for key in sorted(event.attributes))
    shown = f" ({attributes})" if attributes else ""
    return f"{whole}.{fraction:0<9}Z {event.type} {event.action} {event.actor}{shown}"


def fields(event: Event) -> dict[str, Any]:
    """Return the fields of docker's Go type, for templates."""
    found = document(event)
    return {
        "Status": found.get("status", ""),
        "ID": found.get("id", ""),
        "From": found.get("from", ""),
        "Type": event.type,
        "Action": event.action,
        "Actor": found["Actor"],
        "Scope": "local",
        "Time": found["time"],
        "TimeNano": found["timeNano"],
    }


def matches(event: Event, given: Filters) -> bool:
    """Return whether the filters let the event through."""
    from runtime.language import filters  # every start imports this module, few need that one

    for key in ("container", "network", "volume"):
        if key in given and not (event.type == key and _is_called(event, given[key])):
            return False
    return (
        ("type" not in given or event.type in given["type"])
        and ("scope" not in given or "local" in given["scope"])
        and ("event" not in given or any(_is_action(event, text) for text in given["event"]))
        and ("image" not in given or _is_of_image(event, given["image"]))
        and filters.has_labels(given.get("label", ()), event.attributes)
    )


def _is_called(event: Event, wanted: list[str]) -> bool:
    name = event.attributes.get("name", "")
    return any(text and (event.actor.startswith(text) or text == name) for text in wanted)


def _is_action(event: Event, text: str) -> bool:
    """``health_status`` stands for each of its kinds, as docker has it."""
    return event.action == text or event.action.partition(":")[0] == text


def _is_of_image(event: Event, wanted: list[str]) -> bool:
    if event.type == "image":
        names = {event.actor, event.attributes.get("name", "")}
    elif event.type == "container":
        names = {event.attributes.get("image", "")}
    else:
        return False
    names |= {name.rpartition(":")[0] for name in names if ":" in name.rpartition("/")[2]}
    return any(text in names for text in wanted)
