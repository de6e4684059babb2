"""A failure in the words that a user is shown: what went wrong, and the way out."""

from __future__ import annotations

import os
import sys

from supervise.model.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.language.commandline import UsageError
    from runtime.model.errors import RuntimeFailure

_ENOSYS = 38


def print_failure(failure: RuntimeFailure | UsageError) -> None:
    """Say what went wrong, once, and the way out if there is one."""
    text = f"runtime: {failure.message}\n"
    if hint := failure.hint or _hint_at_kernel(failure.message):
        text += f"{hint}\n"
    sys.stderr.write(printable(text, keep="\n\t"))
    sys.stderr.flush()


def _hint_at_kernel(message: str) -> str:
    """Return what to do about a system call that is not there, whoever made it."""
    if os.strerror(_ENOSYS) not in message:
        return ""
    release = os.uname().release
    return f"it takes Linux 5.12 or later and no filter that forbids the call; here is {release}"
