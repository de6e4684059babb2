"""The client's end of the control socket: finds it, calls, streams, and says why it cannot.

Imports as little as it can: `supervisectl status` runs often, and in health checks.
"""

from __future__ import annotations

import _socket
import errno
import os
import struct
import time

from supervise.linux import procfs, unixsocket
from supervise.model.printable import printable
from supervise.wire import address, api, replies, varlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_PATIENCE = 10  # seconds
# The socket opens once the configuration is read: a client of a container that has just started
# comes too early.  A supervise is given this long since its start.
_BOOT = 10.0  # seconds
_PAUSE = 0.02  # seconds
ANSWER_TIMEOUT = float(_PATIENCE)  # seconds PID 1 may take to answer what needs no waiting
_CHUNK = 256 * 1024
_MAX_REPLY = 1024 * 1024 * 1024  # bytes; ten thousand services make some three million


class SuperviseUnreachableError(Exception):
    """There is no supervise to talk to, or it does not talk to us; the text says what to do."""


class ApiError(Exception):
    """The call was answered with an error; *name* is without its interface where it is declared.

    All texts in it are printable.
    """

    def __init__(self, name: str, parameters: dict[str, Any]) -> None:
        super().__init__(name)
        self.name = name
        self.parameters = parameters


class ControlClient:
    """A connection to one supervise; calls follow one another.

    What comes is checked against the interface, and its texts can do nothing to a terminal.  With
    *verbatim* the texts of answers stay as they are: JSON escapes them itself.
    """

    def __init__(self, place: str | None = None, *, verbatim: bool = False) -> None:
        self._text = _as_it_is if verbatim else printable
        self._sock, self.place = _connect(place)
        self._frames = varlink.Frames(_MAX_REPLY)

    def call(self, method: str, *, patient: bool = False, **parameters: Any) -> dict[str, Any]:
        """Return the answer to *method*; parameters that are None are left out.

        *patient*: the answer may take as long as it takes.

        Raises:
            ApiError: the call was refused.
            SuperviseUnreachableError: there is no answer, or none that makes sense.
        """
        self._send(method, parameters, more=False)
        self._sock.settimeout(None if patient else ANSWER_TIMEOUT)
        try:
            return self._receive(method)[0]
        except TimeoutError:
            raise SuperviseUnreachableError(
                f"supervise at '{self.place}' does not answer within {ANSWER_TIMEOUT:g} s; "
                "is PID 1 stopped, or the machine overloaded?"
            ) from None

    def stream(
        self, method: str, *, tick: float | None = None, **parameters: Any
    ) -> Iterator[dict[str, Any] | None]:
        """Yield one answer after the other; None whenever *tick* seconds passed without one.

        Raises:
            ApiError: the call was refused.
            SuperviseUnreachableError: the connection broke, or an answer makes no sense.
        """
        self._send(method, parameters, more=True)
        self._sock.settimeout(tick)
        continues = True
        while continues:
            try:
                answer, continues = self._receive(method)
            except TimeoutError:
                yield None
                continue
            yield answer

    def _send(self, method: str, parameters: dict[str, Any], *, more: bool) -> None:
        given = {name: value for name, value in parameters.items() if value is not None}
        interface = api.NAME if method in api.SUPERVISOR.methods else varlink.SERVICE_INTERFACE
        call = varlink.Call(f"{interface}.{method}", given, more)
        self._sock.settimeout(ANSWER_TIMEOUT)
        try:
            self._sock.sendall(varlink.encode_call(call))
        except BrokenPipeError:
            return  # it may have left a word before it closed: reading tells
        except OSError as error:
            raise SuperviseUnreachableError(
                f"cannot call supervise: {error.strerror or error}"
            ) from None

    def _receive(self, method: str) -> tuple[dict[str, Any], bool]:
        try:
            return self._understood(method, self._next_message())
        except varlink.ProtocolError as error:
            raise SuperviseUnreachableError(
                f"what listens at '{self.place}' does not speak as supervise does: {error}"
            ) from None

    def _understood(self, method: str, message: bytes) -> tuple[dict[str, Any], bool]:
        reply = varlink.decode_reply(message)
        if reply.error is not None:
            name, found = replies.check_error(reply.error, reply.parameters, printable)
            raise ApiError(name, {**found, "method": method})
        return replies.check_answer(method, reply.parameters, self._text), reply.continues

    def _next_message(self) -> bytes:
        while (message := self._frames.next()) is None:
            try:
                data = self._sock.recv(_CHUNK)
            except ConnectionResetError:
                data = b""
            if not data:
                raise SuperviseUnreachableError(
                    f"supervise at '{self.place}' closed the connection; it has ended, "
                    f"or has too many clients (it takes 256)"
                )
            self._frames.feed(data)
        return message


def _as_it_is(text: str) -> str:
    return text


def _connect(place: str | None) -> tuple[_socket.socket, str]:
    """Return a connection and its place; raises SuperviseUnreachableError."""
    while True:
        try:
            return _connect_once(place)
        except SuperviseUnreachableError:
            if not _one_boots():
                raise
        time.sleep(_PAUSE)


def _one_boots() -> bool:
    """Return whether a supervise started a moment ago: PID 1, or one from the shell we are from."""
    beside = procfs.children(os.getppid())
    return any(_boots(pid) for pid in (1, *beside) if pid != os.getpid())


def _boots(pid: int) -> bool:
    if b"supervise" not in procfs.arguments_of(pid):
        return False
    found = procfs.stat(pid)
    if found is None:
        return False  # it has ended
    started = found.start_time / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started < _BOOT


def _connect_once(place: str | None) -> tuple[_socket.socket, str]:
    chosen = place or os.environ.get(address.ENVIRONMENT)
    tried: list[tuple[str, int]] = []  # (place, errno)
    concerning = (None, 0, os.geteuid())  # what other users left behind explains nothing
    for candidate, uid in [(chosen, None)] if chosen else _candidates():
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        # Not settimeout: that makes it non-blocking, and connect(2) then fails at once where PID 1
        # has not accepted those before.
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, struct.pack("ll", _PATIENCE, 0))
        try:
            sock.connect(address.socket_address(candidate))
            if uid is None or _is_trusted(sock):
                return sock, candidate
            tried.append((candidate, errno.EPERM))
        except OSError as error:
            number = error.errno or errno.ENAMETOOLONG  # that one is Python's, without a number
            if number == errno.ECONNREFUSED and address.is_abstract(candidate):
                number = errno.ENOENT  # an abstract name is never left behind
            if uid in concerning:
                tried.append((candidate, number))
        sock.close()
    source = "--socket" if place else f"${address.ENVIRONMENT}" if chosen else ""
    raise SuperviseUnreachableError(_why(tried, source))


def _candidates() -> list[tuple[str, int | None]]:
    """Return (place, uid it should belong to), best first: our own, root's, PID 1's."""
    own = os.geteuid()
    # In a container of another user's PID 1 may be a supervise of that user.
    uids = list(dict.fromkeys([own, 0, *([procfs.owner(1) or 0] if own == 0 else [])]))
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    namespace = unixsocket.pid_namespace()
    found: dict[str, int | None] = {}
    for uid in uids:
        directory = runtime if uid == own else f"/run/user/{uid}" if uid else None
        for place in address.candidates(uid, directory, namespace):
            found.setdefault(place, uid)
    return list(found.items())


def _is_trusted(sock: _socket.socket) -> bool:
    """Return whether we obey who listens: root, us, or PID 1, which rules here in any case."""
    peer = unixsocket.peer(sock)
    return peer.uid in (0, os.geteuid()) or peer.pid == 1


def _why(tried: list[tuple[str, int]], source: str) -> str:
    """Return the sentence that helps: what is wrong, where, and what to do.

    *tried*: (place, errno) in the order tried; *source*: who named the place, empty if nobody did.
    """
    for place, number in tried:
        if number in _REASONS:
            return _REASONS[number].format(place=place, user=os.geteuid())
    if source:
        place, number = tried[0]
        reason = "there is no such socket" if number in _NOTHING_THERE else os.strerror(number)
        return f"'{place}' (from {source}): {reason}"
    places = "\n".join(f"    {place}" for place, _ in tried)
    return (
        f"no control socket here; looked for\n{places}\n"
        f"  Is supervise running in this container?  If elsewhere: --socket PATH or "
        f"${address.ENVIRONMENT}"
    )


_NOTHING_THERE = (errno.ENOENT, errno.ENOTDIR)
_REASONS = {
    errno.EACCES: "not permitted to use '{place}' as user {user}; run this as root or as the user "
    "supervise runs as, or name one of your groups in control.operators or readers",
    errno.EAGAIN: "supervise does not accept on '{place}'; is PID 1 stopped, or overloaded?",
    errno.EPERM: "'{place}' belongs to another user, who may not be trusted; if you do, --socket it",
    errno.ECONNREFUSED: "nobody listens on '{place}' any more; supervise has ended or was killed",
}
