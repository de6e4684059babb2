"""sd_notify(3) datagrams: what a service says of itself.

READY and STATUS are understood.  The other keys that systemd knows are recognised and handed on
as unsupported, so that PID 1 can say once that it does not act on them; unknown keys are
skipped, as systemd does.  Who sent a datagram is not in it: `supervise.linux.notifysocket` learns
that from the kernel.  `supervise.daemon.readiness.notifications` calls this.
"""

from __future__ import annotations

from supervise.model.printable import printable
from supervise.model.record import Record

# systemd 257's sd_notify(3).  BARRIER is missing on purpose: closing its descriptor is the answer.
UNSUPPORTED = frozenset(
    {
        "BUSERROR",
        "ERRNO",
        "EXIT_STATUS",
        "EXTEND_TIMEOUT_USEC",
        "FDNAME",
        "FDPOLL",
        "FDSTORE",
        "FDSTOREREMOVE",
        "MAINPID",
        "MAINPIDFDID",
        "MONOTONIC_USEC",
        "NOTIFYACCESS",
        "RELOADING",
        "STOPPING",
        "VARLINKERROR",
        "WATCHDOG",
        "WATCHDOG_USEC",
    }
)


class Notification(Record):
    """What one datagram said.  All defaults: it had no key that we act on."""

    ready: bool = False
    status: str | None = None  # printable, one line; "" takes an earlier one back
    unsupported: tuple[tuple[str, str], ...] = ()  # (key, value), in the order they came


def parse(datagram: bytes) -> Notification:
    """Return what *datagram* says; skip malformed lines, never raise.

    Of a key that comes twice the first counts, as with systemd.  Bytes that are not UTF-8
    become U+FFFD; controls are escaped: the text ends up on people's terminals.
    """
    ready = False
    status: str | None = None
    unsupported = []
    for line in datagram.decode("utf-8", "replace").split("\n"):
        key, separator, value = line.partition("=")
        if not separator:
            continue
        if key == "READY":
            ready = ready or value == "1"
        elif key == "STATUS":
            status = printable(value) if status is None else status
        elif key in UNSUPPORTED:
            unsupported.append((key, printable(value)))
    return Notification(ready, status, tuple(unsupported))
