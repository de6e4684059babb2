"""Kernel parameters are written through a procfs alone, whatever has been made of its paths."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from runtime.linux import mounts, namespaces, sysctl
from tests.support.isolated import isolated

pytestmark = pytest.mark.needs("root")

NAME = "net.ipv4.ip_unprivileged_port_start"
PLACE = "/proc/sys/net/ipv4"


def in_own_namespaces() -> int:
    """Go to mount and network namespaces of our own; return a descriptor of /proc."""
    namespaces.unshare(namespaces.CLONE_NEWNS | namespaces.CLONE_NEWNET)
    mounts.mount("", "/", "", mounts.MS_REC | mounts.MS_PRIVATE)
    return os.open("/proc", os.O_PATH | os.O_DIRECTORY)


@isolated
def test_a_parameter_is_set() -> None:
    proc_fd = in_own_namespaces()

    sysctl.write_beneath(proc_fd, NAME, "77")

    assert sysctl.read(NAME) == "77"


@isolated
def test_a_mount_on_the_way_is_refused(tmp_path: Path) -> None:
    proc_fd = in_own_namespaces()
    planted = tmp_path / "ip_unprivileged_port_start"
    planted.write_text("mine")
    mounts.mount(str(tmp_path), PLACE, "", mounts.MS_BIND)

    with pytest.raises(OSError, match="cross-device") as refused:
        sysctl.write_beneath(proc_fd, NAME, "0")

    assert refused.value.errno == errno.EXDEV
    assert planted.read_text() == "mine"


@isolated
def test_a_mounted_file_is_refused(tmp_path: Path) -> None:
    proc_fd = in_own_namespaces()
    planted = tmp_path / "planted"
    planted.write_text("mine")
    mounts.mount(str(planted), f"{PLACE}/ip_unprivileged_port_start", "", mounts.MS_BIND)

    with pytest.raises(OSError, match="cross-device"):
        sysctl.write_beneath(proc_fd, NAME, "0")

    assert planted.read_text() == "mine"


@isolated
def test_a_link_is_refused() -> None:
    proc_fd = in_own_namespaces()

    with pytest.raises(OSError, match="symbolic links") as refused:
        sysctl.write_file(proc_fd, "self/oom_score_adj", "0")

    assert refused.value.errno == errno.ELOOP


@pytest.mark.parametrize("path", ["../etc/hostname", "/etc/hostname"])
def test_a_path_that_climbs_is_refused(path: str) -> None:
    proc_fd = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    try:
        with pytest.raises(OSError, match="cross-device"):
            sysctl.write_file(proc_fd, path, "0")
    finally:
        os.close(proc_fd)


def test_another_file_system_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sys/net").mkdir(parents=True)
    planted = tmp_path / "sys/net/x"
    planted.write_text("mine")
    other_fd = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    try:
        with pytest.raises(OSError, match="it is on no procfs"):
            sysctl.write_beneath(other_fd, "net.x", "0")
    finally:
        os.close(other_fd)

    assert planted.read_text() == "mine"
