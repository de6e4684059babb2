"""Paths that are walked by descriptor, and what may be met on the way."""

from __future__ import annotations

import ast
import contextlib
import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervise.linux import directory
from tests.support import descriptors

OTHER = 4242
_CLONE_NEWUSER = 0x10000000


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    with descriptors.none_left():
        yield


def found(path: Path | str, *, make: bool = False) -> str:
    held, name = directory.find(str(path), make=make)
    with contextlib.closing(held):
        return os.path.join(held.path, name)


def test_links_that_only_we_can_have_made_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "absolute").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "relative").symlink_to("../real/x.log")

    assert found(tmp_path / "absolute" / "relative") == f"{tmp_path}/real/x.log"
    assert found(tmp_path / "absolute" / ".." / "y") == f"{tmp_path}/y"
    assert directory.real_path(f"{tmp_path}/absolute/z") == f"{tmp_path}/real/z"
    assert directory.real_path(f"{tmp_path}/absolute/not/yet") == f"{tmp_path}/real/not/yet"


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    with pytest.raises(OSError) as caught:
        found(tmp_path / "a")

    assert caught.value.errno == errno.ELOOP


def test_missing_directories_are_made_where_that_is_asked(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        found(tmp_path / "a" / "b" / "c")

    assert found(tmp_path / "a" / "b" / "c", make=True) == f"{tmp_path}/a/b/c"
    assert (tmp_path / "a" / "b").is_dir()


def test_a_file_in_the_way_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "a").touch()

    with pytest.raises(NotADirectoryError):
        found(tmp_path / "a" / "b")


def test_links_of_proc_are_the_kernels(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello")
    with (tmp_path / "x").open() as file:
        path = f"/proc/self/fd/{file.fileno()}"

        assert directory.read_file(path, 100) == b"hello"


@pytest.mark.needs("root")
@pytest.mark.parametrize("mode", [0o755, 0o777, 0o1777, 0o775])
def test_a_link_where_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d").chmod(mode)
    os.chown(tmp_path / "d", OTHER if mode == 0o755 else 0, OTHER)
    (tmp_path / "d" / "link").symlink_to("/etc/passwd")
    os.chown(tmp_path / "d" / "link", OTHER, OTHER, follow_symlinks=False)

    with pytest.raises(directory.UnsafeFileError, match="is a link in a directory that"):
        found(tmp_path / "d" / "link")


@pytest.mark.needs("root")
def test_a_link_of_roots_in_a_sticky_directory_is_followed(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d").chmod(0o1777)
    (tmp_path / "d" / "link").symlink_to("/etc/passwd")

    assert found(tmp_path / "d" / "link") == "/etc/passwd"


@pytest.mark.needs("root")
def test_what_is_below_a_directory_of_others_is_theirs_too(tmp_path: Path) -> None:
    """They can put another directory of root's in the place of this one."""
    (tmp_path / "d" / "sub").mkdir(parents=True)
    os.chown(tmp_path / "d", OTHER, OTHER)
    (tmp_path / "d" / "sub" / "link").symlink_to("/etc/passwd")

    with pytest.raises(directory.UnsafeFileError):
        found(tmp_path / "d" / "sub" / "link")


@pytest.mark.needs("root")
@pytest.mark.parametrize("kind", ["regular", "fifo"])
def test_a_file_of_the_directorys_owner_is_taken(tmp_path: Path, kind: str) -> None:
    os.chown(tmp_path, OTHER, OTHER)
    path = tmp_path / "x"
    path.touch() if kind == "regular" else os.mkfifo(path)
    os.chown(path, OTHER, OTHER)

    held, name = directory.find(str(path))
    with contextlib.closing(held):
        os.close(held.open_file(name, os.O_RDONLY))


@pytest.mark.needs("root")
def test_a_device_or_a_file_of_a_third_is_not_taken(tmp_path: Path) -> None:
    os.chown(tmp_path, OTHER, OTHER)
    os.mknod(tmp_path / "null", 0o020666, os.makedev(1, 3))
    (tmp_path / "third").touch()
    os.chown(tmp_path / "third", OTHER + 1, OTHER)

    held = directory.hold(str(tmp_path))
    with contextlib.closing(held):
        with pytest.raises(directory.UnsafeFileError, match="is no regular file"):
            held.open_file("null", os.O_WRONLY)
        with pytest.raises(directory.UnsafeFileError, match=f"belongs to user {OTHER + 1}"):
            held.open_file("third", os.O_WRONLY)


@pytest.mark.needs("root")
@pytest.mark.parametrize("way", ["open_file", "make_file"])
def test_what_is_made_in_a_directory_of_another_user_is_his(tmp_path: Path, way: str) -> None:
    os.chown(tmp_path, OTHER, OTHER + 1)
    held = directory.hold(str(tmp_path))
    with contextlib.closing(held):
        made = (
            held.open_file("x", os.O_WRONLY | os.O_CREAT)
            if way == "open_file"
            else held.make_file("x", 0o640)
        )
    os.close(made)

    found = (tmp_path / "x").stat()
    assert (found.st_uid, found.st_gid) == (OTHER, OTHER + 1)


@pytest.mark.needs("root")
@pytest.mark.parametrize("mode", [0o1777, 0o775, 0o1775])
def test_a_second_name_where_others_may_write_is_not_read(tmp_path: Path, mode: int) -> None:
    """Without fs.protected_hardlinks they may link a secret of root's into root's directory."""
    (tmp_path / "secret").write_text("A=1")
    (tmp_path / "d").mkdir()
    os.chown(tmp_path / "d", 0, OTHER)
    (tmp_path / "d").chmod(mode)
    os.link(tmp_path / "secret", tmp_path / "d" / ".env")

    with pytest.raises(directory.UnsafeFileError, match="may have linked it there"):
        directory.read_file(f"{tmp_path}/d/.env", 100)


@pytest.mark.needs("root")
def test_a_second_name_of_the_owners_in_a_directory_of_his_alone_is_read(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("A=1")
    os.link(tmp_path / "own", tmp_path / ".env")
    for path in (tmp_path, tmp_path / "own"):
        os.chown(path, OTHER, OTHER)

    assert directory.read_file(f"{tmp_path}/.env", 100) == b"A=1"


def test_a_number_is_mapped_where_a_range_holds_it() -> None:
    assert directory.is_mapped(b"         0          0 4294967295\n", 65534)
    assert directory.is_mapped(b"0 1000 1\n65534 65534 1\n", 65534)
    assert not directory.is_mapped(b"0 1000 1\n1 100000 65533\n", 65534)
    assert not directory.is_mapped(b"", 65534)


@pytest.mark.needs("root")
@pytest.mark.parametrize(
    ("uid_map", "trusted"),
    [("0 1000 1\n65534 65534 1\n", [0]), ("0 1000 1\n", [0, 65534])],
)
def test_nobody_is_trusted_only_where_no_user_has_his_number(
    uid_map: str, trusted: list[int]
) -> None:
    """The root directory belongs to no user of the namespace, and leads everywhere all the same."""

    def look() -> tuple[list[int], bool]:
        held = directory.hold("/")
        with contextlib.closing(held):
            return sorted(directory.trusted_users()), held.is_ours

    assert in_user_namespace(uid_map, look) == (trusted, True)


def in_user_namespace(uid_map: str, look: Callable[[], object]) -> object:
    """Return what *look* says in a process whose user namespace has this map."""
    ready_read, ready_write = os.pipe()
    answer_read, answer_write = os.pipe()
    go_read, go_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            assert ctypes.CDLL(None).unshare(_CLONE_NEWUSER) == 0
            os.write(ready_write, b"x")
            os.read(go_read, 1)
            os.setresuid(0, 0, 0)
            os.write(answer_write, repr(look()).encode())
        finally:
            os._exit(0)
    os.close(answer_write)
    os.close(ready_write)
    assert os.read(ready_read, 1)
    Path(f"/proc/{pid}/uid_map").write_text(uid_map)
    os.write(go_write, b"x")
    answer = os.read(answer_read, 4096)
    os.waitpid(pid, 0)
    for fd in (ready_read, answer_read, go_read, go_write):
        os.close(fd)
    return ast.literal_eval(answer.decode())
