"""What is copied into a directory while its other users exchange names: nothing outside changes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from runtime.container.files import transfer
from runtime.linux import new_objects
from tests.support.attack import rounds
from tests.support.scripts import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.needs("root")]

_FIFO_MODE = 0o666

# Puts the link in the place of the node, and back, as fast as it can.
_EXCHANGE = """
import ctypes, os, sys
renameat2 = ctypes.CDLL(None).renameat2
here, stop = sys.argv[1:]
os.chdir(here)
print(flush=True)
while not os.path.exists(stop):
    for _ in range(1000):
        renameat2(-100, b"f", -100, b"link", 2)
"""


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Return a file that nobody else may read."""
    file = tmp_path / "victim"
    file.write_text("secret")
    file.chmod(0o600)
    return file


@pytest.fixture
def target(tmp_path: Path, victim: Path) -> Iterator[Path]:
    """Return a directory in which "f" and a link to the victim are exchanged all the time."""
    directory = tmp_path / "target"
    directory.mkdir()
    (directory / "link").symlink_to(victim)
    stop = tmp_path / "stop"
    process = subprocess.Popen(
        [sys.executable, "-c", _EXCHANGE, str(directory), str(stop)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield directory
    stop.touch()
    process.communicate()
    assert process.returncode == 0


def by_copying(source: Path, target_fd: int) -> None:
    source_fd = os.open(source, os.O_PATH | os.O_NOFOLLOW)
    try:
        transfer.Copier(keep_owner=True).copy(source_fd, target_fd, b"f")
    finally:
        os.close(source_fd)


def by_making(_: Path, target_fd: int) -> None:
    """Make a FIFO as unpacking does."""
    with new_objects.make_node(target_fd, b"f", stat.S_IFIFO) as fd:
        new_objects.decorate(fd, (0, 0), _FIFO_MODE, (0, 0))


@pytest.mark.parametrize("put", [by_copying, by_making])
def test_a_node_that_is_exchanged_for_a_link_changes_nothing_outside(
    put: Callable[[Path, int], None], victim: Path, target: Path, tmp_path: Path
) -> None:
    source = tmp_path / "fifo"
    os.mkfifo(source)
    source.chmod(_FIFO_MODE)
    before = victim.stat()
    target_fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    made = 0

    for _ in rounds():
        for name in ("f", "link"):  # the node may have either name by then
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=target_fd)
        (target / "link").symlink_to(victim)
        try:
            put(source, target_fd)
            made += 1
        except FileExistsError:
            continue
        except OSError as error:
            assert error.strerror == "something else was put in its place meanwhile"  # noqa: PT017

    os.close(target_fd)
    after = victim.stat()
    assert made
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
