"""Listening unix sockets with a mode and an owner, and who is at the other end: unix(7).

A place is a path, or ``@name`` in the abstract namespace.  It does not choose the place; see
`supervise.wire.address` for the list and `supervise.daemon.control.server` for the choice.
"""

from __future__ import annotations

import _socket
import errno
import fcntl
import os
import stat

from supervise.model.record import Record

_UCRED_SIZE = 12  # struct ucred of unix(7): pid, uid and gid, four bytes each
_SO_PEERGROUPS = 59  # include/uapi/asm-generic/socket.h; the module does not name it
_MOST_GROUPS = 256  # getsockopt of CPython takes buffers up to 1024 bytes
_BACKLOG = 128  # connections the kernel keeps for us while we do something else
_STREAM = _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC


class Peer(Record):
    """Who connected, as the kernel noted it then; numbers in our namespaces."""

    pid: int  # 0 outside our pid namespace
    uid: int  # 65534 outside our user namespace
    gid: int
    groups: tuple[int, ...]  # supplementary; empty before Linux 4.13 and with more than 256


class Listener:
    """A listening socket and, for a path, the file that leads to it."""

    def __init__(self, sock: _socket.socket, place: str) -> None:
        self.sock = sock
        self.place = place
        self._file = None if place.startswith("@") else _identity(place)

    def fileno(self) -> int:
        """Return the descriptor, for epoll."""
        return self.sock.fileno()

    def is_reachable(self) -> bool:
        """Say whether the path still leads to this socket; its inode lives as long as we do."""
        return self._file is None or _identity(self.place) == self._file

    def accept(self) -> _socket.socket:
        """Return the next connection, non-blocking.

        What socket.accept does but for the import of `socket`: 6 ms and its enums (CPython 3.11).

        Raises:
            BlockingIOError: there is none.
            OSError: EMFILE, ENFILE, ENOBUFS or ENOMEM: the connection stays in the backlog;
                ECONNABORTED: it is gone.
        """
        fd, _ = self.sock._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - accept4(2)
        connection = _socket.socket(fileno=fd)
        connection.settimeout(0.0)
        return connection

    def close(self) -> None:
        """Stop listening and remove the file if it is still ours."""
        if self._file is not None and self.is_reachable():
            _unlink(self.place)
        self.sock.close()


def listen(place: str, *, mode: int) -> Listener:
    """Listen at *place*; a socket that nobody listens on any more is replaced.

    At no moment can others connect than those *mode* admits.  The directory must exist.

    Raises:
        OSError: EADDRINUSE: another process listens there, or is about to; EEXIST: something
            that is no socket is in the way; ENAMETOOLONG: more than 107 bytes; ENOENT, EACCES,
            EROFS: as bind(2) says.
    """
    sock = _socket.socket(_socket.AF_UNIX, _STREAM)
    try:
        if place.startswith("@"):
            sock.bind(b"\0" + place[1:].encode())
        else:
            _bind_path(sock, place, mode)
        sock.listen(_BACKLOG)
        return Listener(sock, place)
    except BaseException:
        sock.close()
        raise


def make_directory(path: str) -> None:
    """Make sure *path* is a directory that only we and root can write to.

    Raises:
        PermissionError: it belongs to another user, is a symbolic link, or everybody may write
            to it: who can replace the socket can play supervise to root.
        OSError: ENOENT without its parent, EROFS and so on, as mkdir(2) says.
    """
    try:
        os.mkdir(path, 0o755)
        created = True
    except FileExistsError:
        created = False
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise PermissionError(errno.EPERM, "is no directory", path) from None
        raise
    try:
        found = os.fstat(fd)
        if found.st_uid not in (0, os.geteuid()):
            raise PermissionError(errno.EPERM, f"belongs to user {found.st_uid}", path)
        if found.st_mode & stat.S_IWOTH:
            raise PermissionError(errno.EPERM, "is writable by everybody", path)
        if created:
            os.fchmod(fd, 0o755)  # what the umask took away; the socket has a mode of its own
    finally:
        os.close(fd)


def peer(connection: _socket.socket) -> Peer:
    """Return who is at the other end, with SO_PEERCRED and SO_PEERGROUPS of unix(7)."""
    credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, _UCRED_SIZE)
    try:
        raw = connection.getsockopt(_socket.SOL_SOCKET, _SO_PEERGROUPS, 4 * _MOST_GROUPS)
    except OSError:  # ENOPROTOOPT before Linux 4.13, ERANGE with more groups
        raw = b""
    # memoryview, as `struct` would be 0.1 MB for these two lines.
    pid, uid, gid = memoryview(credentials).cast("I")
    return Peer(pid, uid, gid, tuple(memoryview(raw).cast("I")))


def pid_namespace() -> str:
    """Return a name for this process's pid namespace, empty without /proc."""
    try:
        return os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return ""


def _bind_path(sock: _socket.socket, path: str, mode: int) -> None:
    if len(os.fsencode(path)) > 107:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path)
    directory = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Two that start at once must not both find the old socket stale.
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _clear_the_way(path)
        # bind(2) gives the file the mode of the socket's own inode, less the umask: with it set
        # first there is no moment at which others could connect.
        os.fchmod(sock.fileno(), mode)
        sock.bind(path)
        os.chmod(path, mode)  # what the umask took away
    except BlockingIOError:
        raise OSError(errno.EADDRINUSE, "another process is opening a socket", path) from None
    finally:
        os.close(directory)


def _clear_the_way(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "is in the way and is no socket", path)
    except FileNotFoundError:
        return
    probe = _socket.socket(_socket.AF_UNIX, _STREAM)
    answer = probe.connect_ex(path)
    probe.close()
    if answer == errno.ECONNREFUSED:
        os.unlink(path)  # left behind by one that was killed
    elif answer != errno.ENOENT:
        raise OSError(errno.EADDRINUSE, "another process listens there", path)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return  # a file system gone read-only keeps it: a stale socket


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
