from __future__ import annotations

import json
import os
import pty
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervise.daemon.logs.console import Console
from supervise.daemon.logs.relay import LogRelay
from supervise.daemon.loop import Loop
from supervise.model.announcement import Announcement
from supervise.model.service import LogFormat, LogSettings
from supervise.wire.lines import LogRecord
from tests.support.loops import running_loop, turn_until
from tests.support.relaying import Stage, specs, staged


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


def started(name: str = "web") -> Announcement:
    return Announcement("service.started", {"service": name, "pid": 12})


# -- the console


def test_prefixes_are_aligned_to_the_longest_name(stage: Stage) -> None:
    stage.configure(web=LogSettings(), **{"postgres-db": LogSettings()})

    stage.say("web", b"hello\n")
    stage.say("postgres-db", b"ready\n")

    assert stage.read() == b"web         | hello\npostgres-db | ready\n"


def test_our_own_name_takes_part_in_the_alignment(stage: Stage) -> None:
    stage.configure(web=LogSettings())

    stage.say("web", b"hello\n")
    stage.relay.event(started(), 0.0)

    assert stage.read() == b"web       | hello\n"
    assert stage.read("stderr") == b"supervise | Started web (pid 12)\n"


def test_stderr_of_a_service_goes_to_stderr(stage: Stage) -> None:
    stage.configure(web=LogSettings())

    stage.say("web", b"oops\n", "stderr")

    assert stage.read("stderr") == b"web       | oops\n"
    assert stage.read() == b""


def test_debug_events_are_not_shown(stage: Stage) -> None:
    stage.relay.event(Announcement("service.starting", {"service": "web"}), 0.0)

    assert stage.read("stderr") == b""


@pytest.mark.parametrize(
    ("form", "line"),
    [
        (LogFormat.RAW, b"supervise: Started web (pid 12)\n"),
        (LogFormat.LOGFMT, b"time=1970-01-01T00:00:00.000000Z service=web event=service.started "),
        (LogFormat.JSON, b'{"time":"1970-01-01T00:00:00.000000Z","service":"web",'),
    ],
)
def test_events_have_the_format_of_the_plan(stage: Stage, form: LogFormat, line: bytes) -> None:
    stage.relay.configure({}, event_format=form)

    stage.relay.event(started(), 0.0)

    assert stage.read("stderr").startswith(line)


def test_json_and_prefix_live_side_by_side(stage: Stage) -> None:
    stage.configure(web=LogSettings(format=LogFormat.JSON), db=LogSettings())

    stage.say("web", b'{"level": "info"}\n', pid=44)
    stage.say("db", b"hello\n")

    first, second = stage.read().splitlines()
    assert json.loads(first)["data"] == {"level": "info"}
    assert json.loads(first)["pid"] == 44
    assert second == b"db        | hello"


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        ({}, True),
        ({"TERM": "xterm"}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    environment: dict[str, str], coloured: bool
) -> None:
    with running_loop() as loop:
        master, terminal = pty.openpty()
        console = Console(loop, terminal, terminal, environment)
        relay = LogRelay(loop, console, lambda _: None)
        relay.configure(specs(web=LogSettings()))

        relay.event(started(), 0.0)

        shown = os.read(master, 4096)
        assert (b"\x1b[" in shown) is coloured
        assert shown.endswith(b"Started web (pid 12)\r\n")
        console.close()
        os.close(master)
        os.close(terminal)


def test_a_colour_stays_with_its_name_and_starts_from_a_reset() -> None:
    with running_loop() as loop:
        master, terminal = pty.openpty()
        console = Console(loop, terminal, terminal, {})
        relay = LogRelay(loop, console, lambda _: None)
        relay.configure(specs(web=LogSettings(), db=LogSettings()))
        shown = []
        for name in ("web", "db", "web"):
            read_fd, write_fd = os.pipe()
            relay.adopt(name, "stdout", 1, read_fd)
            os.write(write_fd, b"x\n")
            os.close(write_fd)
            turn_until(loop, lambda: not relay._channels[name].sources)  # noqa: B023
            shown.append(os.read(master, 4096))

        assert shown[0] == shown[2]
        assert shown[0].startswith(b"\x1b[0;")
        assert shown[0][:6] != shown[1][:6]
        console.close()
        os.close(master)
        os.close(terminal)


@pytest.mark.parametrize(
    ("logs", "wanted"),
    [
        (LogSettings(), True),
        (LogSettings(format=LogFormat.JSON), True),
        (LogSettings(format=LogFormat.RAW), False),
        (LogSettings(format=LogFormat.RAW, file="/var/log/x.log"), True),
    ],
)
def test_raw_without_a_file_needs_no_pipe(stage: Stage, logs: LogSettings, wanted: bool) -> None:
    assert stage.relay.wants_pipe(specs(web=logs)["web"]) is wanted


@pytest.mark.parametrize("path", ["/dev/stderr", "/dev/fd/2", "/proc/self/fd/2"])
def test_a_file_named_stderr_is_the_console(stage: Stage, path: str) -> None:
    stage.configure(web=LogSettings(file=path))

    stage.say("web", b"hello\n")

    assert stage.read("stderr") == b"web       | hello\n"


def test_a_link_to_stdout_is_the_console(stage: Stage, tmp_path: os.PathLike[str]) -> None:
    link = os.path.join(tmp_path, "access.log")
    os.symlink("/dev/stdout", link)
    stage.configure(web=LogSettings(file=link))

    stage.say("web", b"hello\n", "stderr")

    assert stage.read() == b"web       | hello\n"


# -- pipes and their ends


def test_an_unfinished_line_is_written_at_the_end_of_file(stage: Stage) -> None:
    stage.configure(web=LogSettings())

    stage.say("web", b"one\ntwo")

    assert stage.read() == b"web       | one\nweb       | two\n"


def test_last_words_come_before_the_exit_even_when_an_orphan_holds_the_pipe(stage: Stage) -> None:
    stage.configure(web=LogSettings())
    write_fd = stage.pipe("web")
    os.write(write_fd, b"whole\nunfinished")

    stage.relay.drain("web")

    assert stage.read() == b"web       | whole\nweb       | unfinished\n"
    os.close(write_fd)


def test_an_orphan_is_heard_after_the_process_is_dead(stage: Stage) -> None:
    stage.configure(web=LogSettings())
    orphans = stage.pipe("web", pid=1)
    stage.relay.drain("web")
    successors = stage.pipe("web", pid=2)

    os.write(orphans, b"from the orphan\n")
    os.write(successors, b"from the successor\n")
    turn_until(stage.loop, lambda: len(stage.relay.tail(["web"])) == 2)

    assert {(r.pid, r.message) for r in stage.relay.tail(["web"])} == {
        (1, b"from the orphan"),
        (2, b"from the successor"),
    }
    os.close(orphans)
    os.close(successors)


def test_draining_reads_no_more_than_a_pipe_holds(stage: Stage) -> None:
    """A writer that never stops must not keep the reaper."""
    stage.configure(web=LogSettings(format=LogFormat.JSON, file="/dev/null"))
    read_fd, write_fd = os.pipe()
    stage.relay.adopt("web", "stdout", 1, read_fd)
    endless = subprocess.Popen(["yes"], stdout=write_fd)
    os.close(write_fd)

    stage.relay.drain("web")  # returns

    endless.kill()
    endless.wait()


def test_a_forgotten_service_leaves_its_last_words_and_nothing_else(stage: Stage) -> None:
    stage.configure(web=LogSettings())
    write_fd = stage.pipe("web")
    os.write(write_fd, b"bye")

    stage.relay.forget("web")

    assert stage.read() == b"web       | bye\n"
    assert stage.relay.tail(["web"]) == []
    with pytest.raises(BrokenPipeError):
        os.write(write_fd, b"x")
    os.close(write_fd)


def test_a_file_goes_with_the_last_service_that_writes_to_it(stage: Stage, tmp_path: Path) -> None:
    shared = LogSettings(file=str(tmp_path / "shared"))
    stage.configure(web=shared, db=shared)
    stage.say("web", b"one\n")
    stage.relay.forget("web")
    stage.say("db", b"two\n")

    stage.relay.forget("db")

    assert (tmp_path / "shared").read_bytes() == b"web       | one\ndb        | two\n"
    assert (stage.relay._files, stage.relay._real_paths) == ({}, {})


def test_who_follows_a_removed_service_hears_its_successor_of_that_name(stage: Stage) -> None:
    heard: list[bytes] = []
    stage.configure(web=LogSettings())
    cancel = stage.relay.follow(["web"], lambda record: heard.append(record.message))
    stage.relay.forget("web")

    stage.configure(web=LogSettings())
    stage.say("web", b"again\n")
    turn_until(stage.loop, lambda: heard)
    stage.relay.forget("web")
    cancel()

    assert heard == [b"again"]
    assert stage.relay._channels == {}


def test_a_fault_of_ours_costs_the_stream_and_not_the_service() -> None:
    faults: list[str] = []
    loop = Loop(lambda owner, _error: faults.append(owner))
    read_fd, write_fd = os.pipe()
    null = os.open("/dev/null", os.O_WRONLY)
    relay = LogRelay(loop, Console(loop, null, null, {}), lambda _: None)
    relay.adopt("web", "stdout", 1, read_fd)
    relay._channels["web"].ring = None  # type: ignore[assignment]

    for _ in range(50):  # far more than the pipe holds: it is read on, and thrown away
        os.write(write_fd, b"x\n" * 16_384)
        loop.turn()
        loop.turn()

    assert faults == ["log of web"]
    os.close(write_fd)
    loop.turn()
    loop.close()
    os.close(null)
    relay._console.close()


# -- rings and followers


def test_tail_merges_services_by_time_and_takes_the_newest(stage: Stage) -> None:
    stage.configure(web=LogSettings(), db=LogSettings())
    for number in range(3):
        stage.say("web", b"web %d\n" % number)
        stage.say("db", b"db %d\n" % number)

    messages = [record.message for record in stage.relay.tail(["web", "db"], lines=3)]

    assert messages == [b"db 1", b"web 2", b"db 2"]
    assert stage.relay.tail(["web", "db"], lines=0) == []
    assert len(stage.relay.tail(["web"])) == 3
    assert stage.relay.tail(["nobody"]) == []


def test_tail_since_a_moment(stage: Stage) -> None:
    stage.configure(web=LogSettings())
    stage.say("web", b"old\n")
    moment = time.time()
    stage.say("web", b"new\n")

    assert [record.message for record in stage.relay.tail(["web"], since=moment)] == [b"new"]


def test_a_ring_survives_a_new_configuration(stage: Stage) -> None:
    stage.configure(web=LogSettings())
    stage.say("web", b"before\n")

    stage.configure(
        web=LogSettings(format=LogFormat.LOGFMT), **{"a-much-longer-name": LogSettings()}
    )
    stage.say("web", b"after\n")

    assert [record.message for record in stage.relay.tail(["web"])] == [b"before", b"after"]
    assert b'message="after"' in stage.read()


def test_followers_hear_what_comes_until_they_cancel(stage: Stage) -> None:
    stage.configure(web=LogSettings(), db=LogSettings())
    heard: list[LogRecord] = []
    cancel = stage.relay.follow(["web"], heard.append)

    stage.say("db", b"not for us\n")
    stage.say("web", b"one\ntwo\n", pid=5)
    cancel()
    stage.say("web", b"three\n")
    cancel()

    assert [(r.service, r.pid, r.message) for r in heard] == [
        ("web", 5, b"one"),
        ("web", 5, b"two"),
    ]


def test_a_follower_may_come_before_the_first_line_ever(stage: Stage) -> None:
    stage.configure(web=LogSettings())
    heard: list[LogRecord] = []
    stage.relay.follow(["web"], heard.append)

    stage.say("web", b"one\n")

    assert [record.message for record in heard] == [b"one"]
