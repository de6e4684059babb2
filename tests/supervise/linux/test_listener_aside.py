"""A listener gives way to the next one at its place, and takes the place again."""

from __future__ import annotations

import os
from pathlib import Path

from supervise.linux import unixsocket


def test_a_listener_that_stepped_aside_can_step_back(tmp_path: Path) -> None:
    before = unixsocket.listen(f"{tmp_path}/s", mode=0o600)
    assert before.step_aside()
    assert not before.is_reachable()

    before.step_back()

    assert before.is_reachable()
    before.close()
    assert os.listdir(tmp_path) == []


def test_the_next_listener_keeps_the_place_when_the_one_before_closes(tmp_path: Path) -> None:
    before = unixsocket.listen(f"{tmp_path}/s", mode=0o600)
    before.step_aside()
    after = unixsocket.listen(f"{tmp_path}/s", mode=0o666)

    before.close()

    assert after.is_reachable()
    after.close()
    assert os.listdir(tmp_path) == []
