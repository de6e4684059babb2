"""What pull and push show: lines, JSON, bars."""

from __future__ import annotations

import io
import json

import pytest

from runtime.cli.images import transfer_progress
from runtime.model.errors import RuntimeFailure
from tests.support.eventually import eventually

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def test_in_a_pipe_there_is_a_line_when_something_changes() -> None:
    stream = io.StringIO()
    shown = transfer_progress.LineTransferProgress(stream)

    shown.say("latest: Pulling from x")
    shown.layer(A, "Pulling fs layer")
    shown.layer(A, "Downloading", 1, 2)
    shown.layer(A, "Downloading", 2, 2)
    shown.layer(A, "Retrying: the connection was cut; again in 1 s", 2, 2)
    shown.layer(A, "Pull complete", 2, 2)
    shown.layer(A, "Pull complete", 2, 2)

    assert stream.getvalue().splitlines() == [
        "latest: Pulling from x",
        "aaaaaaaaaaaa: Pulling fs layer",
        "aaaaaaaaaaaa: Retrying: the connection was cut; again in 1 s",
        "aaaaaaaaaaaa: Pull complete",
    ]


def test_for_programs_each_line_is_an_object() -> None:
    stream = io.StringIO()
    shown = transfer_progress.JsonTransferProgress(stream)

    shown.say("Digest: x")
    shown.layer(A, "Pulling fs layer")
    shown.layer(A, "Downloading", 1, 2)
    shown.layer(A, "Downloading", 2, 2)

    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {"status": "Digest: x"},
        {"status": "Pulling fs layer", "id": "a" * 12},
        {
            "status": "Downloading",
            "id": "a" * 12,
            "progressDetail": {"current": 1, "total": 2},
        },
        {
            "status": "Downloading",
            "id": "a" * 12,
            "progressDetail": {"current": 2, "total": 2},
        },
    ]


def test_on_a_terminal_each_layer_keeps_its_line() -> None:
    stream = io.StringIO()
    shown = transfer_progress.Bars(stream)

    shown.layer(A, "Pulling fs layer")
    shown.layer(B, "Downloading", 50, 100)
    shown.layer(A, "Pull complete", 1, 1)
    shown.say("Digest: x")

    frames = stream.getvalue().split("\x1b[2A")
    assert frames[-1].split("\n") == [
        "\raaaaaaaaaaaa: Pull complete\x1b[K",
        "\rbbbbbbbbbbbb: Downloading [===============>               ] 50B/100B\x1b[K",
        "Digest: x",
        "",
    ]


def test_on_a_terminal_the_last_number_is_shown_also_when_nothing_follows() -> None:
    stream = io.StringIO()
    shown = transfer_progress.Bars(stream)

    shown.layer(A, "Downloading", 1, 100)
    shown.layer(A, "Downloading", 99, 100)

    eventually(lambda: "99B/100B" in stream.getvalue())
    shown.say("done")


def test_on_a_terminal_numbers_change_ten_times_a_second_at_most() -> None:
    stream = io.StringIO()
    shown = transfer_progress.Bars(stream)

    for done in range(10_000):
        shown.layer(A, "Downloading", done, 10_000)

    assert stream.getvalue().count("\n") < 1000


def test_nothing_is_said_when_nothing_shall_be() -> None:
    stream = io.StringIO()

    shown = transfer_progress.choose("auto", stream, quiet=True)
    shown.say("x")
    shown.layer(A, "Pull complete")

    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ("auto", transfer_progress.LineTransferProgress),
        ("plain", transfer_progress.LineTransferProgress),
        ("json", transfer_progress.JsonTransferProgress),
    ],
)
def test_the_form_is_chosen_by_name(form: str, kind: type) -> None:
    assert type(transfer_progress.choose(form, io.StringIO(), quiet=False)) is kind


def test_a_form_that_is_none_is_refused() -> None:
    with pytest.raises(RuntimeFailure, match="'fancy' is none of auto, plain, json, quiet"):
        transfer_progress.choose("fancy", io.StringIO(), quiet=False)
