"""The boot, in a process of its own: what the loader's fork meets there."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from supervise.config import load
from supervise.config.compiled import write_compiled
from supervise.daemon import main, options
from supervise.daemon.init import Init
from supervise.model.exitstatus import INTERNAL_FAULT
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


@isolated
def test_an_image_without_dev_null_has_a_control_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    really_open = os.open

    def open_but_null(
        path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None
    ) -> int:
        if path == "/dev/null":
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return really_open(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", open_but_null)
    seen = tmp_path / "seen"

    # The socket opens when the services have been executed.
    wait = f"while ! test -S {tmp_path}/control.sock; do :; done; touch {seen}"
    code = boot(
        tmp_path,
        f"services: {{once: {{command: {{shell: '{wait}'}}, restart: 'no'}}}}",
    )

    assert code == 0
    assert seen.exists()
    assert "fault" not in capfd.readouterr().err


@isolated
def test_a_stop_signal_during_the_boot_has_the_main_command_s_exit_code(tmp_path: Path) -> None:
    started = tmp_path / "started"
    path = tmp_path / "supervise.yaml"
    path.write_text("services: {}")

    for remap, expected in ([], 128 + signal.SIGTERM), (["--remap-exit=143:9"], 9):
        words = [*remap, "-c", str(path), "--", "touch", str(started)]
        assert main.Boot(options.parse(words)).run([signal.SIGTERM]) == expected
    assert not started.exists()


@isolated
def test_a_fault_while_a_ready_plan_comes_up_is_contained(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: Init, _main: object) -> None:
        raise RuntimeError("injected fault")

    monkeypatch.setattr(Init, "_wire", broken)

    code = main.Boot(options.parse(["--", "true"])).run([])

    assert code == INTERNAL_FAULT
    assert "injected fault" in capfd.readouterr().err


@isolated
def test_a_compiled_plan_that_is_used_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = "services: {once: {command: ['true'], restart: 'no'}}"
    boot(tmp_path, config)
    capfd.readouterr()
    outcome = load.examine([str(tmp_path / "supervise.yaml")], {}, "/")
    assert outcome.plan is not None
    plan = write_compiled(outcome.plan, outcome.roots)

    boot(tmp_path, config)

    first = capfd.readouterr().err.splitlines()[0]
    assert f"configured by {tmp_path}/supervise.yaml as compiled in {plan}, services: 1" in first
