from __future__ import annotations

import errno
import os

import pytest

from supervise.model.exitstatus import (
    Exited,
    Killed,
    exec_failure_code,
    from_wait_status,
    shell_code,
)

ALL_CODES = range(256)
# 0x7f in the status word means stopped, so 127 is no signal; 128 and above do not exist.
ALL_SIGNALS = range(1, 65)


@pytest.mark.parametrize("code", ALL_CODES)
def test_exit_code_is_decoded_as_the_c_library_does(code: int) -> None:
    status = code << 8

    assert from_wait_status(status) == Exited(os.WEXITSTATUS(status))


@pytest.mark.parametrize("number", ALL_SIGNALS)
@pytest.mark.parametrize("core", [0, 0x80])
def test_death_by_signal_is_decoded_as_the_c_library_does(number: int, core: int) -> None:
    status = number | core

    found = from_wait_status(status)

    assert found == Killed(os.WTERMSIG(status), os.WCOREDUMP(status))


@pytest.mark.parametrize("status", [0x137F, 0xFFFF])
def test_stop_and_continue_are_not_ends(status: int) -> None:
    with pytest.raises(AssertionError, match="has not ended"):
        from_wait_status(status)


@pytest.mark.parametrize(("status", "code"), [(Exited(0), 0), (Exited(255), 255), (Killed(9), 137)])
def test_shell_code(status: Exited | Killed, code: int) -> None:
    assert shell_code(status) == code


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (Exited(3), "exit code 3"),
        (Killed(15), "SIGTERM"),
        (Killed(11, dumped_core=True), "SIGSEGV, core dumped"),
        (Killed(37), "SIGRTMIN+3"),
    ],
)
def test_words_for_a_status(status: Exited | Killed, text: str) -> None:
    assert str(status) == text


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOENT, 127),
        (errno.ENOTDIR, 127),
        (errno.EACCES, 126),
        (errno.ENOEXEC, 126),
        (errno.EISDIR, 126),
        (errno.ETXTBSY, 126),
    ],
)
def test_failed_exec_has_the_shells_code(number: int, code: int) -> None:
    assert exec_failure_code(number) == code
