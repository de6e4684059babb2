from __future__ import annotations

import re

import pytest

from supervise.model.announcement import EVENTS, Announcement


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_event_of_the_catalogue_is_well_formed(name: str) -> None:
    severity, sentence, fields = EVENTS[name]

    assert re.fullmatch(r"[a-z]+\.[a-z_]+", name)
    assert severity in {"debug", "info", "warning", "error"}
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert len(set(fields)) == len(fields)


def test_severity_is_that_of_the_catalogue() -> None:
    assert Announcement("service.failed", {"service": "web", "reason": "x"}).severity == "error"


def test_name_outside_the_catalogue_has_no_severity() -> None:
    with pytest.raises(KeyError):
        _ = Announcement("service.exploded", {}).severity
