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

from supervise.model.record import Record

# systemd's NOTIFY_BUFFER_MAX; sd_notify(3) clients stay below it.
LARGEST_MESSAGE = 4096
FILE_NAME = "notify"

_ALL_MAY_SEND = 0o666  # every service may speak; the kernel tells who did
_UCRED = struct.Struct("iII")  # struct ucred of unix(7): pid, uid, gid
# Room for the credentials and nothing else: the kernel writes them first (scm_recv in
# include/net/scm.h) and closes descriptors that do not fit.  So a sender can neither fill our
# descriptor table nor hand us a file whose close(2) blocks, and the closing is what
# sd_notify_barrier(3) waits for.
_CONTROL_ROOM = _socket.CMSG_SPACE(_UCRED.size)


class Message(Record):
    """One datagram and its sender as the kernel vouches for it, in our namespaces."""

    data: bytes
    pid: int  # 0 when the sender is outside our pid namespace
    uid: int
    gid: int


class BoundSocket(Record):
    """An open notify socket; the record does not own it, `close` ends it."""

    socket: _socket.socket
    address: str  # the value for $NOTIFY_SOCKET: a path, or @name in the abstract namespace
    path: str | None  # the file to remove, None for an abstract socket


def bind(directory: str | None) -> BoundSocket:
    """Open the notify socket as a file in *directory*, or else in the abstract namespace.

    Abstract it becomes where the directory is missing, read-only or too long a path, where
    services of other users could not reach into it, and where another supervisor listens there.

    Raises:
        OSError: EMFILE, ENFILE or ENOMEM; there is no socket at all then.
    """
    sock = _socket.socket(
        _socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC
    )
    try:
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_PASSCRED, 1)
        path = None if directory is None else f"{directory}/{FILE_NAME}"
        if path is not None and _others_may_reach(path) and _bind_path(sock, path):
            return BoundSocket(sock, path, path)
        sock.bind("")  # unix(7), autobind: the kernel picks a free abstract name
        name: bytes = sock.getsockname()
    except OSError:
        sock.close()
        raise
    return BoundSocket(sock, "@" + os.fsdecode(name[1:]), None)


def receive(bound: BoundSocket) -> Message | None:
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
            return Message(data, *_UCRED.unpack(content))
    return Message(data, 0, 0, 0)


def close(bound: BoundSocket) -> None:
    """Close the socket and remove its file."""
    bound.socket.close()
    if bound.path is not None:
        try:
            os.unlink(bound.path)
        except FileNotFoundError:
            return  # somebody was faster; that was the goal


def _others_may_reach(path: str) -> bool:
    """Say whether services that run as other users can get at a file in this directory.

    Only root can start such services; below it a private directory is an advantage.
    """
    try:
        mode = os.stat(os.path.dirname(path)).st_mode
    except OSError:
        return False
    return os.geteuid() != 0 or bool(mode & stat.S_IXOTH)


def _bind_path(sock: _socket.socket, path: str) -> bool:
    try:
        if _is_in_use(path):
            return False
        sock.bind(path)
        os.chmod(path, _ALL_MAY_SEND)
    except OSError:  # no such directory, read-only, too long: the abstract namespace will do
        return False
    return True


def _is_in_use(path: str) -> bool:
    """Say whether somebody receives at *path*; remove a socket that a killed one left there."""
    if not os.path.lexists(path):
        return False
    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        dead = probe.connect_ex(path) == errno.ECONNREFUSED
    finally:
        probe.close()
    if dead and stat.S_ISSOCK(os.lstat(path).st_mode):
        os.unlink(path)
        return False
    return True
