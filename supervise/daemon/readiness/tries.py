"""One try of one probe: connect, ask over HTTP, or run a command, and say how it went.

A try never blocks, ends by itself within its timeout, and says so once.  Asking again is the
business of `supervise.daemon.readiness.probes`.
"""

from __future__ import annotations

import _socket
import errno
import os
import struct

from supervise.daemon.loop import READABLE, WRITABLE
from supervise.model.exitstatus import Exited
from supervise.model.printable import printable
from supervise.model.record import Record
from supervise.wire import http

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervise.daemon.loop import CallbackOwner, Loop
    from supervise.model.exitstatus import ExitStatus
    from supervise.model.target import HttpTarget, Target

    Ended = Callable[[ExitStatus | None, bytes], None]
    Done = Callable[["ProbeOutcome"], None]

_LOCALHOST = ("127.0.0.1", "::1")  # RFC 6761, 6.3; a service may listen on one of them alone
# Our own shortage says nothing about the service.
_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC)
_CHUNK = 16384  # bytes a turn
_SHOWN = 200  # characters of a command's output
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger of socket(7): on, 0 seconds


class ProbeOutcome(Record):
    """How one try went."""

    ok: bool | None  # None: it could not be tried, for a reason on our side
    text: str  # printable, one line


class TcpTry:
    """Connects to the first address of *target* that accepts, and hangs up again.

    Addresses and ``localhost`` alone: getaddrinfo(3) may ask a DNS server and block for seconds.
    """

    def __init__(
        self, loop: Loop, owner: CallbackOwner, target: Target, timeout: float, done: Done
    ) -> None:
        self._loop = loop
        self._owner = owner
        self._target = target
        self._timeout = timeout
        self._done: Done | None = done
        self._deadline = loop.call_later(timeout, self._expired, owner)
        self._addresses: list[str] = []
        self._socket: _socket.socket | None = None

    def start(self) -> None:
        """Begin; *done* may be called before this returns."""
        host = self._target.host
        self._addresses = list(_LOCALHOST) if host.lower() == "localhost" else [host]
        if family_of(self._addresses[0]) is None:
            self._finish(ok=False, text=f"'{host}' is no address, and PID 1 looks up no names")
        else:
            self._connect()

    def cancel(self) -> None:
        """End without a word: the socket is closed, *done* will not be called; idempotent."""
        self._done = None
        self._deadline.cancel()
        self._hang_up()

    def _connect(self) -> None:
        """Begin a connection to the next address."""
        address = self._addresses.pop(0)
        try:
            number = self._begin(address)
        except OSError as error:
            number = error.errno or errno.EIO
        if number in _OUT_OF_RESOURCES:
            self._finish(ok=None, text=f"cannot open a socket: {_strerror(number)}")
        elif number not in (0, errno.EINPROGRESS):
            self._refused(number)

    def _begin(self, address: str) -> int:
        """Open the socket and watch it; return the errno of connect(2), 0 or EINPROGRESS."""
        family = family_of(address)
        assert family is not None, "`start` lets only literals through"
        flags = _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC
        self._socket = _socket.socket(family, flags)
        number = self._socket.connect_ex((address, self._target.port))
        if number in (0, errno.EINPROGRESS):
            self._loop.watch(self._socket.fileno(), WRITABLE, self._ready, self._owner)
        return number

    def _ready(self, _events: int) -> None:
        """The connection stands or is refused."""
        assert self._socket is not None, "no descriptor is watched without its socket"
        number = self._socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        if number == 0 and _is_own_echo(self._socket):
            self._socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_LINGER, _RESET_ON_CLOSE)
            number = errno.ECONNREFUSED
        if number:
            self._refused(number)
        else:
            self._connected()

    def _refused(self, number: int) -> None:
        self._hang_up()
        if self._addresses:
            self._connect()
        else:
            self._finish(ok=False, text=_strerror(number))

    def _connected(self) -> None:
        self._finish(ok=True, text="connected")

    def _expired(self) -> None:
        self._finish(ok=False, text=f"no connection within {self._timeout:g} s")

    def _finish(self, *, ok: bool | None, text: str) -> None:
        done = self._done
        self.cancel()
        if done is not None:
            done(ProbeOutcome(ok, text))

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._loop.forget(self._socket.fileno())
            self._socket.close()
            self._socket = None


class HttpTry(TcpTry):
    """Connects, asks with GET, and is content with a status of 200 to 399.

    It stays until the server has said all, so as not to fill its log with broken pipes, but not
    beyond the timeout or 64 KiB: the status alone decides.
    """

    def __init__(
        self, loop: Loop, owner: CallbackOwner, target: HttpTarget, timeout: float, done: Done
    ) -> None:
        super().__init__(loop, owner, target.address, timeout, done)
        self._unsent = http.get_request(target)
        self._reader = http.ResponseReader()
        self._asking = False

    def _ready(self, events: int) -> None:
        if self._asking:
            self._converse()
        else:
            super()._ready(events)

    def _connected(self) -> None:
        self._asking = True
        self._converse()

    def _converse(self) -> None:
        """Send what is unsent, else read; a closed connection is the end of the answer."""
        assert self._socket is not None, "no descriptor is watched without its socket"
        try:
            if self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
                if not self._unsent:
                    self._loop.change(self._socket.fileno(), READABLE)
                return
            data = self._socket.recv(_CHUNK)
            self._reader.feed(data)
        except BlockingIOError:
            return
        except OSError as error:
            self._conclude(_strerror(error.errno or errno.EIO))
        except ValueError as error:
            self._finish(ok=False, text=str(error))
        else:
            if not data or self._reader.finished():
                self._conclude("the connection was closed before an answer")

    def _expired(self) -> None:
        if self._asking:
            self._conclude(f"no answer within {self._timeout:g} s")
        else:
            super()._expired()

    def _conclude(self, reason: str) -> None:
        """End with the status, or with *reason* when there is none."""
        head = self._reader.head
        if head is None:
            self._finish(ok=False, text=reason)
        else:
            self._finish(ok=head.succeeded(), text=f"{head.status} {head.reason}".rstrip())


class CommandTry:
    """Runs a command; exit code 0 is content.

    *run* starts it and returns what calls it off.  It tells the status, None when the command
    could not be started or was killed after *timeout*, and the beginning of the output.
    """

    def __init__(
        self,
        loop: Loop,
        owner: CallbackOwner,
        run: Callable[[Ended], Callable[[], None]],
        timeout: float,
        done: Done,
    ) -> None:
        self._loop = loop
        self._owner = owner
        self._run = run
        self._timeout = timeout
        self._done: Done | None = done
        self._call_off: Callable[[], None] | None = None
        self._running = False
        self._began = 0.0

    def start(self) -> None:
        """Begin; *done* is called from the loop, never from here."""
        self._began = self._loop.now()
        self._running = True
        self._call_off = self._run(self._ended)

    def cancel(self) -> None:
        """End without a word: the command is killed, *done* will not be called; idempotent."""
        self._done = None
        if self._running and self._call_off is not None:
            self._running = False
            self._call_off()

    def _ended(self, status: ExitStatus | None, output: bytes) -> None:
        """Leave the reaper's stack first: what follows belongs to the probe, not to it."""
        self._running = False
        overdue = self._loop.now() - self._began >= self._timeout
        outcome = ProbeOutcome(status == Exited(0), self._describe(status, output, overdue=overdue))
        self._loop.call_soon(lambda: self._tell(outcome), self._owner)

    def _describe(self, status: ExitStatus | None, output: bytes, *, overdue: bool) -> str:
        said = last_line(output)
        if status is not None:
            how = str(status)
        else:
            how = f"no result within {self._timeout:g} s" if overdue else "cannot be run"
        return f"{how}: {said}" if said else how

    def _tell(self, outcome: ProbeOutcome) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(outcome)


def family_of(address: str) -> int | None:
    """Return AF_INET or AF_INET6 for a literal address, None for anything else."""
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            _socket.inet_pton(family, address)
        except (OSError, ValueError):  # ValueError: it holds a NUL or cannot be encoded
            continue
        return int(family)
    return None


def last_line(output: bytes) -> str:
    """Return the last line of *output* that says something, printable, at most 200 characters.

    Tools put the reason there: curl, pg_isready, a Python traceback.
    """
    for line in reversed(output.decode("utf-8", "replace").splitlines()):
        text = printable(line.strip())
        if text:
            return text[:_SHOWN]
    return ""


def _is_own_echo(sock: _socket.socket) -> bool:
    """Return whether *sock* is connected to itself.

    On loopback, a free port that nobody listens on may be chosen as our own end; the handshake
    of tcp(7) then succeeds with ourselves (RFC 9293, 3.5, simultaneous open), and a service that
    is not up would look as if it were.
    """
    try:
        return bool(sock.getsockname() == sock.getpeername())
    except OSError:  # the peer is gone already; so there was one
        return False


def _strerror(number: int) -> str:
    text = os.strerror(number)
    return text[:1].lower() + text[1:]
