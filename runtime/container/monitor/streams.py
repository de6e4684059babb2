"""A container's stdin, stdout and stderr as its monitor sees them: pipes, or one terminal.

Output goes to the log and to every attached client; input comes from whoever is attached with
stdin.  Never blocks; holds at most some 64 KiB of input.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import termios

from runtime.container.monitor.loop import READ, WRITE
from runtime.model.contexts import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.container.monitor.loop import MonitorLoop

_CHUNK = 65536
_MOST_INPUT = 65536  # bytes waiting for the container


class Streams:
    """The descriptors of one life of a container."""

    def __init__(
        self,
        loop: MonitorLoop,
        on_output: Callable[[str, bytes], None],
        on_input_room: Callable[[bool], None],
    ) -> None:
        self._loop = loop
        self._on_output = on_output  # (stdout | stderr, data)
        self._on_input_room = on_input_room  # whether more input is welcome
        self._outputs: dict[int, str] = {}  # descriptor → stream
        self._in_fd = -1
        self._input = bytearray()
        self._closing_input = False
        self._paused = False
        self._terminal = False

    def open_pipes(self, *, stdin: bool) -> tuple[int, int, int]:
        """Make pipes and return the container's ends; the caller closes those after the start."""
        if stdin:
            theirs_in, self._in_fd = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(self._in_fd, False)
        else:
            theirs_in = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        ends = [theirs_in]
        for stream in ("stdout", "stderr"):
            ours, theirs = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(ours, False)
            self._outputs[ours] = stream
            ends.append(theirs)
        return ends[0], ends[1], ends[2]

    def take_terminal(self, owned_master_fd: int, *, stdin: bool) -> None:
        """Use a pty's master for all three."""
        os.set_blocking(owned_master_fd, False)
        self._terminal = True
        self._outputs[owned_master_fd] = "stdout"
        self._in_fd = owned_master_fd if stdin else -1

    def start(self) -> None:
        """Begin to read."""
        self._watch()

    def feed(self, data: bytes) -> None:
        """Give the container input."""
        if self._in_fd >= 0 and not self._closing_input:
            self._input += data
            self._write()

    def close_input(self) -> None:
        """Let the container see the end of its input once it has read what is waiting."""
        self._closing_input = True
        self._write()

    def resize(self, rows: int, columns: int) -> None:
        """Tell the terminal, and so the program, its size."""
        if self._terminal and self._outputs:
            master = next(iter(self._outputs))
            fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def pause(self, *, pause: bool) -> None:
        """Stop or go on reading the output: a client does not keep up."""
        if pause != self._paused:
            self._paused = pause
            self._watch()

    def drain(self) -> None:
        """Read what is left: the container's processes have ended."""
        for fd in list(self._outputs):
            while fd in self._outputs and self._read(fd):
                pass

    def close(self) -> None:
        """Give all descriptors back."""
        for fd in {*self._outputs, self._in_fd} - {-1}:
            self._loop.unwatch(fd)
            os.close(fd)
        self._outputs.clear()
        self._in_fd = -1

    def _watch(self) -> None:
        for fd in self._outputs:
            wanted = 0 if self._paused else READ
            if fd == self._in_fd and self._input:
                wanted |= WRITE
            if wanted:
                self._loop.watch(fd, wanted, lambda events, fd=fd: self._ready(fd, events))  # type: ignore[misc]
            else:
                self._loop.unwatch(fd)
        if self._in_fd >= 0 and self._in_fd not in self._outputs:
            if self._input:
                self._loop.watch(self._in_fd, WRITE, lambda _events: self._write())
            else:
                self._loop.unwatch(self._in_fd)

    def _ready(self, fd: int, events: int) -> None:
        if events & WRITE and fd == self._in_fd:
            self._write()
        if events & READ and fd in self._outputs and not self._paused:
            self._read(fd)

    def _read(self, fd: int) -> bool:
        """Read once; return whether there may be more."""
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.EIO:  # a terminal that nobody has open any more
                raise
            data = b""
        if data:
            self._on_output(self._outputs[fd], data)
            return True
        if self._terminal:
            # Somebody may open it again (a shell that starts another session): only the end of
            # the container is the end.  Reading on would spin.
            self._loop.unwatch(fd)
            return False
        self._loop.unwatch(fd)
        del self._outputs[fd]
        os.close(fd)
        return False

    def _write(self) -> None:
        if self._in_fd < 0:
            return
        try:
            while self._input:
                del self._input[: os.write(self._in_fd, self._input)]
        except BlockingIOError:
            self._watch()
            self._on_input_room(len(self._input) < _MOST_INPUT)
            return
        except OSError:  # EPIPE, EIO: nobody reads it any more
            self._input.clear()
            self._closing_input = True
        self._on_input_room(True)  # noqa: FBT003 - a callback with one argument
        if self._closing_input and self._in_fd not in self._outputs:
            self._loop.unwatch(self._in_fd)
            with suppress(OSError):
                os.close(self._in_fd)
            self._in_fd = -1
        self._watch()
