from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervise.linux import notifysocket
from supervise.linux.notifysocket import BoundSocket, NotifyMessage
from tests.support import descriptors


@contextlib.contextmanager
def bound_in(directory: Path | None) -> Iterator[BoundSocket]:
    bound = notifysocket.bind(str(directory) if directory is not None else None)
    try:
        yield bound
    finally:
        notifysocket.close(bound)


def client(address: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.connect("\0" + address[1:] if address.startswith("@") else address)
    return sock


def me(data: bytes) -> NotifyMessage:
    return NotifyMessage(data, os.getpid(), os.getuid(), os.getgid())


@pytest.fixture
def runtime_dir(tmp_path: Path) -> Path:
    """A directory that other users can reach into, as /run/supervise is."""
    tmp_path.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("abstract", [True, False])
def test_message_comes_with_its_sender(*, abstract: bool, runtime_dir: Path) -> None:
    with bound_in(None if abstract else runtime_dir) as bound, client(bound.address) as sender:
        sender.send(b"READY=1")

        assert notifysocket.receive(bound) == me(b"READY=1")
        assert notifysocket.receive(bound) is None


def test_socket_lies_in_the_directory_and_all_may_write(runtime_dir: Path) -> None:
    with bound_in(runtime_dir) as bound:
        assert bound.address == str(runtime_dir / "notify")
        assert stat.S_IMODE(os.stat(bound.address).st_mode) == 0o666

    assert not (runtime_dir / "notify").exists()


def test_close_does_not_mind_a_removed_file(runtime_dir: Path) -> None:
    with bound_in(runtime_dir):
        (runtime_dir / "notify").unlink()


def test_remains_of_a_killed_supervisor_are_replaced(runtime_dir: Path) -> None:
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    dead.bind(str(runtime_dir / "notify"))
    dead.close()

    with bound_in(runtime_dir) as bound, client(bound.address) as sender:
        sender.send(b"READY=1")

        assert notifysocket.receive(bound) == me(b"READY=1")


def test_another_supervisors_socket_is_left_alone(runtime_dir: Path) -> None:
    with bound_in(runtime_dir) as first, bound_in(runtime_dir) as second:
        assert second.address.startswith("@")
        with client(first.address) as sender:
            sender.send(b"READY=1")

        assert notifysocket.receive(first) == me(b"READY=1")


def test_a_file_that_is_no_socket_is_left_alone(runtime_dir: Path) -> None:
    (runtime_dir / "notify").write_text("mine")

    with bound_in(runtime_dir) as bound:
        assert bound.address.startswith("@")

    assert (runtime_dir / "notify").read_text() == "mine"


@pytest.mark.parametrize("name", ["missing", "x" * 120])
def test_unusable_directory_gives_an_abstract_socket(name: str, runtime_dir: Path) -> None:
    if len(name) > 100:
        (runtime_dir / name).mkdir()

    with bound_in(runtime_dir / name) as bound:
        assert bound.address.startswith("@")
        assert bound.directory is None


def test_private_directory_of_root_is_not_used(runtime_dir: Path) -> None:
    runtime_dir.chmod(0o700)

    with bound_in(runtime_dir) as bound:
        assert bound.address.startswith("@") == (os.geteuid() == 0)


def test_descriptors_never_enter_this_process(runtime_dir: Path) -> None:
    with bound_in(runtime_dir) as bound, client(bound.address) as sender:
        read_fd, write_fd = os.pipe()
        socket.send_fds(sender, [b"BARRIER=1"], [write_fd] * 200)
        os.close(write_fd)

        with descriptors.none_left():
            message = notifysocket.receive(bound)

        assert message == me(b"BARRIER=1")
        assert os.read(read_fd, 1) == b"", "the last copy of the write end is closed"
        os.close(read_fd)


def test_of_a_huge_message_the_whole_lines_are_kept(runtime_dir: Path) -> None:
    with bound_in(runtime_dir) as bound, client(bound.address) as sender:
        sender.send(b"READY=1\nSTATUS=" + b"x" * notifysocket.LARGEST_MESSAGE)

        assert notifysocket.receive(bound) == me(b"READY=1\n")


def test_socket_does_not_outlive_an_exec(runtime_dir: Path) -> None:
    with bound_in(runtime_dir) as bound:
        assert not os.get_inheritable(bound.socket.fileno())
