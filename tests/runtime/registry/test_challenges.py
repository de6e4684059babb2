"""WWW-Authenticate: text in, challenges out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.registry.challenges import Challenge, parse


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], ()),
        (['Basic realm="x"'], (Challenge("basic", {"realm": "x"}),)),
        (["basic"], (Challenge("basic", {}),)),
        (
            ['Bearer realm="https://a/t",service="s",scope="repository:a/b:pull,push"'],
            (
                Challenge(
                    "bearer",
                    {
                        "realm": "https://a/t",
                        "service": "s",
                        "scope": "repository:a/b:pull,push",
                    },
                ),
            ),
        ),
        (
            ['Bearer realm="a", error=invalid_token, Basic realm="b"'],
            (
                Challenge("bearer", {"realm": "a", "error": "invalid_token"}),
                Challenge("basic", {"realm": "b"}),
            ),
        ),
        (
            ["Negotiate", 'Basic realm="b"'],
            (Challenge("negotiate", {}), Challenge("basic", {"realm": "b"})),
        ),
        (['Bearer realm="a\\"b\\\\c"'], (Challenge("bearer", {"realm": 'a"b\\c'}),)),
        (["BEARER  Realm = x"], (Challenge("bearer", {"realm": "x"}),)),
        (['realm="x"'], ()),
        (['Bearer realm="never ends'], (Challenge("bearer", {}), Challenge("realm", {}))),
    ],
)
def test_a_header_says_what_is_asked_for(
    headers: list[str], expected: tuple[Challenge, ...]
) -> None:
    found = parse(headers)

    assert found[: len(expected)] == expected


@given(st.lists(st.text(max_size=60), max_size=3))
def test_nothing_that_a_server_sends_raises(headers: list[str]) -> None:
    """Any text gives challenges with a lower-case scheme, or none."""
    assert all(one.scheme == one.scheme.lower() for one in parse(headers))
