"""The daemon and the base image of the container tests work, with nothing of ours in them."""

from __future__ import annotations

import pytest

from tests.support.docker import Docker

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.needs("root", "docker", "mmdebstrap"),
    pytest.mark.xdist_group("containers"),  # one dockerd for all
]


def test_a_container_runs_and_its_exit_code_is_seen(docker: Docker, base: str) -> None:
    done = docker("run", "--rm", "--network=none", base, "sh", "-c", "exit 7", check=False)

    assert done.returncode == 7
