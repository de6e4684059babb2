from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervise.daemon.logs import sinks
from supervise.daemon.logs.console import Console, stream_of_path
from supervise.daemon.loop import Loop
from supervise.model.announcement import Announcement
from tests.support.loops import running_loop, turn_until
from tests.support.relaying import file_size_limit

BLOCK = b"x" * 999 + b"\n"


@pytest.fixture
def loop() -> Iterator[Loop]:
    with running_loop() as made:
        yield made


def nobody(_announcement: Announcement) -> None:
    """Announce to nobody."""


@contextlib.contextmanager
def outlet_to(loop: Loop, fd: int, announced: list[Announcement]) -> Iterator[sinks.Outlet]:
    outlet = sinks.open_outlet(loop, "stdout", fd, announced.append)
    yield outlet
    outlet.close()


def is_blocking(fd: int) -> bool:
    return not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK


def overfill(outlet: sinks.Outlet) -> int:
    """Write blocks until the outlet is full; return how many."""
    for count in range(10_000):
        if outlet.full:
            return count
        outlet.write(BLOCK, "web")
    raise AssertionError("it takes everything")


def test_a_pipe_takes_blocks_in_order_however_slowly_it_is_read(loop: Loop) -> None:
    read_fd, write_fd = os.pipe()
    with outlet_to(loop, write_fd, []) as outlet:
        written = [b"%d " % number + BLOCK for number in range(2000)]
        for block in written:
            outlet.write(block, "web")
        assert outlet.full

        got = b""
        while len(got) < sum(map(len, written)):
            got += os.read(read_fd, 30_000)
            loop._running = False
            loop.turn()

        assert got == b"".join(written)
        assert outlet.waiting == 0
    os.close(read_fd)
    os.close(write_fd)


def test_a_full_outlet_tells_when_there_is_room_again(loop: Loop) -> None:
    read_fd, write_fd = os.pipe()
    told: list[int] = []
    with outlet_to(loop, write_fd, []) as outlet:
        overfill(outlet)
        outlet.when_drained(lambda: told.append(outlet.waiting), None)

        def read_on() -> bool:
            os.read(read_fd, 30_000)
            return bool(told)

        turn_until(loop, read_on)

    assert told[0] < sinks.LOW
    os.close(read_fd)
    os.close(write_fd)


@pytest.mark.parametrize("kind", ["pipe", "socket", "terminal"])
def test_the_flags_of_a_shared_descriptor_stay_as_they_are(loop: Loop, kind: str) -> None:
    """O_NONBLOCK lives on the description that the services write to (corner case 28)."""
    if kind == "pipe":
        reader, writer = os.pipe()
    elif kind == "terminal":
        reader, writer = pty.openpty()
    else:
        ours, theirs = socket.socketpair()
        reader, writer = ours.detach(), theirs.detach()
    with outlet_to(loop, writer, []) as outlet:
        overfill(outlet)

        assert is_blocking(writer)
    os.close(reader)
    os.close(writer)


def test_a_socket_is_written_without_waiting(loop: Loop) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, outlet_to(loop, theirs.fileno(), []) as outlet:
        count = overfill(outlet)
        got = b""
        while len(got) < count * len(BLOCK):
            got += ours.recv(50_000)
            loop._running = False
            loop.turn()

        assert got == BLOCK * count


@pytest.mark.parametrize("nowait", [True, False])
def test_a_pipe_that_cannot_be_opened_again_does_not_block_either(loop: Loop, nowait: bool) -> None:
    read_fd, write_fd = os.pipe()
    send = sinks._careful_send(write_fd, is_pipe=nowait)
    outlet = sinks.Outlet(loop, "stdout", write_fd, send=send, announce=nobody)

    count = overfill(outlet)

    got = b""
    while len(got) < count * len(BLOCK):
        got += os.read(read_fd, 50_000)
        loop._running = False
        loop.turn()
    assert got == BLOCK * count
    assert is_blocking(write_fd)
    os.close(read_fd)
    os.close(write_fd)


def test_a_terminal_that_cannot_be_opened_again_does_not_block_either(loop: Loop) -> None:
    master, terminal = pty.openpty()
    send = sinks._careful_send(terminal, is_pipe=False)
    outlet = sinks.Outlet(loop, "stdout", terminal, send=send, announce=nobody)

    overfill(outlet)

    assert outlet.full
    outlet.abandon()
    os.close(master)
    os.close(terminal)


def test_a_regular_file_keeps_its_shared_offset(loop: Loop, tmp_path: Path) -> None:
    fd = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    with outlet_to(loop, fd, []) as outlet:
        outlet.write(b"one\n", "web")
        os.write(fd, b"two, by a service\n")
        outlet.write(b"three\n", "web")

    assert (tmp_path / "out").read_text() == "one\ntwo, by a service\nthree\n"
    os.close(fd)


def test_a_broken_pipe_is_said_once_and_counted(loop: Loop) -> None:
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    announced: list[Announcement] = []
    with outlet_to(loop, write_fd, announced) as outlet:
        for _ in range(3):
            outlet.write(b"a\nb\n", "web")
        loop.turn()

        assert outlet.trouble.lost == 6
    assert [a.name for a in announced] == ["log.file_failed"]
    assert announced[0].fields["message"] == "Broken pipe"
    os.close(write_fd)


def test_no_space_on_the_device_costs_lines_only(loop: Loop) -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    announced: list[Announcement] = []
    with outlet_to(loop, fd, announced) as outlet:
        outlet.write(b"a\nb\n", "web")
        loop.turn()

        assert outlet.waiting == 0
    assert announced[0].fields["message"] == "No space left on device"
    os.close(fd)


def test_after_a_failure_the_torn_line_is_ended_first(loop: Loop, tmp_path: Path) -> None:
    fd = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    announced: list[Announcement] = []
    with outlet_to(loop, fd, announced) as outlet:
        with file_size_limit(6):
            outlet.write(b"one\n", "web")
            outlet.write(b"torn\n", "web")
            outlet.write(b"lost\n", "web")
        outlet.write(b"whole\n", "web")
        loop.turn()

    assert (tmp_path / "out").read_text() == "one\nto\nwhole\n"
    assert [a.name for a in announced] == ["log.file_failed", "log.file_recovered"]
    assert announced[1].fields["lost"] == 2
    os.close(fd)


def test_a_descriptor_that_was_never_open_is_survived(loop: Loop) -> None:
    announced: list[Announcement] = []
    outlet = sinks.open_outlet(loop, "stdout", 1_000_000, announced.append)

    outlet.write(b"a\n", "web")
    outlet.finish(loop.now() + 1)
    loop.turn()

    assert announced[0].fields["message"] == "Bad file descriptor"


def test_events_find_room_where_services_do_not(loop: Loop) -> None:
    read_fd, write_fd = os.pipe()
    with outlet_to(loop, write_fd, []) as outlet:
        overfill(outlet)

        accepted = 0
        while outlet.offer(b"event\n", "supervise"):
            accepted += 1

        assert accepted * 6 >= sinks.EVENT_RESERVE - len(BLOCK)
        assert outlet.waiting < sinks.HIGH + sinks.EVENT_RESERVE + len(BLOCK)
    os.close(read_fd)
    os.close(write_fd)


def test_a_fault_in_an_outlet_wakes_those_who_wait_and_leaves_it_usable(loop: Loop) -> None:
    read_fd, write_fd = os.pipe()
    told: list[bool] = []
    with outlet_to(loop, write_fd, []) as outlet:
        overfill(outlet)
        outlet.when_drained(lambda: told.append(True), None)

        outlet.abandon()
        turn_until(loop, lambda: told)

        assert outlet.waiting == 0
        os.set_blocking(read_fd, False)
        with contextlib.suppress(BlockingIOError):
            while os.read(read_fd, 1 << 20):
                continue
        outlet.write(b"on we go\n", "web")
        assert os.read(read_fd, 100) == b"on we go\n"
    os.close(read_fd)
    os.close(write_fd)


def test_one_file_behind_both_descriptors_has_one_outlet(loop: Loop) -> None:
    read_fd, write_fd = os.pipe()
    other_read, other_write = os.pipe()

    same = Console(loop, write_fd, write_fd, {})
    different = Console(loop, write_fd, other_write, {})

    assert same.outlet("stdout") is same.outlet("stderr")
    assert different.outlet("stdout") is not different.outlet("stderr")
    for console in (same, different):
        console.close()
    for fd in (read_fd, write_fd, other_read, other_write):
        os.close(fd)


def test_paths_of_the_console(tmp_path: Path) -> None:
    os.symlink("link2", tmp_path / "link1")
    os.symlink("/dev/stderr", tmp_path / "link2")
    os.symlink("loop", tmp_path / "loop")

    assert stream_of_path("/dev/stdout") == "stdout"
    assert stream_of_path(str(tmp_path / "link1")) == "stderr"
    assert stream_of_path(str(tmp_path / "loop")) is None
    assert stream_of_path("/var/log/web.log") is None
