"""The real kernel's own arithmetic: what a service's keys become before anything is started."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from supervise.daemon.kernel import LinuxKernel
from supervise.model.service import ServiceSpec
from tests.support.isolated import isolated


@isolated
@pytest.mark.parametrize(
    ("working_dir", "expected"),
    [(None, "started"), ("below", "started/below"), ("../beside", "beside")],
)
def test_a_relative_directory_begins_where_supervise_was_started(
    tmp_path: Path, working_dir: str | None, expected: str
) -> None:
    for name in ("started/below", "beside"):
        (tmp_path / name).mkdir(parents=True)
    os.chdir("/")  # as PID 1 does
    kernel = LinuxKernel(os.environ, str(tmp_path / "started"))

    started = kernel.start(ServiceSpec("a", ("pwd",), working_dir=working_dir), piped=True)

    assert started.stdout_fd is not None
    os.waitpid(started.pid, 0)
    assert os.read(started.stdout_fd, 4096).decode().strip() == str(tmp_path / expected)
