"""The main command and its terminal: hand-over, Ctrl-Z, hang-up.

The terminal is handed over by the child itself before its exec (`supervise.linux.tty`); this is
the parent's share.
"""

from __future__ import annotations

import os
import signal

from supervise.linux import signal_actions, tty

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.daemon.kernel import Kernel
    from supervise.daemon.supervisor import Supervisor


class Foreground:
    """Looks after the main command named *main*; without a terminal it only forwards."""

    def __init__(self, supervisor: Supervisor, kernel: Kernel, main: str, *, group: bool) -> None:
        self.has_terminal = tty.is_terminal(0)
        self._supervisor = supervisor
        self._kernel = kernel
        self._main = main
        self._group = group  # signals go to the command's whole group, else to it alone
        if self.has_terminal:
            signal_actions.ignore_terminal_stops()

    def forward(self, number: int) -> bool:
        """Send *number* to the main command; False when it is not there (any more)."""
        pid = self._pid()
        if pid is None:
            return False
        if self._group and self._kernel.kill_group(pid, number):
            return True
        return self._kernel.kill(pid, number)

    def hang_up(self) -> None:
        """Tell an interactive command that its terminal goes: shells ignore SIGTERM, not this."""
        if self.has_terminal:
            self.forward(signal.SIGHUP)

    def look_for_stops(self) -> None:
        """React to a main command that was stopped, after SIGCHLD.

        As PID 1 there is no shell to go back to, so it is continued.  Under a shell we stop too,
        and take it along when we are continued.
        """
        if not self.has_terminal:
            return
        pid = self._pid()
        for stopped, number in self._kernel.stopped():
            if stopped != pid:
                continue
            if os.getpid() == 1 or number == signal.SIGSTOP:
                self.forward(signal.SIGCONT)
                continue
            tty.take_back(0)
            os.kill(os.getpid(), signal.SIGSTOP)
            self._give_terminal(stopped)
            self.forward(signal.SIGCONT)

    def take_back(self) -> None:
        """Own the terminal again once the command is gone."""
        if self.has_terminal:
            tty.take_back(0)

    def _give_terminal(self, group: int) -> None:
        try:
            os.tcsetpgrp(0, group)
        except OSError:
            self.has_terminal = tty.is_terminal(0)  # it hung up while we were stopped

    def _pid(self) -> int | None:
        service = self._supervisor.services.get(self._main)
        return service.pid if service else None
