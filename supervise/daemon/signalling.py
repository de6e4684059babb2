"""Which signal means what to PID 1.

Without a main command signals are orders to us.  With one, those that are not ours are forwarded;
a main command alone gets all of them, as under tini.
"""

from __future__ import annotations

import signal

from supervise.model.announcement import Announcement
from supervise.model.shutdown import Phase
from supervise.model.signals import SIGRTMIN, signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from supervise.daemon.ending import Shutdown
    from supervise.daemon.foreground import Foreground
    from supervise.daemon.supervisor import Supervisor

# systemd images use SIGRTMIN+3 as STOPSIGNAL; LXC and power monitors send SIGPWR.
SHUTDOWN_SIGNALS = frozenset({signal.SIGTERM, SIGRTMIN + 3, signal.SIGPWR})
# From a keyboard; a main command's own affair when there is one.
KEYBOARD_SIGNALS = frozenset({signal.SIGINT, signal.SIGQUIT})


class Signalling:
    """Turns each signal the loop delivers into what it means.

    *reload*, *reopen* and *directory_changed* are called for SIGHUP, SIGUSR1 and SIGIO.  *alone*: there is a main command and
    no configuration.  *rewrite* maps signal numbers before anything else; 0 drops one.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        shutdown: Shutdown,
        *,
        foreground: Foreground | None,
        alone: bool,
        rewrite: Mapping[int, int],
        reload: Callable[[], None],
        reopen: Callable[[], None],
        directory_changed: Callable[[], None],
        has_terminal: bool,
        terminal_is_lost: Callable[[], bool],
    ) -> None:
        self._supervisor = supervisor
        self._shutdown = shutdown
        self._foreground = foreground
        self._alone = alone
        self._rewrite = rewrite
        self._reload = reload
        self._reopen = reopen
        self._directory_changed = directory_changed
        self._has_terminal = has_terminal
        self._terminal_is_lost = terminal_is_lost

    def receive(self, number: int) -> None:
        """Act on signal *number*."""
        if number == signal.SIGCHLD:
            self._child_changed()
            return
        number = self._rewrite.get(number, number)
        if number == 0:
            return
        if self._alone and self._forward(number):
            return
        if number in SHUTDOWN_SIGNALS:
            self._shutdown.stop_signal(signal_name(number))
        elif number == signal.SIGHUP:
            self._hang_up(number)
        elif number == signal.SIGUSR1:
            self._reopen()
        elif number == signal.SIGUSR2:
            self._cannot_reexec()
        elif number == signal.SIGIO:
            self._directory_changed()  # the kernel's word to us, see supervise.linux.dnotify
        elif not self._forward(number) and number in KEYBOARD_SIGNALS:
            self._shutdown.stop_signal(signal_name(number))

    def _child_changed(self) -> None:
        if self._foreground is not None:
            self._foreground.look_for_stops()
        self._supervisor.reap()
        self._shutdown.children_ended()

    def _forward(self, number: int) -> bool:
        return self._foreground is not None and self._foreground.forward(number)

    def _hang_up(self, number: int) -> None:
        """Reload, unless it is the terminal that has gone: the kernel sends the same signal.

        A main command at a terminal gets it either way.
        """
        if self._has_terminal and self._forward(number):
            return
        if self._has_terminal and self._terminal_is_lost():
            self._shutdown.stop_signal(signal_name(number))
        else:
            self._reload()

    def _cannot_reexec(self) -> None:
        if self._shutdown.phase is Phase.RUNNING:
            message = "SIGUSR2 asks for a re-execution, which this version cannot do; ignored"
            self._supervisor.events.announce(Announcement("supervise.notice", {"message": message}))
