"""The socket behind $NOTIFY_SOCKET: who sent what, in the kernel's word.

One datagram socket for all services; SO_PASSCRED names the sender of each message.  It does not
read the messages (`supervise.wire.notify` does) and knows no services
(`supervise.daemon.readiness.notifications` joins the two).
"""

from __future__ import annotations

import _socket
import errno
import os
import stat
import struct
from contextlib import suppress

from supervise.linux import directory, unixsocket
from supervise.linux.directory import Directory
from supervise.model.record import Record

# systemd's NOTIFY_BUFFER_MAX; sd_notify(3) clients stay below it.
LARGEST_MESSAGE = 4096
FILE_NAME = "notify"

_LONGEST = 107  # bytes of a path, unix(7)
_ALL_MAY_SEND = 0o666  # every service may speak; the kernel tells who did
_UCRED = struct.Struct("iII")  # struct ucred of unix(7): pid, uid, gid
# Room for the credentials and nothing else: the kernel writes them first (scm_recv in
# include/net/scm.h) and closes descriptors that do not fit.  So a sender can neither fill our
# descriptor table nor hand us a file whose close(2) blocks, and the closing is what
# sd_notify_barrier(3) waits for.
_CONTROL_ROOM = _socket.CMSG_SPACE(_UCRED.size)


class NotifyMessage(Record):
    """One datagram and its sender as the kernel vouches for it, in our namespaces."""

    data: bytes
    pid: int  # 0 when the sender is outside our pid namespace
    uid: int
    gid: int


class BoundSocket(Record):
    """An open notify socket; the record does not own it, `close` ends it."""

    socket: _socket.socket
    address: str  # the value for $NOTIFY_SOCKET: a path, or @name in the abstract namespace
    directory: Directory | None  # where the file to remove is, None for an abstract socket


def bind(place: str | None) -> BoundSocket:
    """Open the notify socket as a file in the directory *place*, or else in the abstract namespace.

    Abstract it becomes where the directory is missing, read-only or too long a path, where
    services of other users could not reach into it or could exchange the file, and where another
    supervisor listens there.

    Raises:
        OSError: EMFILE, ENFILE or ENOMEM; there is no socket at all then.
    """
    sock = _socket.socket(
        _socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC
    )
    try:
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_PASSCRED, 1)
        held = None if place is None else _bound_in(sock, place)
        if held is not None:
            return BoundSocket(sock, f"{place}/{FILE_NAME}", held)
        sock.bind("")  # unix(7), autobind: the kernel picks a free abstract name
        name: bytes = sock.getsockname()
    except OSError:
        sock.close()
        raise
    return BoundSocket(sock, "@" + os.fsdecode(name[1:]), None)


def receive(bound: BoundSocket) -> NotifyMessage | None:
    """Return the next message, None when there is none.

    Of a datagram longer than `LARGEST_MESSAGE` the lines that came whole are kept.  Descriptors
    sent along are closed by the kernel and never enter this process.

    Raises:
        OSError: what recvmsg(2) says but EAGAIN.
    """
    try:
        data, control, flags, _ = bound.socket.recvmsg(LARGEST_MESSAGE, _CONTROL_ROOM)
    except BlockingIOError:
        return None
    if flags & _socket.MSG_TRUNC:
        data = data[: data.rfind(b"\n") + 1]
    for level, kind, content in control:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_CREDENTIALS:
            return NotifyMessage(data, *_UCRED.unpack(content))
    return NotifyMessage(data, 0, 0, 0)


def close(bound: BoundSocket) -> None:
    """Close the socket and remove its file."""
    bound.socket.close()
    if bound.directory is not None:
        bound.directory.remove(FILE_NAME)
        bound.directory.close()


def _bound_in(sock: _socket.socket, place: str) -> Directory | None:
    """Bind *sock* in the directory *place* and return that, or None where it cannot be."""
    if len(os.fsencode(f"{place}/{FILE_NAME}")) > _LONGEST:
        return None
    try:
        held = directory.hold(place)
    except OSError:
        return None
    with suppress(OSError):  # read-only, another's: the abstract namespace will do
        unixsocket.check_keeps_names(held)
        if _others_may_reach(held) and not _is_in_use(held):
            held.bind(sock, FILE_NAME, _ALL_MAY_SEND)
            return held
    held.close()
    return None


def _others_may_reach(held: Directory) -> bool:
    """Return whether services that run as other users can get at a file in this directory.

    Only root can start such services; below it a private directory is an advantage.
    """
    return os.geteuid() != 0 or bool(held.mode & stat.S_IXOTH)


def _is_in_use(held: Directory) -> bool:
    """Return whether somebody receives there; remove a socket that a killed one left."""
    found = held.look(FILE_NAME)
    if found is None:
        return False
    kind = _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC
    if unixsocket.answer_of(held, FILE_NAME, kind) != errno.ECONNREFUSED:
        return True
    return not (stat.S_ISSOCK(found.st_mode) and held.remove(FILE_NAME))
