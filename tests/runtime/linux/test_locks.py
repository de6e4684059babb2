"""Advisory locks: who waits for whom, and locks whose file is removed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from runtime.linux import locks
from tests.support.eventually import eventually

_HOLD = """\
import sys
from runtime.linux import locks
held = locks.lock(sys.argv[1])
print("held", flush=True)
sys.stdin.read(1)
"""


def test_one_holds_and_others_are_told(tmp_path: Path) -> None:
    path = str(tmp_path / "run/x.lock")

    with locks.lock(path):
        assert locks.try_lock(path) is None
        assert locks.try_lock(path, shared=True) is None

    again = locks.try_lock(path)
    assert again is not None
    again.release()


def test_readers_share(tmp_path: Path) -> None:
    path = str(tmp_path / "x.lock")

    with locks.lock(path, shared=True), locks.lock(path, shared=True):
        assert locks.try_lock(path) is None


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "x.lock")
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert locks.try_lock(path) is None

        holder.kill()

    held = locks.try_lock(path)
    assert held is not None
    held.release()


def test_a_lock_whose_file_was_removed_is_not_the_lock(tmp_path: Path) -> None:
    path = str(tmp_path / "x.lock")
    waiter = None
    with locks.lock(path):
        waiter = subprocess.Popen(
            [sys.executable, "-c", _HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        eventually(lambda: _waits(waiter.pid), timeout=10.0)
        os.unlink(path)

    with waiter:
        assert waiter.stdout is not None
        assert waiter.stdout.readline() == b"held\n"
        # The one who waited got the new file's lock, or we could take it beside it.
        assert locks.try_lock(path) is None
        waiter.kill()


def test_a_directory_is_locked_only_while_it_is_there(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    held = locks.lock_existing(str(directory))
    assert held is not None
    assert locks.lock_existing(str(directory), wait=False) is None

    held.share()

    with locks.lock(str(tmp_path / "other")):
        shared = locks.lock_existing(str(directory), shared=True)
        assert shared is not None
        shared.release()
    held.release()


def _waits(pid: int) -> bool:
    blocked = f" {pid} "
    return any("->" in line and blocked in line for line in Path("/proc/locks").read_text().splitlines())  # fmt: skip
