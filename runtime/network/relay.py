"""The relay: a small process that passes connections and datagrams to one container.

For what nft does not translate: IPv6 to a container that has none, ``[::1]``, and everything on
a machine without nft.  Forked without exec by the container's monitor, which holds the listening
sockets, forks it anew when it dies (`Networks.child_ended`), and whose end ends it: they share a
pipe.  The container sees the machine's address as its client, as it does with docker's proxy.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import _socket as socket
import errno
import gc
import os
import resource
import select
import time

from supervise.linux import prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_CHUNK = 65536
_IDLE = 90.0  # seconds until a UDP client without traffic is forgotten, docker's figure
_MOST_CLIENTS = 4096  # of UDP at once; the one idle longest makes room
_PR_SET_NAME = 15
_IP_PKTINFO = 8  # socket.IP_PKTINFO is there from Python 3.13 on
_PACKET_INFO = {
    socket.AF_INET: (socket.IPPROTO_IP, _IP_PKTINFO),
    socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO),
}
_ANCILLARY = 256

Target = tuple[str, int]  # the container's address and port


class PortRelay:
    """A running relay, seen from its parent."""

    def __init__(self, services: Sequence[tuple[socket.socket, Target]]) -> None:
        """Fork it; *services* are (listening or bound socket, where to), kept by the caller."""
        self._services = services
        self.pid = 0
        self._pipe = -1
        self.start()

    def start(self) -> None:
        """Fork the process; also the successor of one that died."""
        self._close_pipe()
        read_fd, self._pipe = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if not pid:
            _live(self._services, read_fd)
        os.close(read_fd)
        self.pid = pid

    def stop(self) -> None:
        """End the process and reap it; connections through it break."""
        self._close_pipe()
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            return  # it has ended, and the caller's loop has reaped it

    def _close_pipe(self) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1


def _live(services: Sequence[tuple[socket.socket, Target]], pipe_fd: int) -> None:
    """Run the relay in the child until the parent ends; never returns."""
    try:
        _leave_parent(services, pipe_fd)
        RelayLoop(services, pipe_fd).run()
        os._exit(0)
    finally:
        os._exit(70)  # an exception: the parent's code must not run in this child


def _leave_parent(services: Sequence[tuple[socket.socket, Target]], pipe_fd: int) -> None:
    """Drop what fork copied: signal handlers, descriptors, session."""
    gc.disable()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.setsid()
    prctl.libc().prctl(_PR_SET_NAME, b"runtime-relay")
    kept = sorted({pipe_fd, *(listener.fileno() for listener, _ in services)})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = 3
    for fd in kept:
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, 1 << 20)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class RelayLoop:
    """Wait for events and dispatch each to its handler: the main loop of the relay process."""

    def __init__(self, services: Sequence[tuple[socket.socket, Target]], pipe_fd: int) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, _Listener | _RelayedConnection | _Datagrams | _Client] = {}
        self._pipe_fd = pipe_fd
        self._epoll.register(pipe_fd, select.EPOLLIN)
        self._datagrams: list[_Datagrams] = []
        for owned, target in services:
            owned.settimeout(0)
            if owned.type == socket.SOCK_STREAM:
                self.watch(owned.fileno(), _Listener(self, owned, target), select.EPOLLIN)
            else:
                made = _Datagrams(self, owned, target)
                self._datagrams.append(made)
                self.watch(owned.fileno(), made, select.EPOLLIN)

    def run(self) -> None:
        """Serve until the parent's end of the pipe is closed."""
        while True:
            for fd, events in self._epoll.poll(self._timeout()):
                if fd == self._pipe_fd:
                    return
                handler = self._handlers.get(fd)
                if handler is not None:  # else an event before it closed this one
                    handler.on_ready(fd, events)
            now = time.monotonic()
            for each in self._datagrams:
                each.forget_idle(now)

    def _timeout(self) -> float:
        """Return the seconds until a UDP client may be forgotten, -1 for no limit."""
        due = [each.next_due() for each in self._datagrams]
        times = [when for when in due if when is not None]
        return max(0.0, min(times) - time.monotonic()) if times else -1

    def watch(
        self, fd: int, handler: _Listener | _RelayedConnection | _Datagrams | _Client, events: int
    ) -> None:
        """Have *handler* called when *fd* is ready for *events*."""
        self._handlers[fd] = handler
        self._epoll.register(fd, events)

    def change(self, fd: int, events: int) -> None:
        """Wait for other events on a descriptor that is watched."""
        self._epoll.modify(fd, events)

    def forget(self, owned: socket.socket) -> None:
        """Close a socket that is watched."""
        fd = owned.fileno()
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)
        owned.close()


class _Listener:
    """Accepts connections to one published port."""

    def __init__(self, loop: RelayLoop, owned: socket.socket, target: Target) -> None:
        self._loop = loop
        self._socket = owned
        self._target = target

    def on_ready(self, fd: int, events: int) -> None:  # noqa: ARG002 - as of all handlers
        """Accept the waiting connections."""
        while True:
            try:
                client_fd, _ = self._socket._accept()  # type: ignore[attr-defined]  # noqa: SLF001
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                    time.sleep(0.01)  # the queue stays; a connection that ends makes room
                return  # EAGAIN, or the client left before we came
            _RelayedConnection(self._loop, socket.socket(fileno=client_fd), self._target)


class _RelayedConnection:
    """One client's TCP connection and the one into the container."""

    def __init__(self, loop: RelayLoop, client: socket.socket, target: Target) -> None:
        self._loop = loop
        self._client = client
        family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        self._server = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._other = {client: self._server, self._server: client}
        self._pending = {client: b"", self._server: b""}  # by where it goes
        self._ended: set[socket.socket] = set()  # those that will send no more
        self._connected = False
        for each in self._other:
            each.settimeout(0)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The container most often closes first: the kernel then keeps the client's connection in
        # TIME_WAIT for a minute, and without this nobody, not even we, could bind the port.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        started = self._server.connect_ex(target)
        loop.watch(client.fileno(), self, 0)
        loop.watch(self._server.fileno(), self, select.EPOLLOUT)
        if started not in {0, errno.EINPROGRESS}:
            self._break()

    def on_ready(self, fd: int, events: int) -> None:
        """Move what can be moved."""
        side = self._client if fd == self._client.fileno() else self._server
        try:
            if not self._connected and not self._finish_connecting(side):
                return
            if events & select.EPOLLOUT:
                self._flush(side)
            if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                self._fill(side)
            self._settle()
        except BlockingIOError:
            self._settle()
        except OSError:
            self._break()  # one side reset the connection: so do we to the other

    def _finish_connecting(self, side: socket.socket) -> bool:
        """Return whether the container accepted; the client is told when it did not."""
        if side is not self._server:
            self._break()  # the client left while we knocked
            return False
        failed = self._server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            self._break()
            return False
        self._connected = True
        return True

    def _fill(self, source: socket.socket) -> None:
        goal = self._other[source]
        if source in self._ended or self._pending[goal]:
            return
        data = source.recv(_CHUNK)
        if not data:
            self._ended.add(source)
            goal.shutdown(socket.SHUT_WR)
            return
        self._pending[goal] = data
        self._flush(goal)

    def _flush(self, goal: socket.socket) -> None:
        data = self._pending[goal]
        if data:
            try:
                self._pending[goal] = data[goal.send(data) :]
            except BlockingIOError:
                return  # EPOLLOUT says when

    def _settle(self) -> None:
        """Wait for what can happen next, or close when both sides have ended."""
        if len(self._ended) == 2:
            self._close()
            return
        for side, other in self._other.items():
            events = 0
            if self._pending[side]:
                events |= select.EPOLLOUT
            if side not in self._ended and not self._pending[other]:
                events |= select.EPOLLIN
            self._loop.change(side.fileno(), events)

    def _break(self) -> None:
        for side in self._other:
            # Close with a reset, as a port without a listener answers.
            side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._close()

    def _close(self) -> None:
        for side in self._other:
            self._loop.forget(side)


class _Datagrams:
    """One published UDP port: a socket of its own for each client, so that answers find back."""

    def __init__(self, loop: RelayLoop, owned: socket.socket, target: Target) -> None:
        self.loop = loop
        self.socket = owned
        self.target = target
        self.clients: dict[tuple[object, ...], _Client] = {}  # the idlest first
        level, option = _PACKET_INFO[owned.family]
        wish = socket.IPV6_RECVPKTINFO if level == socket.IPPROTO_IPV6 else option
        owned.setsockopt(level, wish, 1)

    def on_ready(self, fd: int, events: int) -> None:  # noqa: ARG002 - as of all handlers
        """Pass on what has arrived, at most a batch."""
        for _ in range(64):
            try:
                data, ancillary, _, source = self.socket.recvmsg(_CHUNK, _ANCILLARY)
            except OSError:
                return  # EAGAIN, or an ICMP error about an answer of ours
            client = self.clients.pop(source, None) or self._new_client(source, ancillary)
            if client is not None:
                self.clients[source] = client
                client.send(data)

    def _new_client(
        self, source: tuple[object, ...], ancillary: list[tuple[int, int, bytes]]
    ) -> _Client | None:
        if len(self.clients) >= _MOST_CLIENTS:
            self.forget(next(iter(self.clients)))
        try:
            return _Client(self, source, ancillary)
        except OSError:
            return None  # out of descriptors: a datagram may be lost

    def forget(self, source: tuple[object, ...]) -> None:
        """Close one client's socket."""
        self.loop.forget(self.clients.pop(source).socket)

    def next_due(self) -> float | None:
        """Return when the idlest client may be forgotten."""
        first = next(iter(self.clients.values()), None)
        return first.used + _IDLE if first else None

    def forget_idle(self, now: float) -> None:
        """Forget the clients that are idle."""
        while (due := self.next_due()) is not None and due <= now:
            self.forget(next(iter(self.clients)))


class _Client:
    """One UDP client's way into the container and back."""

    def __init__(
        self,
        port: _Datagrams,
        source: tuple[object, ...],
        ancillary: list[tuple[int, int, bytes]],
    ) -> None:
        self._port = port
        self._source = source
        # The answer must come from the address that was asked: of several we have.
        self._answer_from = [
            (level, kind, _as_source(level, value))
            for level, kind, value in ancillary
            if (level, kind) in _PACKET_INFO.values()
        ]
        self.used = time.monotonic()
        family = socket.AF_INET6 if ":" in port.target[0] else socket.AF_INET
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self.socket = socket.socket(family, kind)
        self.socket.connect(port.target)
        port.loop.watch(self.socket.fileno(), self, select.EPOLLIN)

    def send(self, data: bytes) -> None:
        """Pass a datagram to the container."""
        self.used = time.monotonic()
        try:
            self.socket.send(data)
        except OSError:
            return  # refused or full: UDP does not guarantee delivery

    def on_ready(self, fd: int, events: int) -> None:  # noqa: ARG002 - as of all handlers
        """Pass an answer to the client."""
        try:
            data = self.socket.recv(_CHUNK)
            self._port.socket.sendmsg([data], self._answer_from, 0, self._source)
        except OSError:
            return  # no listener in the container, or the client is unreachable
        self.used = time.monotonic()
        self._port.clients[self._source] = self._port.clients.pop(self._source)


def _as_source(level: int, value: bytes) -> bytes:
    """Turn the information about a datagram that came into that for one that goes."""
    if level == socket.IPPROTO_IPV6:
        return value[:16] + value[16:20]  # in6_pktinfo: address, interface
    # in_pktinfo: interface, the local address, the header's destination.
    return bytes(4) + value[8:12] + bytes(4)
