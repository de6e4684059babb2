"""One client of a monitor: bytes in, frames to the monitor; frames out, bounded.

A client that does not read makes the monitor stop reading the container's output, never grow.
"""

from __future__ import annotations

from runtime.container.monitor.loop import READ, WRITE
from runtime.wire import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable

    from runtime.container.monitor.loop import MonitorLoop

MUCH = 1 << 20  # bytes waiting for one client from which on it holds the output back
_CHUNK = 65536


class Peer:
    """One connection; the monitor owns it."""

    def __init__(
        self,
        loop: MonitorLoop,
        sock: _socket.socket,
        on_frame: Callable[[Peer, int, bytes], None],
        on_change: Callable[[Peer], None],
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._on_frame = on_frame
        self._on_change = on_change  # it has drained, or it is gone
        self._reader = frames.FrameReader()
        self._out = bytearray()
        self._events = READ
        self._held_back = False  # its input, while the container does not take it
        self.wants_output = False
        self.feeds_stdin = False
        self.closed = False
        sock.settimeout(0.0)
        loop.watch(sock.fileno(), READ, self._ready)

    @property
    def waiting(self) -> int:
        """Return how many bytes it has not taken yet."""
        return len(self._out)

    def send(self, frame: bytes) -> None:
        """Queue one frame and write what the socket takes."""
        if not self.closed:
            self._out += frame
            self._flush()

    def hold_back(self, *, hold: bool) -> None:
        """Stop or go on reading from it: the container's stdin is full."""
        self._held_back = hold
        self._watch()

    def close(self) -> None:
        """Let go of it."""
        if not self.closed:
            self.closed = True
            self._loop.unwatch(self._sock.fileno())
            self._sock.close()

    def finish(self) -> None:
        """Write what is left, waiting for it a little, and close: the monitor is about to end."""
        if not self.closed and self._out:
            self._sock.settimeout(1.0)
            try:
                self._sock.sendall(self._out)
            except OSError:
                self._out.clear()
        self.close()

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if events & READ and not self.closed:
            self._read()

    def _read(self) -> None:
        try:
            data = self._sock.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:  # ECONNRESET: it was killed
            data = b""
        try:
            found = self._reader.feed(data)
        except ValueError:
            data, found = b"", []
        for kind, body in found:
            self._on_frame(self, kind, body)
        if not data:
            self.close()
            self._on_change(self)

    def _flush(self) -> None:
        before = len(self._out)
        try:
            while self._out:
                sent = self._sock.send(self._out)
                del self._out[:sent]
        except BlockingIOError:
            self._watch()  # and go on when it has room
        except OSError:  # EPIPE: it is gone; reading will say so too
            self._out.clear()
        self._watch()
        if before > MUCH >= len(self._out):
            self._on_change(self)

    def _watch(self) -> None:
        events = (0 if self._held_back else READ) | (WRITE if self._out else 0)
        if not self.closed and events != self._events:
            self._events = events
            self._loop.watch(self._sock.fileno(), events, self._ready)
