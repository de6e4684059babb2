"""One client of the control socket: reads calls in order, one at a time, writes replies.

A call may be answered at once or much later (waits, streams); meanwhile nothing more is read, so
a client cannot make us hold its requests.  Replies are held only as long as the kernel does not
take them; who produces a stream asks `ControlRequest.has_room` first.  What the calls mean is in
`supervise.daemon.control.methods`.
"""

from __future__ import annotations

from supervise.daemon.loop import HANGUP, READABLE, WRITABLE
from supervise.wire import varlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    from supervise.daemon.loop import Loop
    from supervise.linux.unixsocket import PeerCredentials

    class Server(Protocol):
        """What a connection needs of the control socket."""

        def dispatch(self, request: ControlRequest) -> None:
            """Answer *request*, now or later."""

        def has_worked(self, connection: ControlConnection) -> None:
            """Note that *connection* is alive; it may be told to close when memory is short."""

        def has_closed(self, connection: ControlConnection) -> None:
            """Forget *connection*."""


CHUNK = 64 * 1024  # bytes read a turn
_CALLS_A_TURN = 32
MAX_STRANGERS_MESSAGE = 4096  # bytes; enough to be told that one may do nothing


class Role:
    """What a peer may do."""

    NOTHING, READ, OPERATE = range(3)


class ControlRequest:
    """One call and the way to answer it: any number of `stream`, then `reply` or `fail`.

    After the last answer, or when the client has gone, what `when_over` was given has been run.
    """

    __slots__ = ("_cleanups", "_connection", "_over", "call", "on_room", "parameters")

    def __init__(self, connection: ControlConnection, call: varlink.Call) -> None:
        self.call = call
        self.parameters: dict[str, Any] = {}  # checked, every optional one there
        self.on_room: Callable[[], None] | None = None  # called when the output has been taken
        self._connection = connection
        self._cleanups: list[Callable[[], None]] = []
        self._over = False

    @property
    def peer(self) -> PeerCredentials:
        """Return who calls."""
        return self._connection.peer

    @property
    def role(self) -> int:
        """Return what the caller may do, one of `Role`."""
        return self._connection.role

    @property
    def owner(self) -> ControlConnection:
        """Return whom a fault in handling this costs, for the loop."""
        return self._connection

    @property
    def more(self) -> bool:
        """Return whether the caller takes several replies."""
        return self.call.more and not self.call.oneway

    @property
    def has_room(self) -> bool:
        """Return whether all that was sent before has been taken."""
        return not self._over and not self._connection.pending

    def stream(self, **parameters: Any) -> None:
        """Send a reply that others follow."""
        if not self._over and not self.call.oneway:
            self._connection.send(varlink.encode_reply(parameters, continues=True))

    def reply(self, **parameters: Any) -> None:
        """Send the last or only reply."""
        self._finish(None if self.call.oneway else varlink.encode_reply(parameters))

    def fail(self, error: str, parameters: Mapping[str, Any]) -> None:
        """Refuse the call with a qualified error name."""
        self._finish(None if self.call.oneway else varlink.encode_error(error, parameters))

    def hang_up(self) -> None:
        """Close the connection as soon as what was sent has been taken."""
        self._connection.close_when_sent()

    def when_over(self, cleanup: Callable[[], None]) -> None:
        """Run *cleanup* once, when the last answer is out or the client has gone."""
        self._cleanups.append(cleanup)

    def release(self) -> None:
        """Run the clean-ups; idempotent."""
        self._over = True
        self.on_room = None
        cleanups, self._cleanups = self._cleanups, []
        for cleanup in cleanups:
            cleanup()

    def _finish(self, answer: bytes | None) -> None:
        if self._over:
            return
        self.release()
        if answer is not None:
            self._connection.send(answer)
        self._connection.call_is_over()


class ControlConnection:
    """A client, from accept to close.  As an owner of the loop, a fault costs it alone."""

    def __init__(
        self, loop: Loop, server: Server, sock: _socket.socket, peer: PeerCredentials, role: int
    ) -> None:
        self.name = f"control client {peer.pid}"
        self.peer = peer
        self.role = role
        self._loop = loop
        self._server = server
        self._sock = sock
        self._fd = sock.fileno()
        strangers = role == Role.NOTHING
        self._frames = varlink.Frames(MAX_STRANGERS_MESSAGE if strangers else varlink.MAX_MESSAGE)
        self._output = bytearray()
        self._request: ControlRequest | None = None
        self._interest = READABLE
        self._ended = False  # the client will send no more
        self._leaving = False  # close once the output has been taken
        self._closed = False
        self._working = False
        loop.watch(self._fd, READABLE, self._is_ready, self)

    @property
    def pending(self) -> int:
        """Return how many bytes of output the client has not taken yet."""
        return len(self._output)

    @property
    def weight(self) -> int:
        """Return how many bytes are held for this client."""
        return len(self._output) + len(self._frames)

    @property
    def is_idle(self) -> bool:
        """Return whether closing it interrupts nothing: no call runs, all output is taken."""
        return self._request is None and not self._output

    def send(self, data: bytes) -> None:
        """Write *data*, or hold what the kernel does not take now."""
        if self._closed:
            return
        if not self._output:
            data = data[self._write(data) :]
        self._output += data
        self._server.has_worked(self)
        self._update()

    def call_is_over(self) -> None:
        """Go on with the next call, from the loop: the caller may be deep in a callback."""
        self._request = None
        if not self._working and not self._closed:
            self._loop.call_soon(self._work, self)

    def close_when_sent(self) -> None:
        """Take no more calls; close as soon as all output has been taken."""
        self._leaving = True
        self._update()

    def close(self) -> None:
        """Forget everything; idempotent."""
        if self._closed:
            return
        self._closed = True
        self._loop.forget(self._fd)
        self._sock.close()
        self._output.clear()
        self._server.has_closed(self)
        request, self._request = self._request, None
        if request is not None:
            request.release()

    abandon = close

    def _is_ready(self, events: int) -> None:
        if events & WRITABLE and self._output:
            del self._output[: self._write(self._output)]
            if not self._output:
                self._output = bytearray()  # a cleared one keeps its memory
                self._has_room()
        if events & READABLE and self._wants_calls():
            self._read()
        elif events & HANGUP:
            self.close()  # nobody is there to be answered
        self._work()

    def _has_room(self) -> None:
        if self._request is not None and self._request.on_room is not None:
            self._request.on_room()

    def _read(self) -> None:
        try:
            data = self._sock.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:  # ECONNRESET: it left without reading our reply
            self.close()
            return
        self._ended = not data
        self._frames.feed(data)
        self._server.has_worked(self)

    def _work(self) -> None:
        """Take calls until one stays unanswered; then tell epoll what to wait for."""
        self._working = True
        calls = 0
        while self._wants_calls() and calls < _CALLS_A_TURN:
            calls += 1
            try:
                message = self._frames.next()
                call = None if message is None else varlink.decode_call(message)
            except varlink.ProtocolError:
                self.close()  # varlink has no reply to what is no call
                break
            if call is None:
                self._leaving = self._leaving or self._ended
                break
            self._request = ControlRequest(self, call)
            self._server.dispatch(self._request)
        self._working = False
        if calls == _CALLS_A_TURN:
            self._loop.call_soon(self._work, self)
        self._update()

    def _wants_calls(self) -> bool:
        return self._request is None and not (self._output or self._leaving or self._closed)

    def _write(self, data: bytes | bytearray) -> int:
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._leaving = True  # EPIPE: closed by _update, not under the feet of a sender
            return len(data)

    def _update(self) -> None:
        if self._closed or self._working:
            return
        if self._leaving and not self._output:
            # Not from here: callers of `send` go on using the connection.
            self._loop.call_soon(self.close, self)
            return
        interest = WRITABLE if self._output else 0
        if self._wants_calls() and not self._ended:
            interest |= READABLE
        if interest != self._interest:
            self._interest = interest
            self._loop.change(self._fd, interest)
