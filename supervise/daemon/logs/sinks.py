"""Where bytes go: outlets that never block and never grow without bound.

An `Outlet` writes to one terminal, pipe, FIFO, socket or file.  What the kernel does not take at
once waits in a bounded queue.  A sink above its high-water mark is *full*: the relay then stops
reading the service (`on_stall: block`) or throws its lines away (`drop`).  The console has two
outlets; a log file is one when its path names a FIFO or a device, and a `logfile.LogFile` else.
"""

from __future__ import annotations

import errno
import os
import select
import stat

from supervise.daemon.loop import WRITABLE
from supervise.model.announcement import Announcement
from supervise.wire.lines import count_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from supervise.daemon.loop import CallbackOwner, Loop

    # Takes buffers, returns how many bytes the kernel took; BlockingIOError when it takes none.
    Send = Callable[[list[bytes | memoryview]], int]
    Announce = Callable[[Announcement], None]

    class Sink(Protocol):
        """What the relay writes a service's lines to."""

        holder: object | None  # who left a line unfinished there; raw output only

        @property
        def full(self) -> bool:
            """Return whether its reader does not keep up."""

        def write(self, block: bytes, service: str) -> None:
            """Take *block*, whole lines of *service*; never blocks, never raises OSError."""

        def when_drained(self, callback: Callable[[], None], owner: CallbackOwner | None) -> None:
            """Run *callback* once from the loop when there is room again."""

        def finish(self, deadline: float) -> None:
            """Write what is queued, waiting until *deadline* (monotonic seconds) at most."""


HIGH = 256 * 1024  # bytes waiting above which a sink is full
LOW = 64 * 1024  # and below which it has room again
EVENT_RESERVE = 64 * 1024  # room above HIGH that is kept for our own events
ANNOUNCE_INTERVAL = 30.0  # seconds between two announcements of one standing trouble
RETRY_INTERVAL = 1.0  # seconds between two tries of a file that cannot be written

_NOBODY = ""  # whose bytes are not lines that could be lost
_IOV = 64  # buffers a writev(2); the kernel's limit is 1024
_PIPE_BUF = 4096  # a pipe that polls writable has room for this much; pipe(7)
_TTY_CHUNK = 256  # a terminal promises no more than this; tty_poll in the kernel


class Trouble:
    """Lines lost by one sink and the reason, announced once an interval and when it is over.

    Announcing is left to the loop's next turn: an announcement is itself written to a sink.
    """

    def __init__(self, loop: Loop, file: str, announce: Announce) -> None:
        self.file = file
        self.announce = announce
        self.lost = 0  # lines, since the trouble began
        self.reason = ""  # empty while all is well
        self._loop = loop
        self._announced_at = float("-inf")
        self._told = False
        self._service = ""

    def begin(self, reason: str, lost: int, service: str) -> None:
        """Count *lost* lines of *service*, thrown away because of *reason*."""
        self.lost += lost
        self.reason = reason
        self._service = service
        now = self._loop.now()
        if now - self._announced_at >= ANNOUNCE_INTERVAL:
            self._announced_at = now
            self._told = True
            self._say("log.file_failed", service=service, file=self.file, message=self.reason)

    def end(self) -> None:
        """Note that a write succeeded."""
        if self._told:
            self._say("log.file_recovered", service=self._service, file=self.file, lost=self.lost)
        self.reason = ""
        self.lost = 0
        self._told = False

    def _say(self, name: str, **fields: object) -> None:
        announcement = Announcement(name, fields)
        self._loop.call_soon(lambda: self.announce(announcement))


def reason_of(error: OSError) -> str:
    """Return the reason in words, without number and file name."""
    return error.strerror or str(error)


class Outlet:
    """A bounded queue before one descriptor; see `open_outlet` for how it avoids blocking."""

    def __init__(
        self,
        loop: Loop,
        name: str,
        fd: int,
        *,
        send: Send,
        announce: Announce,
        release: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.trouble = Trouble(loop, name, announce)
        self.holder: object | None = None
        self.waiting = 0  # bytes in the queue
        self._loop = loop
        self._fd = fd  # the descriptor `send` writes to and the loop watches
        self._send = send
        self._release = release  # closes what was opened for this outlet
        self._queue: list[tuple[bytes | memoryview, str]] = []
        self._drained: list[tuple[Callable[[], None], CallbackOwner | None]] = []
        self._watching = False
        self._torn = False  # the last byte written was not the end of a line

    @property
    def full(self) -> bool:
        """Return whether its reader does not keep up."""
        return self.waiting > HIGH

    def write(self, block: bytes, service: str) -> None:
        """Write *block* or queue it; whoever cares about memory has asked `full` before."""
        if not self._queue and not self.trouble.reason:
            # The usual case: all of it is taken at once, and there is nothing to keep in order.
            try:
                sent = self._send([block])
            except OSError:
                sent = 0  # `_flush` meets it again and knows what to do
            if sent == len(block):
                return
            if sent:
                block, self._torn = block[sent:], True
        elif self._torn and not self._queue:
            # A failure cost the rest of the last line: end it before this one.
            self._queue.append((b"\n", _NOBODY))
            self.waiting += 1
        self._queue.append((block, service))
        self.waiting += len(block)
        if not self._watching:
            self._flush()

    def offer(self, block: bytes, service: str) -> bool:
        """Write *block* unless even the reserve for our own events is used up."""
        if self.waiting > HIGH + EVENT_RESERVE:
            return False
        self.write(block, service)
        return True

    def when_drained(self, callback: Callable[[], None], owner: CallbackOwner | None) -> None:
        """Run *callback* once from the loop when there is room again."""
        self._drained.append((callback, owner))

    def finish(self, deadline: float) -> None:
        """Write what is queued, waiting until *deadline* (monotonic seconds) at most."""
        while self._queue:
            left = deadline - self._loop.now()
            if left <= 0 or not _writable(self._fd, left):
                break
            self._flush()

    def abandon(self) -> None:
        """Throw the queue away and start afresh: a fault here must not silence the console."""
        self._unwatch()
        self._queue = []
        self.waiting = 0
        self._torn = False
        self._wake_waiters()

    def close(self) -> None:
        """Stop watching, and close what was opened for this outlet."""
        self.abandon()
        if self._release is not None:
            self._release()

    def _flush(self) -> None:
        """Write as much as the kernel takes."""
        while self._queue:
            try:
                sent = self._send([block for block, _ in self._queue[:_IOV]])
            except BlockingIOError:
                break
            except OSError as error:
                self._lose_all(error)
                break
            self._took(sent)
        if self._queue:
            self._watch()
        else:
            self._unwatch()
        if self.waiting < LOW and self._drained:
            self._wake_waiters()

    def _took(self, sent: int) -> None:
        if self.trouble.reason:
            self.trouble.end()
        self.waiting -= sent
        done = 0
        for block, _ in self._queue:
            if sent < len(block):
                break
            sent -= len(block)
            done += 1
        del self._queue[:done]
        self._torn = sent > 0
        if sent:
            rest, service = self._queue[0]
            self._queue[0] = (memoryview(rest)[sent:], service)

    def _lose_all(self, error: OSError) -> None:
        """Drop the queue: the rest of a block alone would be half a line."""
        service = self._queue[-1][1]
        lost = sum(count_lines(bytes(block)) for block, whose in self._queue if whose)
        self._queue = []
        self.waiting = 0
        self.trouble.begin(reason_of(error), lost, service)

    def _on_writable(self, _events: int) -> None:
        self._flush()

    def _watch(self) -> None:
        if not self._watching:
            self._loop.watch(self._fd, WRITABLE, self._on_writable, self)
            self._watching = True

    def _unwatch(self) -> None:
        # Not `change(fd, 0)`: a reader that is gone would be reported for ever.
        if self._watching:
            self._loop.forget(self._fd)
            self._watching = False

    def _wake_waiters(self) -> None:
        waiters, self._drained = self._drained, []
        for callback, owner in waiters:
            self._loop.call_soon(callback, owner)


def open_outlet(loop: Loop, name: str, fd: int, announce: Announce) -> Outlet:
    """Return an outlet to whatever *fd* is; *fd* stays the caller's and its flags untouched.

    O_NONBLOCK belongs to the open file description, which the services share: set on fd 1 it
    would make *their* writes fail (corner case 28).  So a pipe or terminal is opened once more
    through /proc, which gives a description of our own; a socket is sent to with MSG_DONTWAIT;
    a regular file never blocks and must keep its shared offset.  Where opening again is refused
    (another user's pipe, no /proc), see `_careful_send`.
    """
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        return Outlet(loop, name, fd, send=_closed_send, announce=announce)
    if stat.S_ISSOCK(mode):
        send, release = _socket_send(fd)
        return Outlet(loop, name, fd, send=send, announce=announce, release=release)
    if stat.S_ISREG(mode) or stat.S_ISBLK(mode):
        return Outlet(loop, name, fd, send=plain_send(fd), announce=announce)
    try:
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        private = os.open(f"/proc/self/fd/{fd}", flags)
    except OSError:
        send = _careful_send(fd, is_pipe=stat.S_ISFIFO(mode))
        return Outlet(loop, name, fd, send=send, announce=announce)
    return owning_outlet(loop, name, private, announce)


def owning_outlet(loop: Loop, name: str, owned_fd: int, announce: Announce) -> Outlet:
    """Return an outlet to *owned_fd*, which is non-blocking."""
    return Outlet(
        loop,
        name,
        owned_fd,
        send=plain_send(owned_fd),
        announce=announce,
        release=lambda: os.close(owned_fd),
    )


def plain_send(fd: int) -> Send:
    """Return a sender for a descriptor that is non-blocking or a regular file."""
    return lambda buffers: os.writev(fd, buffers)


def _closed_send(_buffers: list[bytes | memoryview]) -> int:
    raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def _socket_send(fd: int) -> tuple[Send, Callable[[], None]]:
    """Return a sender for a socket, and what releases it."""
    from _socket import MSG_DONTWAIT, MSG_NOSIGNAL, socket

    # A duplicate, because the object closes its descriptor when it goes.
    connection = socket(fileno=os.dup(fd))
    flags = MSG_DONTWAIT | MSG_NOSIGNAL
    return lambda buffers: connection.sendmsg(buffers, (), flags), connection.close


def _careful_send(fd: int, *, is_pipe: bool) -> Send:
    """Return a sender for a blocking descriptor that several processes share.

    RWF_NOWAIT makes one write non-blocking (pipes since Linux 6.4).  Without it the descriptor is
    polled and given no more than it has promised to take; another writer between the two calls
    could still make us wait, which the kernel leaves no way round.
    """
    chunk = _PIPE_BUF if is_pipe else _TTY_CHUNK
    nowait = is_pipe

    def send(buffers: list[bytes | memoryview]) -> int:
        nonlocal nowait
        if nowait:
            try:
                return os.pwritev(fd, buffers, -1, os.RWF_NOWAIT)
            except BlockingIOError:
                raise
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                    raise
                nowait = False
        if not _writable(fd, 0):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return os.write(fd, memoryview(buffers[0])[:chunk])

    return send


def _writable(fd: int, timeout: float) -> bool:
    """Wait at most *timeout* seconds for *fd* to be writable or broken."""
    poller = select.poll()
    poller.register(fd, select.POLLOUT)
    return bool(poller.poll(timeout * 1000))
