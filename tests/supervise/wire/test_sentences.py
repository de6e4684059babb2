from __future__ import annotations

import json

import pytest

from supervise.model.announcement import EVENTS, Announcement
from supervise.wire import sentences


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_has_a_sentence(name: str) -> None:
    text = sentences.sentence(Announcement(name, dict.fromkeys(EVENTS[name][2], 7)))

    assert text != name
    assert not set(text) & set("{}[]")
    assert "7" in text or not EVENTS[name][2]


@pytest.mark.parametrize("name", EVENTS)
def test_a_field_that_is_not_known_leaves_a_sentence(name: str) -> None:
    text = sentences.sentence(Announcement(name, {}))

    assert text
    assert not set(text) & set("{}[]")


@pytest.mark.parametrize(
    ("name", "fields", "text"),
    [
        ("service.started", {"service": "web", "pid": 12}, "Started web (pid 12)"),
        (
            "service.exited",
            {"service": "web", "pid": 12, "status": "killed by SIGSEGV", "after": 0.12345},
            "web (pid 12) ended after 0.123 s: killed by SIGSEGV",
        ),
        ("service.ready", {"service": "web", "after": 123456.7}, "web is ready after 123457 s"),
        ("service.stopped", {"service": "web", "status": None}, "Stopped web"),
        ("supervise.notice", {"message": "no /proc here"}, "No /proc here"),
        ("supervise.notice", {"message": "web.yaml:1:2: odd"}, "web.yaml:1:2: odd"),
        (
            "supervise.reloaded",
            {"added": ["a", "b"], "removed": [], "changed": ["c"]},
            "Reloaded the configuration, added: a, b, changed: c",
        ),
        ("log.dropped", {"service": "web", "lines": 7}, "Dropped 7 lines of web"),
        ("service.status", {"service": "web", "message": "{x} [y]"}, "web says: {x} [y]"),
    ],
)
def test_sentences_say_what_happened(name: str, fields: dict[str, object], text: str) -> None:
    assert sentences.sentence(Announcement(name, fields)) == text


def test_each_line_of_a_traceback_has_the_prefix() -> None:
    fault = Announcement(
        "supervise.fault", {"owner": "log of web", "message": "boom", "traceback": "one\ntwo\n"}
    )

    assert sentences.render_prefix(fault, "supervise | ") == (
        b"supervise | Contained a fault of log of web: boom\nsupervise | one\nsupervise | two\n"
    )


def test_json_has_the_fields_and_the_sentence() -> None:
    event = Announcement("service.started", {"service": "web", "pid": 12})

    assert json.loads(sentences.render_json(event, 0.25)) == {
        "time": "1970-01-01T00:00:00.250000Z",
        "service": "web",
        "event": "service.started",
        "severity": "info",
        "message": "Started web (pid 12)",
        "pid": 12,
    }


def test_an_event_about_no_service_is_ours() -> None:
    event = Announcement("supervise.exiting", {"code": 0, "reason": None})

    assert json.loads(sentences.render_json(event, 0.0))["service"] == "supervise"


def test_logfmt_has_the_same_keys() -> None:
    event = Announcement("supervise.reloaded", {"added": ["a", "b"], "removed": []})

    assert sentences.render_logfmt(event, 0.0) == (
        b"time=1970-01-01T00:00:00.000000Z service=supervise event=supervise.reloaded "
        b'severity=info message="Reloaded the configuration, added: a, b" added="a, b" removed=""\n'
    )


def test_undecodable_names_do_not_break_the_line() -> None:
    event = Announcement("supervise.notice", {"message": "no file caf\udce9"})

    for line in (
        sentences.render_prefix(event, ""),
        sentences.render_json(event, 0.0),
        sentences.render_logfmt(event, 0.0),
    ):
        assert b"udce9" in line
        assert line.count(b"\n") == 1
