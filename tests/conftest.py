"""Fixtures of all tests, and the two rules about what may be left out.

A test says what it needs with ``@pytest.mark.needs("root", …)``.  What is not there is left out
and listed at the end; with ``CI=true`` whatever is left out fails.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.support.bench import Bench
from tests.support.scripts import search_path, write_scripts

IN_CI = bool(os.environ.get("CI"))

_TOOLS = {  # what a test may need → the program that must be on the PATH
    "apt": "apt-get",
    "busybox": "busybox",
    "cni": "/usr/lib/cni/bridge",
    "curl": "curl",
    "docker": "dockerd",
    "docker-registry": "docker-registry",
    "fish": "fish",
    "gcc": "gcc",
    "git": "git",
    "iptables": "iptables",
    "man": "man",
    "mkfs.ext4": "mkfs.ext4",
    "mmdebstrap": "mmdebstrap",
    "musl-gcc": "musl-gcc",
    "nft": "nft",
    "openssl": "openssl",
    "podman": "podman",
    "qemu-system-x86_64": "qemu-system-x86_64",
    "skopeo": "skopeo",
    "strace": "strace",
    "tini": "tini",
    "zsh": "zsh",
    "zstd": "zstd",
}


def _missing(need: str) -> str | None:
    """Return why *need* is not met, None when it is."""
    if need == "root":
        return "root is needed" if os.geteuid() else None
    program = _TOOLS[need]
    return None if shutil.which(program) else f"{program} is not installed"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what cannot run here, with the reason."""
    for item in items:
        needs = [need for marker in item.iter_markers("needs") for need in marker.args]
        reasons = [reason for reason in map(_missing, needs) if reason]
        if reasons:
            item.add_marker(pytest.mark.skip(reason=", ".join(reasons)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure in CI, where everything a test needs is installed."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"left out in CI: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a PATH on which `supervise` and `supervisectl` are those of this tree."""
    return search_path(write_scripts(tmp_path_factory.mktemp("bin")))


@pytest.fixture
def bench(tmp_path: Path, commands: str) -> Iterator[Bench]:
    """Start real PID 1s; nothing of them is left afterwards."""
    made = Bench(tmp_path, commands)
    yield made
    made.close()
