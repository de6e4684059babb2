"""A pseudo-terminal with a person at it: types, reads the screen, changes the window's size."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import termios

from tests.support.drain import Drain
from tests.support.eventually import PATIENCE, eventually

CTRL_C, CTRL_Z, CTRL_D = "\x03", "\x1a", "\x04"


class Terminal:
    """Owns both ends; `device` is what a program gets as its standard streams."""

    def __init__(self, rows: int = 24, columns: int = 80) -> None:
        self._person, self.device = os.openpty()
        self.resize(rows, columns)
        self.client: subprocess.Popen[bytes] | None = (
            None  # the program on it, where one is waited for
        )
        self._drain: Drain | None = Drain({"screen": os.dup(self._person)})

    @property
    def screen(self) -> str:
        """Everything that was ever written to it, what the person typed included."""
        assert self._drain is not None, "it is closed"
        return self._drain.everything().decode("utf-8", "backslashreplace").replace("\r\n", "\n")

    def to_the_end(self) -> bytes:
        """Wait until no program has it any more; return every byte that was written to it."""
        assert self._drain is not None, "it is closed"
        self.release_device()
        assert self._drain.join(PATIENCE), "a program still holds the terminal"
        return self._drain.everything()

    def type(self, text: str) -> None:
        """Type *text*; control characters do what they do on a keyboard."""
        os.write(self._person, text.encode())

    def wait_for(self, text: str, timeout: float = PATIENCE) -> None:
        """Wait until *text* has been on the screen."""
        try:
            eventually(lambda: text in self.screen, timeout)
        except AssertionError:
            raise AssertionError(f"the screen never showed {text!r}:\n{self.screen}") from None

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the window; the foreground process group gets SIGWINCH."""
        fcntl.ioctl(self._person, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def release_device(self) -> None:
        """Close our copy of what the program has, so that its end is seen."""
        if self.device >= 0:
            os.close(self.device)
            self.device = -1

    def hang_up(self) -> None:
        """Close the window: the session's leader gets SIGHUP."""
        self.release_device()
        if self._drain is not None:
            self._drain.close()
            self._drain = None
            os.close(self._person)

    def close(self) -> None:
        """Release everything; idempotent."""
        self.hang_up()
