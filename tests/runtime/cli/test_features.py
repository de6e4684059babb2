"""What `info` says this machine lacks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runtime.cli import features
from tests.support.scripts import ROOT

pytestmark = pytest.mark.needs("root")


@pytest.mark.parametrize(
    ("path", "kind"), [("/proc", "proc"), ("/sys", "sysfs"), ("/proc/self/none/at/all", "proc")]
)
def test_the_file_system_is_that_of_the_nearest_directory(path: str, kind: str) -> None:
    assert features.file_system(path) == kind


def information(directory: Path, before: str) -> subprocess.CompletedProcess[str]:
    """Run `runtime info` in a mount namespace that *before* changes."""
    command = f"{before} && exec {sys.executable} -m runtime --root {directory}/store info"
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )


def test_a_limit_that_has_no_effect_is_said(tmp_path: Path) -> None:
    without_cgroups = "umount --recursive --lazy /sys/fs/cgroup"

    done = information(tmp_path, without_cgroups)

    assert "Cgroup Controllers: none\n" in done.stdout
    assert "WARNING: No cgroup controller 'pids': no effect of --pids-limit\n" in done.stderr


def test_a_store_on_overlayfs_is_said(tmp_path: Path) -> None:
    for name in ("lower", "upper", "work", "store"):
        (tmp_path / name).mkdir()
    places = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"

    done = information(tmp_path, f"mount -t overlay -o {places} overlay {tmp_path}/store")

    assert " Backing Filesystem: overlay\n" in done.stdout
    assert "is on overlayfs" in done.stderr
