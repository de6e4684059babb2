"""Joins the notify socket to the loop: datagrams become notifications with a sender.

It does not know which service a pid belongs to, nor who may speak for a service: the supervisor
decides that.
"""

from __future__ import annotations

from supervise.daemon.loop import READABLE
from supervise.linux import notifysocket
from supervise.wire import notify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervise.daemon.loop import Loop

_PAUSE_AFTER_FAULT = 1.0  # seconds


class NotifySocket:
    """The one notify socket of a supervisor, from construction to `close`.

    *on_message* is called with the sender's pid, in our pid namespace, its uid and what it said.  A
    service that waits in sd_notify_barrier(3) is let go after *on_message* has seen everything
    it sent before, so its process can still be looked up then.

    Raises:
        OSError: EMFILE, ENFILE or ENOMEM at construction.
    """

    def __init__(
        self,
        loop: Loop,
        directory: str | None,
        on_message: Callable[[int, int, notify.Notification], None],
    ) -> None:
        self.name = "notify socket"
        self._loop = loop
        self._on_message = on_message
        self._closed = False
        self._bound = notifysocket.bind(directory)
        self._watch()

    @property
    def address(self) -> str:
        """The value of $NOTIFY_SOCKET: a path, or @name for an abstract socket."""
        return self._bound.address

    def close(self) -> None:
        """Stop receiving and remove the socket's file; idempotent."""
        if not self._closed:
            self._closed = True
            self._loop.forget(self._bound.socket.fileno())
            notifysocket.close(self._bound)

    def abandon(self) -> None:
        """Rest for a moment after a fault: all services share the socket, it must not die."""
        self._loop.forget(self._bound.socket.fileno())
        self._loop.call_later(_PAUSE_AFTER_FAULT, self._watch, self)

    def _watch(self) -> None:
        if not self._closed:
            self._loop.watch(self._bound.socket.fileno(), READABLE, self._readable, self)

    def _readable(self, _events: int) -> None:
        """Take one message; a flood waits its turn, and a barrier comes after what it follows.

        It is handed on without an owner: a message that cannot be dealt with costs itself alone.
        """
        message = notifysocket.receive(self._bound)
        if message is not None and message.pid > 0:
            self._loop.call_soon(lambda: self._deliver(message))

    def _deliver(self, message: notifysocket.NotifyMessage) -> None:
        if self._closed:
            return
        notification = notify.parse(message.data)
        if notification != notify.Notification():
            self._on_message(message.pid, message.uid, notification)
