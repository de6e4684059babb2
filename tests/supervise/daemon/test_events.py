from __future__ import annotations

import pytest

from supervise.daemon import events
from supervise.daemon.events import Events
from supervise.model.announcement import EVENTS, Announcement


def said(number: int) -> Announcement:
    return Announcement("supervise.notice", {"message": str(number)})


def test_listeners_are_told_in_the_order_of_their_subscription() -> None:
    hub, heard = Events(), list[tuple[str, Announcement]]()
    hub.subscribe(lambda announcement, _when: heard.append(("first", announcement)))
    hub.subscribe(lambda announcement, _when: heard.append(("second", announcement)))

    hub.announce(said(1))

    assert heard == [("first", said(1)), ("second", said(1))]


def test_listener_and_backlog_get_the_same_time() -> None:
    hub, heard = Events(), list[float]()
    hub.subscribe(lambda _announcement, when: heard.append(when))

    hub.announce(said(1))

    assert [when for when, _ in hub.recent()] == heard


def test_listener_that_has_left_hears_nothing() -> None:
    hub, heard = Events(), list[Announcement]()
    leave = hub.subscribe(lambda announcement, _when: heard.append(announcement))

    leave()
    leave()
    hub.announce(said(1))

    assert heard == []


def test_listener_may_leave_while_it_is_told() -> None:
    hub, heard = Events(), list[str]()

    def once(_announcement: Announcement, _when: float) -> None:
        heard.append("once")
        leave()

    leave = hub.subscribe(once)
    hub.subscribe(lambda _announcement, _when: heard.append("other"))

    hub.announce(said(1))
    hub.announce(said(2))

    assert heard == ["once", "other", "other"]


def test_listener_that_raises_loses_its_subscription_and_the_rest_hear_why() -> None:
    hub, heard = Events(), list[Announcement]()

    def broken(_announcement: Announcement, _when: float) -> None:
        raise OSError("boom")

    hub.subscribe(broken)
    hub.subscribe(lambda announcement, _when: heard.append(announcement))

    hub.announce(said(1))
    hub.announce(said(2))

    assert [each.name for each in heard] == [
        "supervise.notice",
        "supervise.fault",
        "supervise.notice",
    ]
    assert heard[1].fields["message"] == "OSError: boom"


def test_all_listeners_may_be_broken() -> None:
    hub = Events()

    def broken(_announcement: Announcement, _when: float) -> None:
        raise OSError("boom")

    for _ in range(3):
        hub.subscribe(broken)

    hub.announce(said(1))

    assert [each.name for _, each in hub.recent()] == ["supervise.notice"] + ["supervise.fault"] * 3


def test_backlog_holds_the_last_thousand_oldest_first() -> None:
    hub = Events()

    for number in range(1001):
        hub.announce(said(number))

    assert [each for _, each in hub.recent()] == [said(number) for number in range(1, 1001)]


def test_fault_has_a_traceback_and_the_fields_of_its_catalogue() -> None:
    with pytest.raises(ValueError, match="three") as caught:
        int("three")

    report = events.fault("web", caught.value)

    assert tuple(report.fields) == EVENTS["supervise.fault"][2]
    assert (report.fields["owner"], report.fields["message"]) == (
        "web",
        "ValueError: invalid literal for int() with base 10: 'three'",
    )
    assert "test_events.py" in report.fields["traceback"]
    assert report.severity == "error"
