"""The container's stdout and stderr, as PID 1 writes to them.

Services that are relayed and our own events come through here; `raw` services without a file
write to the same descriptors by themselves.
"""

from __future__ import annotations

import os

from supervise.daemon.logs import sinks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervise.daemon.logs.sinks import Announce, Outlet
    from supervise.daemon.loop import Loop
    from supervise.model.announcement import Announcement

# What a `logs.file` may say to mean the console instead of a second way to the same file.
_STREAM_OF_PATH = {
    "/dev/stdout": "stdout",
    "/dev/fd/1": "stdout",
    "/proc/self/fd/1": "stdout",
    "/dev/stderr": "stderr",
    "/dev/fd/2": "stderr",
    "/proc/self/fd/2": "stderr",
}
_MAX_LINKS = 8


class Console:
    """Owns the descriptors *out* and *err* for writing; never blocks, never changes their flags.

    When both lead to the same file they share one outlet, so that lines cannot interleave.
    """

    def __init__(
        self,
        loop: Loop,
        out: int = 1,
        err: int = 2,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._announce: Announce = _nobody
        colours = not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
        self._outlets = {"stdout": sinks.open_outlet(loop, "stdout", out, self.announce)}
        self._coloured = {"stdout": colours and os.isatty(out)}
        if _same_file(out, err):
            self._outlets["stderr"] = self._outlets["stdout"]
        else:
            self._outlets["stderr"] = sinks.open_outlet(loop, "stderr", err, self.announce)
        self._coloured["stderr"] = colours and os.isatty(err)

    def outlet(self, stream: str) -> Outlet:
        """Return where ``stdout`` or ``stderr`` goes."""
        return self._outlets[stream]

    def coloured(self, stream: str) -> bool:
        """Return whether people look at *stream* on a terminal that shows colours."""
        return self._coloured[stream]

    def announce_with(self, announce: Announce) -> None:
        """Tell *announce* of trouble from here on."""
        self._announce = announce

    def announce(self, announcement: Announcement) -> None:
        """Hand on what an outlet says about itself."""
        self._announce(announcement)

    def close(self) -> None:
        """Close what was opened for writing, and leave *out* and *err* as they were."""
        for outlet in {id(outlet): outlet for outlet in self._outlets.values()}.values():
            outlet.close()

    def finish(self, deadline: float) -> None:
        """Write what is queued until *deadline* (monotonic seconds); what is left is lost."""
        for outlet in self._outlets.values():
            outlet.finish(deadline)


def stream_of_path(path: str) -> str | None:
    """Return stdout or stderr when *path* means one of them, else None.

    They are not opened by path: that is refused to other users, impossible for sockets, and
    another description with an offset of its own (corner case 29).
    """
    for _ in range(_MAX_LINKS):
        if path in _STREAM_OF_PATH:
            return _STREAM_OF_PATH[path]
        try:
            # Images link /var/log/x.log to /dev/stdout; the last link of all is the pipe's name.
            path = os.path.join(os.path.dirname(path), os.readlink(path))
        except OSError:
            return None
    return None


def _nobody(_announcement: Announcement) -> None:
    """Ignore trouble before the relay is there to announce it."""


def _same_file(first: int, second: int) -> bool:
    try:
        one, other = os.fstat(first), os.fstat(second)
    except OSError:
        return False
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
