"""Varlink framing and messages: bytes in, values out."""

from __future__ import annotations

import json
import tracemalloc
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.wire import varlink
from supervise.wire.varlink import Call, Frames, ProtocolError, Reply

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip
OBJECTS = st.dictionaries(st.text(), JSON, max_size=4)
WELL_FORMED = st.text(st.characters(exclude_categories=["Cs"]))


def split(stream: bytes, cuts: list[int], limit: int = varlink.MAX_MESSAGE) -> list[bytes]:
    frames = Frames(limit)
    found = []
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    for start, end in pairwise(places):
        frames.feed(stream[start:end])
        while (message := frames.next()) is not None:
            found.append(message)
    return found


@given(
    st.lists(st.binary().map(lambda b: b.replace(b"\0", b"")), max_size=5),
    st.lists(st.integers(0, 10_000), max_size=8),
)
def test_cutting_the_stream_elsewhere_yields_the_same_messages(
    messages: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(message + b"\0" for message in messages)

    assert split(stream, cuts) == messages


def test_an_unfinished_message_stays() -> None:
    frames = Frames()

    frames.feed(b'{"method":')

    assert frames.next() is None
    assert len(frames) == 10


@pytest.mark.parametrize("tail", [b"", b"\0", b"\0x"])
def test_a_message_beyond_the_limit_is_refused_finished_or_not(tail: bytes) -> None:
    frames = Frames(limit=10)

    frames.feed(b"x" * 11 + tail)

    with pytest.raises(ProtocolError, match="longer than 10 bytes"):
        frames.next()


def test_a_message_of_the_limit_is_accepted() -> None:
    frames = Frames(limit=10)

    frames.feed(b"x" * 10 + b"\0" + b"y" * 10 + b"\0")

    assert [frames.next(), frames.next(), frames.next()] == [b"x" * 10, b"y" * 10, None]


@given(st.text(), OBJECTS, st.booleans(), st.booleans(), st.booleans())
def test_decoding_a_call_gives_back_what_was_encoded(
    method: str, parameters: dict[str, Any], more: bool, oneway: bool, upgrade: bool
) -> None:
    call = Call(_clean(method), _clean(parameters), more, oneway, upgrade)

    encoded = varlink.encode_call(call)

    assert encoded.count(b"\0") == 1
    assert varlink.decode_call(encoded[:-1]) == call


@given(OBJECTS, st.booleans())
def test_decoding_a_reply_gives_back_what_was_encoded(
    parameters: dict[str, Any], continues: bool
) -> None:
    encoded = varlink.encode_reply(_clean(parameters), continues=continues)

    assert varlink.decode_reply(encoded[:-1]) == Reply(_clean(parameters), continues)


def test_an_error_keeps_its_name_and_parameters() -> None:
    encoded = varlink.encode_error("a.b.Wrong", {"why": "so"})

    assert varlink.decode_reply(encoded[:-1]) == Reply({"why": "so"}, False, "a.b.Wrong")


def test_lone_surrogates_never_reach_the_wire() -> None:
    encoded = varlink.encode_reply({"text": "gr\udcfcn"})

    assert json.loads(encoded[:-1].decode()) == {"parameters": {"text": "gr?n"}}


def test_null_parameters_and_flags_count_as_absent() -> None:
    message = b'{"method":"a.b.C","parameters":null,"more":null,"oneway":false}'

    assert varlink.decode_call(message) == Call("a.b.C")


def test_a_call_knows_its_interface_and_name() -> None:
    call = Call("org.varlink.service.GetInfo")

    assert (call.interface, call.name) == ("org.varlink.service", "GetInfo")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe{\x00",
        b'{"method":1}',
        b'{"parameters":{}}',
        b'{"method":"a.b.C","parameters":[]}',
        b'{"method":"a.b.C","more":"yes"}',
        b'{"method":"a.b.C","more":1}',
        b'{"method":"a.b.C","parameters":{"x":NaN}}',
        b'{"method":"a.b.C","parameters":{"x":-Infinity}}',
        b'{"method":"a.b.C","parameters":{"x":' + b"9" * 5000 + b"}}",
        b"[" * 1_000_000,
        b'{"a":' * 30_000,
        b'{"method":"a.b.C","parameters":{"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}}",
        b'{"method":"a.b.C","parameters":[' + b"0," * 40_000 + b"0]}",
    ],
    ids=lambda message: repr(message[:40]),
)
def test_what_is_no_call_is_refused(message: bytes) -> None:
    with pytest.raises(ProtocolError):
        varlink.decode_call(message)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_protocol_error(message: bytes) -> None:
    for decode in (varlink.decode_call, varlink.decode_reply):
        try:
            decode(message)
        except ProtocolError:
            continue


def test_a_hostile_megabyte_costs_a_few_megabytes() -> None:
    message = b'{"method":"a.b.C","parameters":{"x":[' + b"{},".join([b""] * 340_000) + b"{}]}}"
    tracemalloc.start()

    with pytest.raises(ProtocolError, match="values"):
        varlink.decode_call(message)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000


def _clean(value: Any) -> Any:
    """Return *value* without lone surrogates, which cannot be sent."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return value
