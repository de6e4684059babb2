"""Everybody who is connected to a monitor: the listening socket, the peers, who waits for the end."""

from __future__ import annotations

import _socket
import os

from runtime.container.monitor.loop import READ
from runtime.container.monitor.peer import MUCH, Peer
from runtime.model.contexts import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.container.monitor.loop import MonitorLoop

SOCKET = "monitor.sock"
_BACKLOG = 64


class Clients:
    """The peers of one monitor."""

    def __init__(
        self,
        loop: MonitorLoop,
        run_directory: str,
        on_frame: Callable[[Peer, int, bytes], None],
        on_change: Callable[[Peer], None],
    ) -> None:
        self._loop = loop
        self._on_frame = on_frame
        self._on_change = on_change  # one has drained, or has gone
        self.peers: list[Peer] = []
        self._waiting: list[Peer] = []  # who asked for the end and hears of it
        self._listener = _listen(run_directory)
        loop.watch(self._listener.fileno(), READ, self._accept)

    def add(self, sock: _socket.socket) -> Peer:
        """Take one more."""
        peer = Peer(self._loop, sock, self._on_frame, self._changed)
        self.peers.append(peer)
        return peer

    def drop(self, peer: Peer) -> None:
        """Let one go that makes no sense."""
        peer.close()
        self._changed(peer)

    def await_end(self, peer: Peer) -> None:
        """Let the peer hear of the container's end."""
        self._waiting.append(peer)

    def tell_all(self, frame: bytes) -> None:
        """Send a frame to everybody."""
        for peer in self.peers:
            peer.send(frame)

    def tell_viewers(self, frame: bytes) -> None:
        """Send a frame to those who want the output."""
        for peer in self.peers:
            if peer.wants_output:
                peer.send(frame)

    def tell_waiting(self, frame: bytes) -> None:
        """Send a frame to those who wait for the end, who wait no more."""
        for peer in self._waiting:
            peer.send(frame)
        self._waiting.clear()

    def are_slow(self) -> bool:
        """Return whether one has not taken so much that the output must wait for it."""
        return any(peer.waiting > MUCH for peer in self.peers)

    def hold_back(self, *, hold: bool) -> None:
        """Stop or go on reading the input they send."""
        for peer in self.peers:
            if peer.feeds_stdin:
                peer.hold_back(hold=hold)

    def finish(self) -> None:
        """Let them all have what is left, and go."""
        for peer in list(self.peers):
            peer.finish()

    def _changed(self, peer: Peer) -> None:
        if peer.closed:
            self.peers.remove(peer)
            if peer in self._waiting:
                self._waiting.remove(peer)
        self._on_change(peer)

    def _accept(self, _events: int) -> None:
        try:
            fd, _ = self._listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - of _socket
        except OSError:  # it left again, or we are out of descriptors: it will try again
            return
        self.add(_socket.socket(fileno=fd))


def _listen(run_directory: str) -> _socket.socket:
    """Listen below the run directory; by way of its descriptor, for paths may be long."""
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    with suppress(FileNotFoundError):
        os.unlink(f"{run_directory}/{SOCKET}")
    directory_fd = os.open(run_directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener.bind(f"/proc/self/fd/{directory_fd}/{SOCKET}")
        os.chmod(f"{run_directory}/{SOCKET}", 0o600)
    finally:
        os.close(directory_fd)
    listener.listen(_BACKLOG)
    listener.settimeout(0.0)
    return listener
