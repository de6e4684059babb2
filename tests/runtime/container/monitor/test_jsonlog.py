"""A container's log on disk: docker's lines, whatever the program writes."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.container.monitor.jsonlog import LONGEST_LINE, JsonLog
from runtime.model.container.spec import Logging

NOW = 1_700_000_000.25


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_a_record(tmp_path: Path) -> None:
    log = JsonLog(str(tmp_path), Logging())

    log.write("stdout", b"one\ntw", NOW)
    log.write("stderr", b"bad \xff\n", NOW)
    log.write("stdout", b"o\nrest", NOW)
    log.flush(NOW)

    time = "2023-11-14T22:13:20.25Z"
    assert lines(tmp_path / "log.json") == [
        {"log": "one\n", "stream": "stdout", "time": time},
        {"log": "bad \ufffd\n", "stream": "stderr", "time": time},
        {"log": "two\n", "stream": "stdout", "time": time},
        {"log": "rest", "stream": "stdout", "time": time},
    ]


def test_an_overlong_line_becomes_several(tmp_path: Path) -> None:
    log = JsonLog(str(tmp_path), Logging())

    log.write("stdout", b"x" * (2 * LONGEST_LINE + 5) + b"\nnext\n", NOW)

    found = [line["log"] for line in lines(tmp_path / "log.json")]
    assert [len(text) for text in found] == [LONGEST_LINE, LONGEST_LINE, 6, 5]
    assert found[-1] == "next\n"


@given(st.binary(max_size=200), st.integers(1, 20))
def test_nothing_is_lost_or_added(tmp_path_factory: Any, data: bytes, piece: int) -> None:
    """The texts of the records, put together, are what was written, wherever it was cut."""
    directory = tmp_path_factory.mktemp("log")
    log = JsonLog(str(directory), Logging())

    for at in range(0, len(data), piece):
        log.write("stdout", data[at : at + piece], NOW)
    log.flush(NOW)

    written = b"".join(
        line["log"].encode("utf-8", "surrogateescape") for line in lines(directory / "log.json")
    )
    whole = b"\n".join(part.decode(errors="replace").encode() for part in data.split(b"\n"))
    assert written == whole


def test_files_rotate_and_the_oldest_goes(tmp_path: Path) -> None:
    log = JsonLog(str(tmp_path), Logging(max_size=200, max_file=3))

    for number in range(12):
        log.write("stdout", f"{number:060d}\n".encode(), NOW)

    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["log.json", "log.json.1", "log.json.2"]
    newest = [int(line["log"]) for line in lines(tmp_path / "log.json")]
    assert newest[-1] == 11
    assert all(path.stat().st_size <= 200 for path in tmp_path.iterdir())


def test_a_single_file_starts_anew(tmp_path: Path) -> None:
    log = JsonLog(str(tmp_path), Logging(max_size=200, max_file=1))

    for number in range(5):
        log.write("stdout", f"{number:060d}\n".encode(), NOW)

    assert [path.name for path in tmp_path.iterdir()] == ["log.json"]
    assert int(lines(tmp_path / "log.json")[-1]["log"]) == 4


def test_a_log_that_cannot_be_written_is_counted(tmp_path: Path) -> None:
    log = JsonLog(str(tmp_path), Logging())
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, most[1]))
    try:
        log.write("stdout", b"one\ntwo\n", NOW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)

    assert log.lost == 2
    assert (tmp_path / "log.json").read_bytes() == b""


@pytest.mark.parametrize("kind", ["fifo", "directory", "link"])
def test_what_is_no_file_in_its_place_is_replaced(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "log.json"
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "directory":
        (place / "below").mkdir(parents=True)
    else:
        place.symlink_to("/dev/full")

    JsonLog(str(tmp_path), Logging()).write("stdout", b"one\n", NOW)

    assert [each["log"] for each in lines(place)] == ["one\n"]


def test_a_line_that_a_power_failure_cut_is_ended(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text('{"log":"on')

    JsonLog(str(tmp_path), Logging()).write("stdout", b"two\n", NOW)

    assert (tmp_path / "log.json").read_text().splitlines()[0] == '{"log":"on'
    assert json.loads((tmp_path / "log.json").read_text().splitlines()[1])["log"] == "two\n"


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    for text in (b"one\n", b"two\n"):
        log = JsonLog(str(tmp_path), Logging())
        log.write("stdout", text, NOW)
        log.close()

    assert [line["log"] for line in lines(tmp_path / "log.json")] == ["one\n", "two\n"]
