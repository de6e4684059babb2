"""A descriptor that a signal makes readable, for who waits in poll(2) and is to hear of signals.

Python runs a handler between two of its own instructions.  A signal that comes after the last of
them and before the system call interrupts nothing, and the call waits on: see signal.set_wakeup_fd.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os

from runtime.model.contexts import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class WakeUp:
    """The descriptor, as long as the context lasts; in the main thread alone."""

    def __init__(self) -> None:
        self.fd, self._write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._before: int = _signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _signal.set_wakeup_fd(self._before, warn_on_full_buffer=False)
        os.close(self._write_fd)
        os.close(self.fd)

    def drain(self) -> None:
        """Forget the signals so far; their handlers have run by now."""
        with suppress(BlockingIOError):
            while os.read(self.fd, 4096):
                pass
