from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervise.daemon.loop import Loop
from supervise.daemon.readiness.notifications import NotifySocket
from supervise.wire.notify import Notification
from tests.support.loops import running_loop, turn_for, turn_until

# The self-contained client of sd_notify(3), "Notes", with a barrier after it.
CLIENT = """
import array, os, socket
def connect():
    path = os.environ["NOTIFY_SOCKET"]
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    sock.connect("\\0" + path[1:] if path[0] == "@" else path)
    return sock
with connect() as sock:
    sock.sendall(b"READY=1\\nSTATUS=up")
read_fd, write_fd = os.pipe()
with connect() as sock:
    socket.send_fds(sock, [b"BARRIER=1"], [write_fd])
os.close(write_fd)
os.read(read_fd, 1)
"""

Heard = list[tuple[int, Notification]]


@contextlib.contextmanager
def listening(loop: Loop, directory: Path | None, heard: Heard) -> Iterator[NotifySocket]:
    notify = NotifySocket(
        loop,
        str(directory) if directory is not None else None,
        lambda pid, _uid, notification: heard.append((pid, notification)),
    )
    try:
        yield notify
    finally:
        notify.close()


def send(address: str, *messages: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        for message in messages:
            sock.send(message)


@pytest.fixture
def runtime_dir(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    return tmp_path


@pytest.mark.integration
@pytest.mark.parametrize("abstract", [True, False])
def test_client_of_the_manual_page_is_heard_and_let_go(
    *, abstract: bool, runtime_dir: Path
) -> None:
    heard: Heard = []
    with (
        running_loop() as loop,
        listening(loop, None if abstract else runtime_dir, heard) as notify,
    ):
        child = subprocess.Popen(
            [sys.executable, "-I", "-c", CLIENT], env={"NOTIFY_SOCKET": notify.address}
        )
        end = os.pidfd_open(child.pid)
        loop.watch(end, 1, lambda _events: loop.forget(end))

        turn_until(loop, lambda: child.poll() is not None)

        os.close(end)
        assert child.returncode == 0
        assert heard == [(child.pid, Notification(ready=True, status="up"))]


@pytest.mark.integration
def test_sender_still_exists_when_its_message_before_a_barrier_is_handed_on(
    runtime_dir: Path,
) -> None:
    alive: list[bool] = []
    with running_loop() as loop:
        notify = NotifySocket(
            loop,
            str(runtime_dir),
            lambda pid, _uid, _notification: alive.append(b"CLIENT\0" in proc_cmdline(pid)),
        )
        child = subprocess.Popen(
            [sys.executable, "-I", "-c", CLIENT, "CLIENT"], env={"NOTIFY_SOCKET": notify.address}
        )

        turn_until(loop, lambda: alive)
        while child.poll() is None:
            loop.call_later(0.01, lambda: None)
            loop.turn()

        notify.close()
        assert alive == [True]


def proc_cmdline(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_messages_keep_their_order() -> None:
    heard: Heard = []
    with running_loop() as loop, listening(loop, None, heard) as notify:
        send(notify.address, *(b"STATUS=%d" % n for n in range(5)))

        turn_until(loop, lambda: len(heard) == 5)

        assert [n.status for _, n in heard] == ["0", "1", "2", "3", "4"]
        assert {pid for pid, _ in heard} == {os.getpid()}


def test_messages_that_say_nothing_are_not_handed_on() -> None:
    heard: Heard = []
    with running_loop() as loop, listening(loop, None, heard) as notify:
        send(notify.address, b"", b"X_MINE=1", b"\xff\x00", b"BARRIER=1", b"READY=1")

        turn_until(loop, lambda: heard)

        assert [n for _, n in heard] == [Notification(ready=True)]


def test_fault_while_handling_a_message_costs_that_message_alone() -> None:
    faults: list[str] = []
    heard: list[str | None] = []

    def on_message(_pid: int, _uid: int, notification: Notification) -> None:
        heard.append(notification.status)
        if notification.status == "bad":
            raise RuntimeError("injected")

    loop = Loop(lambda owner, error: faults.append(f"{owner}: {error}"))
    notify = NotifySocket(loop, None, on_message)
    send(notify.address, b"STATUS=bad", b"STATUS=good")

    turn_until(loop, lambda: len(heard) == 2)

    notify.close()
    loop.close()
    assert heard == ["bad", "good"]
    assert faults == ["supervise: injected"]


def test_fault_of_the_socket_itself_is_outlived() -> None:
    heard: Heard = []
    with running_loop() as loop, listening(loop, None, heard) as notify:
        notify.abandon()
        send(notify.address, b"READY=1")

        turn_until(loop, lambda: heard)

        assert heard == [(os.getpid(), Notification(ready=True))]


def test_nothing_is_handed_on_after_close() -> None:
    heard: Heard = []
    with running_loop() as loop, listening(loop, None, heard) as notify:
        send(notify.address, b"READY=1")
        notify._readable(1)  # received, and waiting for the end of the turn
        notify.close()
        notify.close()
        turn_for(loop, 0.01)

    assert heard == []
