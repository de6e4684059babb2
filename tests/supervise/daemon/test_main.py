"""The boot, in a process of its own: what the loader's fork meets there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from supervise.daemon import main, options
from tests.support.isolated import isolated


def boot(directory: Path, config: str) -> int:
    """Boot with the text of a configuration, work until the end, return the exit code."""
    path = directory / "supervise.yaml"
    path.write_text(f"control: {{socket: {directory}/control.sock}}\n{config}")
    return main.Boot(options.parse(["-c", str(path)])).run([])


@isolated
def test_boot_without_room_for_the_loader_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fork, refusals = os.fork, [errno.EAGAIN, errno.ENOMEM]

    def scarce_fork() -> int:
        if refusals:
            number = refusals.pop(0)
            raise OSError(number, os.strerror(number))
        return fork()

    monkeypatch.setattr(os, "fork", scarce_fork)
    monkeypatch.setattr(main, "_LOADER_PAUSE", 0.01)

    code = boot(tmp_path, "services: {once: {command: ['false'], restart: 'no'}}")

    assert (code, refusals) == (1, [])
    assert capfd.readouterr().err.count("cannot read the configuration yet") == 1
