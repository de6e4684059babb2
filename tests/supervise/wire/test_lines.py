from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.wire import lines
from supervise.wire.lines import LineSplitter, LogRecord

# Few byte values, so that newlines, quotes and broken UTF-8 meet often.
BYTES = st.lists(
    st.sampled_from(
        [b"\n", b"a", b'"', b"\\", b"{", b"}", b"\t", b"\r", b"\x1b", b"\xc3\xa9", b"\xff"]
    )
).map(b"".join)
CHUNKS = st.lists(BYTES, max_size=8)


def split(chunks: list[bytes], limit: int = lines.LIMIT) -> list[bytes]:
    splitter = LineSplitter(limit)
    blocks = [block for chunk in chunks for block in splitter.feed(chunk)]
    return blocks + splitter.flush()


def records(blocks: list[bytes]) -> list[tuple[bytes, bool]]:
    return [
        (record.message, record.partial)
        for block in blocks
        for record in lines.records(block, 0.0, "web", "stdout", 1)
    ]


def pieces_by_definition(text: bytes, limit: int) -> list[tuple[bytes, bool]]:
    """Cut *text* the slow and obvious way: a line of more than *limit* bytes comes in pieces."""
    *whole, last = text.split(b"\n")
    found = []
    for line in whole:
        starts = range(0, len(line) or 1, limit)
        found += [(line[start : start + limit], start != starts[-1]) for start in starts]
    return found + [(last[start : start + limit], True) for start in range(0, len(last), limit)]


@given(CHUNKS, st.integers(1, 6))
def test_where_the_input_is_cut_does_not_change_the_records(
    chunks: list[bytes], limit: int
) -> None:
    """Splitting the input elsewhere yields the same records, also those of overlong lines."""
    assert records(split(chunks, limit)) == pieces_by_definition(b"".join(chunks), limit)


@given(CHUNKS, st.integers(1, 6))
def test_blocks_joined_are_the_input(chunks: list[bytes], limit: int) -> None:
    """Nothing is added, lost or moved, whatever the bytes are."""
    assert b"".join(split(chunks, limit)) == b"".join(chunks)


@given(CHUNKS, st.integers(1, 6))
def test_a_splitter_never_holds_more_than_its_limit(chunks: list[bytes], limit: int) -> None:
    """A service that never ends its line cannot make PID 1 grow."""
    splitter = LineSplitter(limit)

    for chunk in chunks:
        splitter.feed(chunk)
        assert splitter.held <= limit


def test_a_block_holds_all_the_whole_lines_of_a_chunk() -> None:
    splitter = LineSplitter()

    assert splitter.feed(b"one\ntwo\nthr") == [b"one\ntwo\n"]
    assert splitter.feed(b"ee\n") == [b"three\n"]


def test_a_line_of_exactly_the_limit_stays_whole() -> None:
    assert records(split([b"abcd", b"\n"], 4)) == [(b"abcd", False)]


def test_prefix_stands_before_each_line_and_bytes_pass_untouched() -> None:
    render = lines.prefix_renderer(b"web | ")

    assert render(b"a\r\n\n\x1b[1m\xff\r50%\r100%\n", 0.0, "stdout", 1) == (
        b"web | a\r\nweb | \nweb | \x1b[1m\xff\r50%\r100%\n"
    )


def test_a_piece_is_a_line_of_its_own_under_a_prefix() -> None:
    assert lines.prefix_renderer(b"web | ")(b"half", 0.0, "stdout", 1) == b"web | half\n"


def test_raw_is_byte_exact() -> None:
    block = b"\x00\xff\r\n"

    assert lines.render_raw(block, 0.0, "stdout", 1) is block


@given(CHUNKS)
def test_json_has_one_valid_object_for_each_record(chunks: list[bytes]) -> None:
    """Whatever is written comes out as valid JSON, one object a record, in order."""
    render = lines.json_renderer("web")
    out = b"".join(render(block, 12.5, "stderr", 7) for block in split(chunks))

    objects = [json.loads(line) for line in out.decode().splitlines()]

    expected = []
    for message, partial in records(split(chunks)):
        one: dict[str, object] = {
            "time": "1970-01-01T00:00:12.500000Z",
            "service": "web",
            "stream": "stderr",
            "pid": 7,
        }
        if message.rstrip() == b"{}" and not partial and message.startswith(b"{"):
            one["data"] = {}
        else:
            one["message"] = message.decode("utf-8", "backslashreplace")
        if partial:
            one["partial"] = True
        expected.append(one)
    assert objects == expected


@pytest.mark.parametrize("line", ['{"a": 1.10, "b": "é"}', "{}", '{"a": {"b": [null]}} \r'])
def test_a_json_object_is_nested_as_it_was_written(line: str) -> None:
    out = lines.json_renderer("web")(f"plain\n{line}\n".encode(), 0.0, "stdout", 1).decode()

    assert out.split("\n")[1].endswith(f'"pid":1,"data":{line}}}')
    assert json.loads(out.split("\n")[1])["data"] == json.loads(line)


@pytest.mark.parametrize(
    "line",
    [
        b"{not json}",
        b'{"a": NaN}',
        b'{"a": 1} trailing',
        b'{"a": "\xff"}',
        b'{"a": ' + b"[" * 20000 + b"]" * 20000 + b"}",
        '{"a": 1}'.encode("utf-16-le"),
    ],
)
def test_what_only_looks_like_a_json_object_is_a_message(line: bytes) -> None:
    out = json.loads(lines.json_renderer("web")(line + b"\n", 0.0, "stdout", 1))

    assert out["message"] == line.decode("utf-8", "backslashreplace")
    assert "data" not in out


@given(CHUNKS)
def test_logfmt_quotes_the_message_as_json_does(chunks: list[bytes]) -> None:
    """Each record is one line, and its message is a JSON string."""
    render = lines.logfmt_renderer("web")
    out = b"".join(render(block, 0.0, "stdout", 7) for block in split(chunks)).decode()

    messages = []
    for line in out.split("\n")[:-1]:
        head, _, rest = line.partition(" message=")
        assert head == "time=1970-01-01T00:00:00.000000Z service=web stream=stdout pid=7"
        messages.append(json.loads(rest.removesuffix(" partial=true")))
    assert messages == [
        message.decode("utf-8", "backslashreplace") for message, _ in records(split(chunks))
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("web", "web"),
        ("", '""'),
        ("a b", '"a b"'),
        ("a=b", '"a=b"'),
        ('say "x"', '"say \\"x\\""'),
        ("a\nb", '"a\\nb"'),
        (True, "true"),
        (None, "null"),
        (1.5, "1.5"),
    ],
)
def test_logfmt_values_are_bare_when_they_can_be(value: object, text: str) -> None:
    assert lines.logfmt_value(value) == text


@given(
    st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2999, 12, 31)),  # noqa: DTZ001
)
def test_utc_agrees_with_datetime(moment: dt.datetime) -> None:
    """The civil date computed by hand is the calendar's."""
    aware = moment.replace(tzinfo=dt.UTC)

    assert lines.utc(aware.timestamp()) == aware.strftime("%Y-%m-%dT%H:%M:%S.%fZ") or (
        # A float of that size has no exact microseconds.
        abs(dt.datetime.fromisoformat(lines.utc(aware.timestamp())) - aware).total_seconds() < 1e-5
    )


def test_lines_are_counted_for_what_is_lost() -> None:
    assert lines.count_lines(b"a\nb\n") == 2
    assert lines.count_lines(b"piece") == 1


def test_records_carry_where_they_came_from() -> None:
    assert lines.records(b"a\n", 1.5, "web", "stderr", 3) == [
        LogRecord(1.5, "web", "stderr", 3, b"a")
    ]
