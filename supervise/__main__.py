"""The command `supervise`: take the signals, then everything else.

As PID 1 a signal without a handler is lost (pid_namespaces(7)), so handlers come before any other
import.  They only note the number; the loop takes the notes over.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

VERBS = ("check", "schema", "compile", "explain-config")
EARLY = (15, 1, 2, 3, 10, 12, 30, 37)  # TERM HUP INT QUIT USR1 USR2 PWR RTMIN+3


def main() -> int:
    """Run the verb or the init that the command line asks for; returns the exit code."""
    words = sys.argv[1:]
    if words and words[0] in VERBS:
        from supervise.config import config_verbs

        return config_verbs.main(words)
    early = _hold_signals()
    from supervise.daemon.main import run

    return run(words, early)


def _hold_signals() -> list[int]:
    """Note every signal that asks something of us; returns the growing list of numbers."""
    # `signal` wraps this module in enums and costs 5 ms; SIGTERM cannot wait for that.
    import _signal  # type: ignore[import-not-found]
    import faulthandler

    if faulthandler.is_enabled():
        # By PYTHONFAULTHANDLER: handlers would run on its small stack until `handlerstack` has seen
        # to that.  Blocked signals wait, they are not lost.
        _signal.pthread_sigmask(_signal.SIG_BLOCK, EARLY)
    noted: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        noted.append(number)

    for number in EARLY:
        _signal.signal(number, note)
    return noted


if __name__ == "__main__":
    sys.exit(main())
