"""A PID 1 that is started without standard streams: corner cases 28 and 35."""

from __future__ import annotations

import pytest

from tests.support.bench import Bench

pytestmark = pytest.mark.integration


def test_a_closed_standard_output_is_survived(bench: Bench) -> None:
    closed = ("sh", "-c", 'exec "$@" >&- 2>&- <&-', "sh")

    pid1 = bench.supervise(
        "services: {talker: {command: {shell: 'echo hello; exec sleep 3600'}}}", prefix=closed
    )

    assert pid1.wait_state("talker", "running")["restarts"] == 0
    assert "hello" in pid1.ctl("logs", "talker").stdout
    assert pid1.terminate() == 0
