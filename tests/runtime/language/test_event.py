"""Events as docker writes them, and which filters let which through."""

from __future__ import annotations

import json

import pytest

from runtime.language import event as model
from runtime.language.event import Event
from runtime.model.container.spec import Spec

SPEC = Spec("ab" * 32, "web", "shop/web:1", "sha256:0", ("x",), labels={"tier": "front"})
DIED = model.of_container(SPEC, "die", 1_700_000_000.25, {"exitCode": "3"})
JOINED = Event("network", "connect", "cd" * 32, {"container": SPEC.id, "name": "shop"}, 1.0)
TAGGED = Event("image", "tag", "sha256:0", {"name": "shop/web:1"}, 1.0)
WELL = DIED.replace(action="health_status: healthy")


def test_a_line_is_dockers() -> None:
    assert model.line(DIED) == (
        f"2023-11-14T22:13:20.250000000Z container die {SPEC.id} "
        "(exitCode=3, image=shop/web:1, name=web, tier=front)"
    )


def test_the_json_has_dockers_keys_and_comes_back() -> None:
    found = json.loads(model.encode(DIED))

    assert found == {
        "status": "die",
        "id": SPEC.id,
        "from": "shop/web:1",
        "Type": "container",
        "Action": "die",
        "Actor": {
            "ID": SPEC.id,
            "Attributes": {
                "exitCode": "3",
                "image": "shop/web:1",
                "name": "web",
                "tier": "front",
            },
        },
        "scope": "local",
        "time": 1_700_000_000,
        "timeNano": 1_700_000_000_250_000_000,
    }
    assert model.from_document(found) == DIED
    assert "status" not in json.loads(model.encode(JOINED))


@pytest.mark.parametrize(
    ("given", "event", "passes"),
    [
        ({}, DIED, True),
        ({"container": ["web"]}, DIED, True),
        ({"container": ["abab"]}, DIED, True),
        ({"container": ["we"]}, DIED, False),
        ({"container": ["shop"]}, JOINED, False),
        ({"network": ["shop"]}, JOINED, True),
        ({"event": ["start", "die"]}, DIED, True),
        ({"event": ["start"]}, DIED, False),
        ({"event": ["health_status"]}, WELL, True),
        ({"event": ["health_status: unhealthy"]}, WELL, False),
        ({"image": ["shop/web"]}, DIED, True),
        ({"image": ["shop/web:1"]}, TAGGED, True),
        ({"image": ["shop"]}, TAGGED, False),
        ({"image": ["shop/web"]}, JOINED, False),
        ({"label": ["tier=front"]}, DIED, True),
        ({"label": ["tier=back"]}, DIED, False),
        ({"type": ["image", "network"]}, JOINED, True),
        ({"type": ["image"], "event": ["die"]}, DIED, False),
        ({"scope": ["swarm"]}, DIED, False),
    ],
)
def test_a_filter_lets_through(given: dict[str, list[str]], event: Event, passes: bool) -> None:
    assert model.matches(event, given) is passes
