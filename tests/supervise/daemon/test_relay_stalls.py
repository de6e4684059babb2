"""What happens to services, and to us, when nobody reads the console."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from supervise.daemon.logs import channel, sinks
from supervise.model.announcement import Announcement
from supervise.model.service import LogFormat, LogSettings, OnStall
from tests.support.loops import turn_for, turn_until
from tests.support.relaying import Stage, staged


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


def started(name: str = "web") -> Announcement:
    return Announcement("service.started", {"service": name, "pid": 12})


def fill(stage: Stage, write_fd: int) -> int:
    """Write lines until the relay says that they have nowhere to go; return how many bytes."""
    os.set_blocking(write_fd, False)
    line = b"x" * 99 + b"\n"
    written = 0
    while not stage.relay.is_stalled("web"):
        try:
            written += os.write(write_fd, line * 40)
        except BlockingIOError:
            turn_for(stage.loop, 0.001)
    return written


def test_block_stops_reading_that_service_and_loses_nothing(stage: Stage) -> None:
    stage.configure(web=LogSettings(format=LogFormat.LOGFMT, on_stall=OnStall.BLOCK))
    write_fd = stage.pipe("web")
    written = fill(stage, write_fd)
    assert stage.relay.is_stalled("web")
    os.close(write_fd)

    got = b""
    while stage.relay._channels["web"].sources or stage.console.outlet("stdout").waiting:
        got += stage.read()
        stage.poll()
    got += stage.read()

    assert got.count(b"x" * 99) == written / 100
    assert not stage.relay.is_stalled("web")
    assert stage.names() == []


@pytest.mark.parametrize("alive", [False, True], ids=["dead", "held by a daemon"])
def test_last_words_of_a_removed_service_wait_for_a_slow_reader(
    stage: Stage, *, alive: bool
) -> None:
    stage.configure(web=LogSettings(format=LogFormat.RAW, on_stall=OnStall.BLOCK))
    write_fd = stage.pipe("web")
    written = fill(stage, write_fd)
    if not alive:
        os.close(write_fd)

    stage.relay.forget("web")
    got = b""
    while stage.relay._leaving or stage.console.outlet("stdout").waiting:
        got += stage.read()
        stage.poll()
    got += stage.read()

    assert len(got) == written
    assert stage.relay._channels == {}
    if alive:
        with pytest.raises(BrokenPipeError):
            os.write(write_fd, b"x")
        os.close(write_fd)


def test_block_keeps_memory_bounded(stage: Stage) -> None:
    stage.configure(web=LogSettings())
    write_fd = stage.pipe("web")

    fill(stage, write_fd)

    assert stage.console.outlet("stdout").waiting < sinks.HIGH + 2 * channel.CHUNK
    os.close(write_fd)


def test_drop_reads_on_and_says_how_many_lines_are_gone(stage: Stage) -> None:
    stage.configure(web=LogSettings(on_stall=OnStall.DROP))
    write_fd = stage.pipe("web")
    written = fill(stage, write_fd)
    for _ in range(20):  # a pipe's worth each: it is being read although nobody takes it
        written += os.write(write_fd, (b"y" * 99 + b"\n") * 600)
        turn_for(stage.loop, 0.001)
    os.close(write_fd)

    got = b""
    while "log.dropped" not in stage.names():
        got += stage.read()
        stage.poll()
    while more := stage.read():
        got += more
        stage.poll()

    (dropped,) = stage.announcements
    assert dropped.fields["service"] == "web"
    assert got.count(b"\n") + dropped.fields["lines"] == written / 100
    assert b"Dropped %d lines of web\n" % dropped.fields["lines"] in stage.read("stderr")
    assert not stage.relay.is_stalled("web")


def test_a_stalled_stdout_does_not_stop_a_service_with_a_file(
    stage: Stage, tmp_path: os.PathLike[str]
) -> None:
    path = os.path.join(tmp_path, "db.log")
    stage.configure(web=LogSettings(), db=LogSettings(file=path))
    write_fd = stage.pipe("web")
    fill(stage, write_fd)

    stage.say("db", b"hello\n")

    with open(path) as file:
        assert file.read() == "db        | hello\n"
    os.close(write_fd)


def test_our_events_do_not_wait_for_anybody(stage: Stage) -> None:
    for _ in range(20_000):
        stage.relay.event(started(), 0.0)
    assert stage.console.outlet("stderr").waiting < sinks.HIGH + 2 * sinks.EVENT_RESERVE

    got = b""
    while "log.dropped" not in stage.names():
        got += stage.read("stderr")
        stage.poll()
    while more := stage.read("stderr"):
        got += more
        stage.poll()

    lost = stage.announcements[0].fields["lines"]
    assert stage.announcements[0].fields["service"] == "supervise"
    assert got.count(b"Started web") == 20_000 - lost
    assert b"Dropped %d lines of supervise\n" % lost in got


def test_a_closed_stdout_loses_lines_and_nothing_else(stage: Stage) -> None:
    stage.configure(web=LogSettings())
    stage.close_reader()

    stage.say("web", b"one\n")
    stage.say("web", b"two\n")
    stage.poll()

    assert stage.names() == ["log.file_failed"]
    assert stage.announcements[0].fields == {
        "service": "web",
        "file": "stdout",
        "message": "Broken pipe",
    }
    assert b"Cannot write 'stdout' for web: Broken pipe" in stage.read("stderr")
    assert [record.message for record in stage.relay.tail(["web"])] == [b"one", b"two"]


def test_timers_are_on_time_while_services_shout_at_a_reader_that_sleeps(stage: Stage) -> None:
    stage.configure(web=LogSettings(), loud=LogSettings(on_stall=OnStall.DROP))
    shouting = []
    for name in ("web", "loud"):
        read_fd, write_fd = os.pipe()
        stage.relay.adopt(name, "stdout", 1, read_fd)
        shouting.append(subprocess.Popen(["yes", "x" * 99], stdout=write_fd))
        os.close(write_fd)
    late: list[float] = []

    def tick(due: float) -> None:
        late.append(stage.loop.now() - due)
        if len(late) < 40:
            due = stage.loop.now() + 0.02
            stage.loop.call_at(due, lambda: tick(due))

    tick(stage.loop.now())
    turn_until(stage.loop, lambda: len(late) == 40)

    for process in shouting:
        process.kill()
        process.wait()
    assert sorted(late)[len(late) // 2] < 0.05
    assert stage.relay.is_stalled("web")
    assert stage.relay.is_stalled("loud")
    assert stage.console.outlet("stdout").waiting < sinks.HIGH + 4 * channel.CHUNK


# -- the end


def test_finish_delivers_what_is_left(stage: Stage) -> None:
    stage.configure(web=LogSettings())
    write_fd = stage.pipe("web")
    os.write(write_fd, b"one\nunfinished")

    stage.relay.finish(stage.loop.now() + 5)

    assert stage.read() == b"web       | one\nweb       | unfinished\n"
    os.close(write_fd)


def test_finish_gives_up_at_its_deadline(stage: Stage) -> None:
    stage.configure(web=LogSettings())
    write_fd = stage.pipe("web")
    fill(stage, write_fd)
    began = stage.loop.now()

    stage.relay.finish(began + 0.2)

    assert 0.15 < stage.loop.now() - began < 2.0
    os.close(write_fd)


def test_finish_waits_for_a_slow_reader(stage: Stage) -> None:
    stage.configure(web=LogSettings())
    write_fd = stage.pipe("web")
    written = fill(stage, write_fd)
    os.close(write_fd)
    read_fd = stage._read["stdout"]
    slow = f"""import os
n = 0
while n < {written // 100}:
    n += os.read(0, 4096).count(10)
"""
    os.set_blocking(read_fd, True)
    reader = subprocess.Popen([sys.executable, "-c", slow], stdin=read_fd)

    stage.relay.finish(stage.loop.now() + 20)

    assert reader.wait(20) == 0


def test_sigpipe_stays_ignored_in_this_process() -> None:
    """Python's default, on which EPIPE instead of death depends (corner case 35)."""
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN
