from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from supervise.linux import descriptors
from tests.support import procfs
from tests.support.isolated import isolated


@isolated
def test_missing_standard_streams_are_opened_and_lead_nowhere() -> None:
    for fd in (0, 1, 2):
        os.close(fd)

    descriptors.open_missing_stdio()

    found = procfs.descriptors()
    assert [found[fd] for fd in (0, 1, 2)] == ["/dev/null"] * 3
    assert os.read(0, 1) == b""
    assert os.write(1, b"x") == 1


@isolated
def test_one_missing_stream_is_opened_in_its_place() -> None:
    before = procfs.descriptors()
    os.close(1)

    descriptors.open_missing_stdio()

    after = procfs.descriptors()
    assert after[1] == "/dev/null"
    assert {fd: link for fd, link in after.items() if fd != 1} == {
        fd: link for fd, link in before.items() if fd != 1
    }


@isolated
def test_streams_that_are_open_stay_as_they_are() -> None:
    before = procfs.descriptors()

    descriptors.open_missing_stdio()

    assert procfs.descriptors() == before


@isolated
def test_every_descriptor_above_two_is_kept_from_children() -> None:
    low = os.open("/etc/passwd", os.O_RDONLY)
    high = fcntl.fcntl(low, fcntl.F_DUPFD, 900)
    for fd in (0, 1, 2, low, high):
        os.set_inheritable(fd, True)

    descriptors.keep_from_children()

    assert [os.get_inheritable(fd) for fd in (0, 1, 2, low, high)] == [True] * 3 + [False] * 2


@isolated
def test_flags_of_what_is_kept_stay_as_they_are() -> None:
    fd = os.open("/etc/passwd", os.O_RDONLY | os.O_NONBLOCK)
    before = fcntl.fcntl(fd, fcntl.F_GETFL)

    descriptors.keep_from_children()

    assert fcntl.fcntl(fd, fcntl.F_GETFL) == before


WITHOUT_DEV_AND_PROC = """
import os, sys
from supervise.linux import descriptors
kept = os.open(sys.argv[1], os.O_RDONLY)
os.set_inheritable(kept, True)
report = os.dup(1)
os.close(0)
os.close(2)
descriptors.open_missing_stdio()
descriptors.keep_from_children()
known = [os.fstat(fd).st_mode != 0 for fd in (0, 1, 2)]
os.write(report, repr([*known, os.read(0, 1), os.get_inheritable(kept)]).encode())
"""


@pytest.mark.needs("root")
def test_both_work_without_dev_and_proc(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(WITHOUT_DEV_AND_PROC)
    hide = 'mount -t tmpfs tmpfs /proc && mount -t tmpfs tmpfs /dev && exec "$@"'

    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", hide, "sh", sys.executable, str(script), str(script)],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        check=True,
        text=True,
    )

    assert done.stdout == "[True, True, True, b'', False]"
