"""How a process ended: wait status, our value, the shell's number.

The numbers follow POSIX shells (2.8.2 Exit Status for Commands): n as it is, 128+n for a
signal, 126 found but not executable, 127 not found.
"""

from __future__ import annotations

import errno

from supervise.model.record import Record
from supervise.model.signals import signal_name

NOT_EXECUTABLE = 126
NOT_FOUND = 127
BAD_CONFIGURATION = 78  # EX_CONFIG of sysexits(3)
INTERNAL_FAULT = 70  # EX_SOFTWARE of sysexits(3)


class Exited(Record):
    """The process called exit with *code*, 0 to 255."""

    code: int

    def __str__(self) -> str:
        return f"exit code {self.code}"


class Killed(Record):
    """The process was ended by *signal*, a number."""

    signal: int
    dumped_core: bool = False

    def __str__(self) -> str:
        core = ", core dumped" if self.dumped_core else ""
        return f"{signal_name(self.signal)}{core}"


ExitStatus = Exited | Killed


def from_wait_status(status: int) -> ExitStatus:
    """Decode the status word of waitpid(2); stops and continues are not ends and not accepted."""
    signal = status & 0x7F
    if signal == 0:
        return Exited((status >> 8) & 0xFF)
    assert signal != 0x7F, "a stopped process has not ended"
    return Killed(signal, bool(status & 0x80))


def shell_code(status: ExitStatus) -> int:
    """Return the number a shell would show for *status*."""
    return status.code if isinstance(status, Exited) else 128 + status.signal


def exec_failure_code(number: int) -> int:
    """Return 127 when *number* (an errno of execve) says "not there", else 126."""
    return NOT_FOUND if number in (errno.ENOENT, errno.ENOTDIR) else NOT_EXECUTABLE
