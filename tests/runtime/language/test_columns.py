"""Tables, JSON lines and templates of rows; docker's columns."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runtime.language import columns
from runtime.language.template_functions import TemplateError
from runtime.model.container.spec import Mount, Spec
from runtime.model.container.state import Endpoint, State

HEADERS = {"ID": "CONTAINER ID", "Name": "NAME", "Labels": "LABELS"}
NOW = 10_000.0


def row(number: str, **labels: str) -> dict[str, Any]:
    return {"ID": number, "Name": f"name-{number}", **columns.label_fields(labels)}


def listing(wanted: str, *rows: dict[str, Any]) -> str:
    return columns.listing(wanted, rows, HEADERS, ("ID", "Name"))


def spec(**changes: Any) -> Spec:
    base = Spec(id="ab" * 32, name="web", image="debian", image_id="sha256:1", argv=("sh",))
    return base.replace(created=NOW - 7200, **changes)


@pytest.mark.parametrize("wanted", ["", "table"])
def test_the_table_is_laid_out_as_docker_does(wanted: str) -> None:
    text = listing(wanted, row("1"), row("a long one indeed"))

    assert text == (
        "CONTAINER ID        NAME\n"
        "1                   name-1\n"
        "a long one indeed   name-a long one indeed\n"
    )


def test_narrow_columns_have_ten_characters() -> None:
    assert columns.tabulate([["A", "B"], ["1", "2"]]) == "A         B\n1         2\n"


def test_an_empty_table_is_its_headers() -> None:
    assert listing("") == "CONTAINER ID   NAME\n"


def test_a_table_template_takes_its_headers_from_the_fields() -> None:
    text = listing('table {{.Name}}\\t{{.Label "com.example.my-role"}}', row("1", **{
        "com.example.my-role": "db"
    }))  # fmt: skip

    assert text == "NAME      my role\nname-1    db\n"


def test_json_is_one_object_a_line_with_sorted_keys_and_no_methods() -> None:
    lines = listing("json", row("1", a="b"), row("2")).splitlines()

    assert [json.loads(line) for line in lines] == [
        {"ID": "1", "Labels": "a=b", "Name": "name-1"},
        {"ID": "2", "Labels": "", "Name": "name-2"},
    ]
    assert lines[0].startswith('{"ID":"1","Labels"')


def test_a_template_gives_a_line_a_row() -> None:
    assert listing("{{.ID}}: {{.Name}}", row("1"), row("2")) == "1: name-1\n2: name-2\n"


def test_a_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(TemplateError, match='no entry for key "Nope"'):
        listing("{{.Nope}}", row("1"))


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (State(), "Created"),
        (State(status="running", started=NOW - 60), "Up About a minute"),
        (State(status="running", started=NOW - 9, health="healthy"), "Up 9 seconds (healthy)"),
        (
            State(status="running", started=NOW - 9, health="starting"),
            "Up 9 seconds (health: starting)",
        ),
        (State(status="paused", started=NOW - 9), "Up 9 seconds (Paused)"),
        (State(status="exited", exit_code=137, finished=NOW - 5), "Exited (137) 5 seconds ago"),
        (
            State(status="restarting", exit_code=1, finished=NOW - 5),
            "Restarting (1) 5 seconds ago",
        ),
        (State(status="removing"), "Removal In Progress"),
        (State(status="dead"), "Dead"),
    ],
)
def test_the_status_is_worded_as_docker_words_it(state: State, shown: str) -> None:
    assert columns.status(state, NOW) == shown


def test_a_container_is_shortened_unless_it_shall_not_be() -> None:
    long = spec(argv=("sh", "-c", "while true; do sleep 1; done"))

    short = columns.container(long, State(), now=NOW)
    whole = columns.container(long, State(), now=NOW, truncate=False)

    assert (short["ID"], short["Command"]) == ("abababababab", '"sh -c while true; d…"')
    assert (whole["ID"], whole["Command"]) == (
        "ab" * 32,
        '"sh -c while true; do sleep 1; done"',
    )
    assert short["RunningFor"] == "2 hours ago"


def test_ports_are_those_published_then_those_exposed() -> None:
    endpoint = Endpoint("bridge", ports=(("0.0.0.0", 8080, 80, "tcp"),))
    state = State(status="running", endpoints=(endpoint,))

    assert (
        columns.container_ports(spec(exposed=((80, "tcp"), (53, "udp"))), state)
        == "0.0.0.0:8080->80/tcp, 53/udp"
    )
    assert columns.container_ports(spec(exposed=((80, "tcp"),)), State()) == ""


def test_mounts_and_networks_are_listed() -> None:
    mounted = spec(
        mounts=(Mount("volume", "data", "/data"), Mount("tmpfs", "", "/tmp")), network="none"
    )

    found = columns.container(mounted, State(), now=NOW)

    assert (found["Mounts"], found["LocalVolumes"], found["Networks"]) == ("data", "1", "none")
