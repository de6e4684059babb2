"""One stop of a container: the signal, the grace, the kill, and why it had to come to that."""

from __future__ import annotations

import os

from runtime.model.contexts import suppress
from supervise.model.signals import signal_name

_SIGKILL = 9


class Stop:
    """A stop that is under way."""

    def __init__(self, pid: int, number: int, timeout: float) -> None:
        self._pid = pid
        self._number = number
        self._timeout = timeout  # seconds
        self._killed = False
        self._reason = ""

    def ask(self) -> None:
        """Send the stop signal."""
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(self._pid, self._number)

    def kill(self) -> None:
        """Send SIGKILL, after a look at what PID 1 would have listened to."""
        self._reason = _why_deaf(self._pid, self._number)
        self._killed = True
        with suppress(ProcessLookupError):  # just in time
            os.kill(self._pid, _SIGKILL)

    def outcome(self, exit_code: int) -> dict[str, object]:
        """Return what the one who asked is told."""
        found: dict[str, object] = {"killed": self._killed}
        if self._killed and exit_code == 128 + _SIGKILL:
            found["message"] = f"{self._reason}waited {self._timeout:g} s, then killed it"
        return found


def _why_deaf(pid: int, number: int) -> str:
    """Return whether the process has a handler for *number*; see SigCgt in proc_pid_status(5)."""
    fields = _status(pid)
    name = fields.get("Name", "?")
    bit = 1 << (number - 1)
    caught = int(fields.get("SigCgt", "0"), 16) & bit
    blocked = int(fields.get("SigBlk", "0"), 16) & bit
    ignored = int(fields.get("SigIgn", "0"), 16) & bit
    if blocked:
        return f"PID 1 '{name}' blocks {signal_name(number)}, "
    if ignored:
        return f"PID 1 '{name}' ignores {signal_name(number)}, "
    if not caught:
        # pid_namespaces(7): without a handler the kernel does not deliver it to PID 1.
        return f"PID 1 '{name}' has no handler for {signal_name(number)}, "
    return f"PID 1 '{name}' did not end on {signal_name(number)}, "


def _status(pid: int) -> dict[str, str]:
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            lines = [line.partition(":") for line in file]
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in lines}
