"""What a person may do next, as a value: each program says it in its own words.

Whoever finds that something is wrong says what would help, and knows no command line.  The words of
`supervisectl`, which the texts of the API have as well, are in `supervise.wire.hints`.
"""

from __future__ import annotations

import enum

from supervise.model.record import Record


class HintKind(enum.Enum):
    """What to do about the service that the hint names."""

    START = "start"
    RESTART = "restart"  # it cannot reload: declare a way, or restart it
    EXPLAIN = "explain"  # ask why it is as it is
    LOGS = "logs"  # read its log
    LAST_LINES = "last_lines"  # read the end of its log
    AWAIT_READY = "await_ready"  # it has no healthcheck: declare one, or wait for readiness
    SEE_STACK = "see_stack"  # a process hangs in the kernel
    UNCHANGED = "unchanged"  # nothing need be done: it goes on as it was


class Hint(Record):
    """What to do, and with which service."""

    kind: HintKind
    service: str
