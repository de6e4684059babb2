"""The keys that leave a container running."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.container.attach import Keys, parse_keys

SEQUENCE = b"\x10\x11"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("a,b", b"ab"),
        ("ctrl-@,ctrl-[,ctrl-_", b"\x00\x1b\x1f"),
        ("", b""),
    ],
)
def test_keys_are_written_as_docker_has_them(text: str, keys: bytes) -> None:
    assert parse_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-1", "ctrl-P", "strg-p", "aa", "ä"])
def test_a_key_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no key"):
        parse_keys(text)


def test_the_sequence_is_found_across_reads() -> None:
    keys = Keys(SEQUENCE)

    assert keys.feed(b"ls\x10") == (b"ls", False)
    assert keys.feed(b"\x11") == (b"", True)


def test_what_only_begins_like_it_is_passed_on() -> None:
    keys = Keys(SEQUENCE)

    assert keys.feed(b"\x10") == (b"", False)
    assert keys.feed(b"x") == (b"\x10x", False)
    assert keys.feed(b"\x10\x10\x11") == (b"\x10", True)


def test_without_keys_everything_is_passed_on() -> None:
    assert Keys(b"").feed(SEQUENCE) == (SEQUENCE, False)


@given(st.lists(st.sampled_from([b"\x10", b"\x11", b"a"]), max_size=20))
def test_keys_are_found_as_in_the_whole_text(typed: list[bytes]) -> None:
    """Key by key, the sequence is found where it stands in the text, and what came before it
    is passed on.
    """
    text, keys, passed, left = b"".join(typed), Keys(SEQUENCE), b"", False
    for key in typed:
        out, left = keys.feed(key)
        passed += out
        if left:
            break

    before, found, _ = text.partition(SEQUENCE)
    assert left == bool(found)
    if found:
        assert passed == before
    else:
        assert text.startswith(passed)
        assert len(text) - len(passed) <= 1
