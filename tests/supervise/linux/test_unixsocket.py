"""Listening sockets: modes, stale files, other people's directories, credentials."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from supervise.linux import unixsocket


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.parametrize("mode", [0o600, 0o666])
@pytest.mark.usefixtures("umask")
def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path, mode: int) -> None:
    with closing(unixsocket.listen(f"{tmp_path}/s", mode=mode)):
        assert stat.S_IMODE(os.stat(f"{tmp_path}/s").st_mode) == mode


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = f"{tmp_path}/s"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)

    with closing(unixsocket.listen(path, mode=0o600)) as listener:
        assert listener.is_reachable()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)


def test_a_live_socket_is_not_stolen(tmp_path: Path) -> None:
    path = f"{tmp_path}/s"
    with closing(unixsocket.listen(path, mode=0o600)) as first:
        with pytest.raises(OSError, match="another process listens there") as caught:
            unixsocket.listen(path, mode=0o600)

        assert caught.value.errno == errno.EADDRINUSE
        assert first.is_reachable()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")

    with pytest.raises(FileExistsError, match="is no socket"):
        unixsocket.listen(str(path), mode=0o600)

    assert path.read_text() == "precious"


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "s").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(FileExistsError):
        unixsocket.listen(f"{tmp_path}/s", mode=0o600)


def test_a_path_too_long_has_a_number(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too long") as caught:
        unixsocket.listen(f"{tmp_path}/{'x' * 108}", mode=0o600)

    assert caught.value.errno == errno.ENAMETOOLONG


def test_closing_removes_the_file_if_it_is_ours(tmp_path: Path) -> None:
    path = f"{tmp_path}/s"
    ours = unixsocket.listen(path, mode=0o600)
    os.unlink(path)
    with closing(unixsocket.listen(path, mode=0o600)) as theirs:
        assert not ours.is_reachable()

        ours.close()

        assert theirs.is_reachable()
    assert not os.path.exists(path)


def test_an_abstract_socket_needs_no_file_system() -> None:
    place = f"@supervise-test-{os.getpid()}"
    with closing(unixsocket.listen(place, mode=0o600)) as listener:
        assert listener.is_reachable()
        with pytest.raises(OSError) as caught:
            unixsocket.listen(place, mode=0o600)

    assert caught.value.errno == errno.EADDRINUSE


def test_the_peer_is_who_connected(tmp_path: Path) -> None:
    path = f"{tmp_path}/s"
    with (
        closing(unixsocket.listen(path, mode=0o600)) as listener,
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.connect(path)
        connection = listener.accept()

        peer = unixsocket.peer(connection)
        connection.close()

    assert (peer.pid, peer.uid, peer.gid) == (os.getpid(), os.geteuid(), os.getegid())
    assert set(peer.groups) == set(os.getgroups())


def test_nobody_there_is_a_blocking_io_error(tmp_path: Path) -> None:
    listening = closing(unixsocket.listen(f"{tmp_path}/s", mode=0o600))

    with listening as listener, pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.usefixtures("umask")
def test_a_directory_that_is_made_can_be_entered_by_all_and_written_by_us(tmp_path: Path) -> None:
    unixsocket.make_directory(f"{tmp_path}/d")
    unixsocket.make_directory(f"{tmp_path}/d")  # as it is there already

    assert stat.S_IMODE(os.stat(f"{tmp_path}/d").st_mode) == 0o755


def test_a_directory_everybody_can_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d").chmod(0o777)

    with pytest.raises(PermissionError, match="writable by everybody"):
        unixsocket.make_directory(f"{tmp_path}/d")


def test_a_sticky_directory_keeps_our_names_one_for_all_does_not(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d").chmod(0o1777)
    with closing(unixsocket.listen(f"{tmp_path}/d/s", mode=0o600)) as listener:
        assert listener.is_reachable()
    (tmp_path / "d").chmod(0o777)

    with pytest.raises(PermissionError, match="its directory is writable by everybody"):
        unixsocket.listen(f"{tmp_path}/d/s", mode=0o600)


def test_a_link_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "trap").mkdir()
    (tmp_path / "d").symlink_to(tmp_path / "trap")

    with pytest.raises(PermissionError, match="is no directory"):
        unixsocket.make_directory(f"{tmp_path}/d")


@pytest.mark.needs("root")
def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    os.chown(tmp_path / "d", 12345, 12345)

    with pytest.raises(PermissionError, match="belongs to user 12345"):
        unixsocket.make_directory(f"{tmp_path}/d")


def test_the_pid_namespace_has_a_number() -> None:
    assert unixsocket.pid_namespace().isdecimal()


@pytest.mark.needs("root")
@pytest.mark.parametrize("planted", [False, True])
def test_a_lock_of_others_keeps_us_from_nothing(tmp_path: Path, planted: bool) -> None:
    tmp_path.chmod(0o1777 if planted else 0o755)
    if planted:
        (tmp_path / "s.lock").touch()
        os.chown(tmp_path / "s.lock", 4242, 4242)
    target = tmp_path / "s.lock" if planted else tmp_path
    theirs = os.open(target, os.O_RDONLY)
    fcntl.flock(theirs, fcntl.LOCK_EX)

    listener = unixsocket.listen(f"{tmp_path}/s", mode=0o600)

    listener.close()
    os.close(theirs)
    assert sorted(os.listdir(tmp_path)) == (["s.lock"] if planted else [])


@pytest.mark.needs("root")
def test_a_directory_of_roots_in_one_of_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d" / "ours").mkdir(parents=True)
    os.chown(tmp_path / "d", 4242, 4242)

    with pytest.raises(PermissionError, match="a directory above it"):
        unixsocket.listen(f"{tmp_path}/d/ours/s", mode=0o600)
    with pytest.raises(PermissionError, match="a directory above it"):
        unixsocket.make_directory(f"{tmp_path}/d/ours/made")
