"""Signal masks and dispositions: sigprocmask(2), sigaction(2), kill(2), killpg(3)."""

from __future__ import annotations

# `signal` makes enums of all this, which costs 5 ms.
import _signal as signal  # type: ignore[import-not-found]
import os

# Sent by a fault of our own code or impossible to catch: they keep their default action, so that a
# crash of the interpreter is a crash (tini leaves out the same ones).
FAULTS = frozenset({4, 5, 6, 7, 8, 11, 31})  # ILL TRAP ABRT BUS FPE SEGV SYS
UNCATCHABLE = frozenset({signal.SIGKILL, signal.SIGSTOP})
# A background process that touches the terminal is stopped by these (setpgid(2), tcsetpgrp(3)).
TERMINAL_STOPS = frozenset({signal.SIGTTIN, signal.SIGTTOU})


def catchable() -> list[int]:
    """Return every signal PID 1 handles: all but faults, the uncatchable and terminal stops."""
    left_out = FAULTS | UNCATCHABLE | TERMINAL_STOPS
    numbers = [int(number) for number in signal.valid_signals() if number not in left_out]
    return sorted(numbers)


def unblock_all() -> frozenset[int]:
    """Empty the mask and return what was blocked: a launcher may have held signals back for us."""
    return frozenset(int(n) for n in signal.pthread_sigmask(signal.SIG_SETMASK, ()))


def block_all() -> set[int]:
    """Block everything and return the mask to restore."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    return {int(number) for number in before}


def restore_mask(mask: set[int]) -> None:
    """Set the mask that `block_all` returned."""
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def ignore_terminal_stops() -> None:
    """Make sure that writing to a terminal we do not own never stops us."""
    for number in TERMINAL_STOPS:
        signal.signal(number, signal.SIG_IGN)


def default_terminal_stops() -> None:
    """Undo `ignore_terminal_stops` for a moment: execve(2) keeps ignored signals ignored."""
    for number in TERMINAL_STOPS:
        signal.signal(number, signal.SIG_DFL)


def terminal_stops_are_ignored() -> bool:
    """Return whether `ignore_terminal_stops` is in force."""
    return bool(signal.getsignal(signal.SIGTTOU) == signal.SIG_IGN)


def reset_all() -> None:
    """Give every signal its default action: execve(2) keeps ignored signals ignored."""
    for number in signal.valid_signals():
        try:
            signal.signal(number, signal.SIG_DFL)
        except OSError:  # EINVAL: KILL, STOP and those libc keeps for itself
            continue


def kill(pid: int, number: int) -> bool:
    """Send *number* to *pid*; False when there is no such process.

    Raises:
        PermissionError: it runs as another user and we are not root.
    """
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def kill_group(group: int, number: int) -> bool:
    """Send *number* to every member of the process group; False when it has no members.

    0 as *number* only asks.  A member we may not signal still counts as there.
    """
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
