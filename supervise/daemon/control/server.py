"""The control socket: where it is, who may connect, how many at once.

What clients say is `supervise.daemon.control.connection`, what it does `supervise.daemon.control.methods`.
Nothing here may stall or grow PID 1: connections, held bytes and accepts a turn are bounded.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from supervise.daemon.control.connection import ControlConnection, Role
from supervise.daemon.loop import READABLE
from supervise.linux import descriptors, dnotify, unixsocket
from supervise.model.announcement import Announcement
from supervise.wire import address

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable

    from supervise.daemon.control.connection import ControlRequest
    from supervise.daemon.control.contract import LogReader, Operations
    from supervise.daemon.control.methods import Methods
    from supervise.daemon.loop import Loop, Timer
    from supervise.model import service

MAX_CONNECTIONS = 256
_SHARE = 4  # clients take at most a fourth of our descriptors: services need some to restart
MAX_HELD = 16 * 1024 * 1024  # bytes of calls and replies for all clients together
_NOTABLE = 64 * 1024  # bytes for one client from which on the sum is worth adding up
_ACCEPTS_A_TURN = 16
_PAUSE = 1.0  # seconds without accepting when the system has no descriptors or memory left
_REOPEN_AFTER = 0.1  # seconds from the file's removal; `rm -r` of its directory gets done first
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


class ControlServer:
    """The control socket of one supervise, open from construction to `close`.

    Where no place can be had it says so once and goes on without; `ensure_listening` tries again.
    """

    name = "control"  # as an owner of the loop

    def __init__(
        self,
        loop: Loop,
        supervisor: Operations,
        logs: LogReader,
        settings: service.ControlSettings,
        announce: Callable[[Announcement], None],
    ) -> None:
        self._loop = loop
        self._settings = settings
        self._announce = announce
        self._supervisor = supervisor
        self._logs = logs
        self._methods: Methods | None = None  # once somebody has called
        self._connections: dict[ControlConnection, None] = {}  # the one silent for longest first
        self._listener: unixsocket.Listener | None = None
        self._unsettled = False  # the listener is not where the settings want it
        self._watch: dnotify.DirectoryWatch | None = None
        self._reserve = _spare_descriptor()
        self._pause: Timer | None = None
        self._most = min(MAX_CONNECTIONS, max(4, descriptors.limit() // _SHARE))
        self._refused: set[int] = set()  # uids already complained about
        self.ensure_listening()

    @property
    def place(self) -> str | None:
        """Return where clients connect: a path, ``@name``, or None without a socket."""
        return self._listener.place if self._listener is not None else None

    def ensure_listening(self, settings: service.ControlSettings | None = None) -> None:
        """Open the socket anew if its file is gone, or if new *settings* want it elsewhere.

        Connections stay; new *settings* decide about those who connect from here on.
        """
        moved = settings is not None and settings != self._settings
        if settings is not None:
            self._settings = settings
        before = self._listener
        reachable = before is not None and before.is_reachable()
        if reachable and not (moved or self._unsettled):
            return
        listener = self._open_beside(before if reachable else None)
        self._unsettled = listener is None
        if listener is None and reachable:
            return  # better the old one than none
        if listener is not None and listener is before:
            return
        self._stop_listening()
        self._listener = listener
        if self._listener is not None:
            self._loop.watch(self._listener.fileno(), READABLE, self._accept, self)
            self._watch_file(self._listener)
            self._announce(Announcement("control.listening", {"socket": self._listener.place}))

    def directory_changed(self) -> None:
        """Look after the socket's file: SIGIO says that a name in its directory has gone."""
        if self._listener is not None and not self._listener.is_reachable():
            self._loop.call_later(_REOPEN_AFTER, self.ensure_listening, self)

    def close(self) -> None:
        """Remove the socket and drop every client."""
        for connection in list(self._connections):
            connection.close()
        self._stop_listening()
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None

    def abandon(self) -> None:
        """Survive a fault in accepting: the listener stays, and rests for a moment."""
        self._rest()

    # -- what connections need

    def dispatch(self, request: ControlRequest) -> None:
        """Answer *request*, now or later."""
        if self._methods is None:
            # 0.4 MB and 4 ms that a container nobody asks anything never pays.
            from supervise.daemon.control.methods import Methods

            self._methods = Methods(self._loop, self._supervisor, self._logs)
        self._methods.dispatch(request)

    def has_worked(self, connection: ControlConnection) -> None:
        """Note that *connection* is alive; close the heaviest while too much is held."""
        if connection not in self._connections:
            return
        del self._connections[connection]
        self._connections[connection] = None
        if connection.weight > _NOTABLE:
            self._relieve()

    def has_closed(self, connection: ControlConnection) -> None:
        """Forget *connection*."""
        self._connections.pop(connection, None)

    # -- opening

    def _open_beside(self, before: unixsocket.Listener | None) -> unixsocket.Listener | None:
        """Open a new socket, perhaps in the place of *before*, which goes on if that fails."""
        aside = before is not None and before.step_aside()
        listener = self._open(before)
        if listener is None and before is not None:
            try:
                if aside:
                    before.step_back()
            except OSError as error:
                self._notice(f"the control socket lost its name '{before.place}': {error.strerror}")
            else:
                self._notice(f"still listening on '{before.place}', with the settings as they were")
        return listener

    def _open(self, before: unixsocket.Listener | None) -> unixsocket.Listener | None:
        troubles: list[str] = []
        # Groups cannot be told by the file's one group: then everybody may knock, and SO_PEERCRED
        # decides.  Without groups the kernel turns strangers away.
        mode = 0o666 if self._settings.operators or self._settings.readers else 0o600
        chosen = self._settings.socket
        for place in ([chosen] if chosen else []) + self._candidates():
            if before is not None and before.directory is None and place == before.place:
                return before  # an abstract name has no mode that could have changed
            try:
                listener = _listen(place, mode, chosen=place == chosen)
            except OSError as error:
                troubles.append(f"'{place}': {error.strerror or error}")
                continue
            if chosen and place != chosen:
                self._notice(f"cannot listen on {troubles[0]}; listening on '{place}' instead")
            return listener
        self._notice(f"no control socket, supervisectl cannot work: {'; '.join(troubles)}")
        return None

    def _notice(self, message: str) -> None:
        self._announce(Announcement("supervise.notice", {"message": message}))

    def _candidates(self) -> list[str]:
        return address.candidates(
            os.geteuid(), os.environ.get("XDG_RUNTIME_DIR"), unixsocket.pid_namespace()
        )

    def _watch_file(self, listener: unixsocket.Listener) -> None:
        if listener.directory is None:
            return
        try:
            self._watch = dnotify.DirectoryWatch(listener.directory.readable())
        except OSError:  # then a removed file comes back with the next SIGHUP
            return

    def _stop_listening(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self._listener is not None:
            self._loop.forget(self._listener.fileno())
            self._listener.close()
            self._listener = None
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    # -- accepting

    def _accept(self, _events: int) -> None:
        for _ in range(_ACCEPTS_A_TURN):
            if self._listener is None:
                return
            try:
                sock = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ECONNABORTED:
                    continue
                if error.errno in _NO_DESCRIPTORS and (self._evict() or self._turn_one_away()):
                    continue
                self._rest()
                return
            self._welcome(sock)

    def _welcome(self, sock: _socket.socket) -> None:
        if len(self._connections) >= self._most and not self._evict():
            sock.close()  # all are at work; the client says that supervise closed on it
            return
        peer = unixsocket.peer(sock)
        role = self._role(peer)
        if role == Role.NOTHING:
            self._complain(peer)
        self._connections[ControlConnection(self._loop, self, sock, peer, role)] = None

    def _role(self, peer: unixsocket.PeerCredentials) -> int:
        groups = {peer.gid, *peer.groups}
        if peer.uid in (0, os.geteuid()) or groups.intersection(self._settings.operators):
            return Role.OPERATE
        if groups.intersection(self._settings.readers):
            return Role.READ
        return Role.NOTHING

    def _complain(self, peer: unixsocket.PeerCredentials) -> None:
        if peer.uid in self._refused or len(self._refused) > MAX_CONNECTIONS:
            return
        self._refused.add(peer.uid)
        fields = {"uid": peer.uid, "pid": peer.pid, "message": "not permitted to use the socket"}
        self._announce(Announcement("control.refused", fields))

    # -- scarcity

    def _evict(self) -> bool:
        """Close the client that has been idle for longest, strangers first; False if none is."""
        idle = [connection for connection in self._connections if connection.is_idle]
        if not idle:
            return False
        strangers = (connection for connection in idle if connection.role == Role.NOTHING)
        next(strangers, idle[0]).close()
        return True

    def _relieve(self) -> None:
        while sum(connection.weight for connection in self._connections) > MAX_HELD:
            max(self._connections, key=lambda connection: connection.weight).close()

    def _turn_one_away(self) -> bool:
        """Without descriptors: accept on the reserved one and close, or epoll would spin."""
        if self._reserve is None or self._listener is None:
            return False
        os.close(self._reserve)
        self._reserve = None
        try:
            self._listener.accept().close()
        except OSError:  # somebody else took the one descriptor there was; rest and try again
            return False
        self._reserve = _spare_descriptor()
        return self._reserve is not None

    def _rest(self) -> None:
        """Accept nothing for a moment; clients wait in the backlog."""
        if self._listener is not None and self._pause is None:
            self._loop.forget(self._listener.fileno())
            self._pause = self._loop.call_later(_PAUSE, self._resume, self)

    def _resume(self) -> None:
        self._pause = None
        if self._reserve is None:
            self._reserve = _spare_descriptor()
        if self._listener is not None:
            self._loop.watch(self._listener.fileno(), READABLE, self._accept, self)


def _listen(place: str, mode: int, *, chosen: bool) -> unixsocket.Listener:
    """Listen at *place*; the directory of one that was *chosen* may be anything that keeps names."""
    if address.is_abstract(place):
        return unixsocket.listen(place, mode=mode)
    if chosen:
        with suppress(FileNotFoundError):  # its directory is still to be made
            return unixsocket.listen(place, mode=mode)
    unixsocket.make_directory(os.path.dirname(place) or ".")
    return unixsocket.listen(place, mode=mode)


def _spare_descriptor() -> int | None:
    """Return a descriptor to give up when there is no other, None if there is none by now.

    eventfd(2) needs no file: an image may be without /dev.
    """
    try:
        return os.eventfd(0, os.EFD_CLOEXEC)
    except OSError:
        return None
