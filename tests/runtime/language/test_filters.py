"""--filter: what matches, and what is refused."""

from __future__ import annotations

import pytest

from runtime.language import filters
from runtime.model.container.spec import Mount, Port, Spec
from runtime.model.container.state import Endpoint, State
from runtime.model.errors import RuntimeFailure

WEB = Spec(
    id="a" * 64,
    name="web",
    image="debian",
    image_id="sha256:1",
    argv=("x",),
    labels={"tier": "front", "empty": ""},
    mounts=(Mount("volume", "data", "/var/data"),),
    ports=(Port(80, 8080),),
    exposed=((80, "tcp"), (53, "udp")),
    network="backend",
    created=100.0,
)
DB = Spec(
    id="b" * 64,
    name="web-db",
    image="postgres",
    image_id="sha256:2",
    argv=("x",),
    labels={"tier": "back"},
    created=200.0,
)
RUNNING = State(
    status="running",
    endpoints=(Endpoint("backend", ports=(("0.0.0.0", 8080, 80, "tcp"),)),),
)
EXITED = State(status="exited", exit_code=3)


def names(*given: str) -> list[str]:
    found = filters.containers(
        filters.parse(given, filters.CONTAINER),
        [(WEB, RUNNING), (DB, EXITED)],
        ancestors=lambda name: {"debian": {"sha256:1"}}.get(name, set()),
        find=lambda name: {"web": WEB, "web-db": DB}[name],
    )
    return [spec.name for spec, _ in found]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("name=web",), ["web", "web-db"]),
        (("name=^web$",), ["web"]),
        (("name=^/web$",), ["web"]),
        (("name=db", "name=^web$"), ["web", "web-db"]),
        (("id=aaa",), ["web"]),
        (("status=exited",), ["web-db"]),
        (("status=running", "status=exited"), ["web", "web-db"]),
        (("exited=3",), ["web-db"]),
        (("exited=0",), []),
        (("label=tier",), ["web", "web-db"]),
        (("label=tier=front",), ["web"]),
        (("label=tier", "label=empty"), ["web"]),
        (("label=empty=",), ["web"]),
        (("ancestor=debian",), ["web"]),
        (("ancestor=nothing",), []),
        (("before=web-db",), ["web"]),
        (("since=web",), ["web-db"]),
        (("volume=data",), ["web"]),
        (("volume=/var/data",), ["web"]),
        (("network=backend",), ["web"]),
        (("publish=8080",), ["web"]),
        (("publish=80/tcp",), ["web"]),
        (("publish=80/udp",), []),
        (("expose=50-60/udp",), ["web"]),
        (("health=none",), ["web", "web-db"]),
        (("name=web", "status=exited"), ["web-db"]),
    ],
)
def test_containers_are_chosen(given: tuple[str, ...], expected: list[str]) -> None:
    assert names(*given) == expected


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ("labl=x", "invalid filter 'labl'", "did you mean 'label'?"),
        ("running", "invalid argument 'running': a filter is KEY=VALUE", ""),
        ("status=up", "invalid filter 'status=up'", "there are created, restarting"),
        ("exited=x", "invalid filter 'exited=x': it is a number", ""),
        ("name=(", "invalid filter 'name=('", ""),
    ],
)
def test_what_makes_no_sense_is_refused_with_1(given: str, message: str, hint: str) -> None:
    with pytest.raises(RuntimeFailure) as refused:
        names(given)

    assert message in refused.value.message
    assert hint in refused.value.hint
    assert refused.value.code == 1


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("deb*", True),
        ("debian", True),
        ("debian:12", True),
        ("debian:1*", True),
        ("debian:11", False),
        ("*", True),
        ("*/debian", False),
    ],
)
def test_references_match_as_paths(pattern: str, matches: bool) -> None:
    assert filters.references({"reference": [pattern]}, ("debian:12",)) is matches


def test_a_star_stops_at_a_slash() -> None:
    assert not filters.references({"reference": ["quay*"]}, ("quay.io/a/b:1",))


def test_until_takes_the_earliest() -> None:
    assert filters.until({"until": ["10s", "1m"]}, now=1000.0) == 940.0
