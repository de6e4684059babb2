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

from supervise.linux import directory
from supervise.linux.directory import Directory
from supervise.model.record import Record

_UCRED_SIZE = 12  # struct ucred of unix(7): pid, uid and gid, four bytes each
_SO_PEERGROUPS = 59  # include/uapi/asm-generic/socket.h; the module does not name it
_MOST_GROUPS = 256  # getsockopt of CPython takes buffers up to 1024 bytes
_BACKLOG = 128  # connections the kernel keeps for us while we do something else
_LOCK = ".lock"  # behind the socket's name, for as long as it takes to bind
_ASIDE = ".old"  # behind the name of a socket that gives way to the next
_STREAM = _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC


class PeerCredentials(Record):
    """Who connected, as the kernel noted it then; numbers in our namespaces."""

    pid: int  # 0 outside our pid namespace
    uid: int  # 65534 outside our user namespace
    gid: int
    groups: tuple[int, ...]  # supplementary; empty before Linux 4.13 and with more than 256


class Listener:
    """A listening socket and, for a path, the file that leads to it.

    *owned_directory* is where that file is; None for an abstract socket.
    """

    def __init__(self, sock: _socket.socket, place: str, owned_directory: Directory | None) -> None:
        self.sock = sock
        self.place = place
        self.directory = owned_directory
        self._name = os.path.basename(place)
        self._file = None
        if owned_directory is not None:
            self._file = _identity(owned_directory.look(self._name))

    def fileno(self) -> int:
        """Return the descriptor, for epoll."""
        return self.sock.fileno()

    def is_reachable(self) -> bool:
        """Return whether the path still leads to this socket; its inode lives as long as we do."""
        return self._file is None or _identity(_look(self.place)) == self._file

    def step_aside(self) -> bool:
        """Free the place for another socket, for a moment; return whether it is free."""
        if self.directory is None:
            return False
        try:
            self.directory.rename(self._name, f"{self._name}{_ASIDE}")
        except OSError:
            return False
        self._name += _ASIDE
        return True

    def step_back(self) -> None:
        """Take the place again that `step_aside` freed; raises OSError."""
        if self.directory is not None and self._name.endswith(_ASIDE):
            before = self._name.removesuffix(_ASIDE)
            self.directory.rename(self._name, before)
            self._name = before

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
        if self.directory is not None:
            if _identity(self.directory.look(self._name)) == self._file:
                self.directory.remove(self._name)
            self.directory.close()
        self.sock.close()


def listen(place: str, *, mode: int) -> Listener:
    """Listen at *place*; a socket that nobody listens on any more is replaced.

    At no moment can others connect than those *mode* admits.  The directory must exist.

    Raises:
        OSError: EADDRINUSE: another process listens there, or is about to; EEXIST: something
            that is no socket is in the way; ENAMETOOLONG: more than 107 bytes; EPERM: somebody
            else may put another socket there; ENOENT, EACCES, EROFS: as bind(2) says.
    """
    sock = _socket.socket(_socket.AF_UNIX, _STREAM)
    held = None
    try:
        if place.startswith("@"):
            sock.bind(b"\0" + place[1:].encode())
        else:
            held = _held(place)
            _bind_path(sock, held, place, mode)
        sock.listen(_BACKLOG)
        return Listener(sock, place, held)
    except BaseException:
        sock.close()
        if held is not None:
            held.close()
        raise


def make_directory(path: str) -> None:
    """Make sure *path* is a directory that only we and root can write to.

    Raises:
        PermissionError: it belongs to another user, is a symbolic link, or everybody may write
            to it: who can replace the socket can play supervise to root.
        OSError: ENOENT without its parent, EROFS and so on, as mkdir(2) says.
    """
    name = os.path.basename(path)
    above = directory.hold(os.path.dirname(path) or ".")
    try:
        above.make(name)
        made = above.enter(name)
    except NotADirectoryError:
        raise PermissionError(errno.EPERM, "is no directory", path) from None
    finally:
        above.close()
    try:
        _check_owner(made, "")
        if not made.kept_way:
            reason = "whoever may write to a directory above it may exchange it"
            raise PermissionError(errno.EPERM, reason, path)
        if made.mode & stat.S_IWOTH:
            raise PermissionError(errno.EPERM, "is writable by everybody", path)
    finally:
        made.close()


def peer(connection: _socket.socket) -> PeerCredentials:
    """Return who is at the other end, with SO_PEERCRED and SO_PEERGROUPS of unix(7)."""
    credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, _UCRED_SIZE)
    try:
        raw = connection.getsockopt(_socket.SOL_SOCKET, _SO_PEERGROUPS, 4 * _MOST_GROUPS)
    except OSError:  # ENOPROTOOPT before Linux 4.13, ERANGE with more groups
        raw = b""
    # memoryview, as `struct` would be 0.1 MB for these two lines.
    pid, uid, gid = memoryview(credentials).cast("I")
    return PeerCredentials(pid, uid, gid, tuple(memoryview(raw).cast("I")))


def pid_namespace() -> str:
    """Return a name for this process's pid namespace, empty without /proc."""
    try:
        return os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return ""


def _held(place: str) -> Directory:
    """Return the directory of *place*; raises PermissionError where others may exchange its names."""
    held = directory.hold(os.path.dirname(place) or ".")
    try:
        check_keeps_names(held)
    except BaseException:
        held.close()
        raise
    return held


def check_keeps_names(held: Directory) -> None:
    """Refuse a directory in which others could put their own socket in the place of ours.

    With the sticky bit they could not: /tmp will do.  Nor one that they could exchange as a whole.

    Raises:
        PermissionError: it belongs to another user, or another group or everybody may write to it.
    """
    _check_owner(held, "its directory ")
    if not held.kept_way:
        reason = "whoever may write to a directory above it may exchange it"
        raise PermissionError(errno.EPERM, reason, held.path)
    if held.mode & stat.S_ISVTX:
        return
    way_out = "chmod go-w it, or name another in control.socket"
    if held.mode & stat.S_IWOTH:
        reason = f"its directory is writable by everybody ({way_out})"
        raise PermissionError(errno.EPERM, reason, held.path)
    # What our own group may write to is as an image for any user id wants it: root's group.
    if held.mode & stat.S_IWGRP and held.group not in (0, os.getegid()):
        reason = f"its directory is writable by group {held.group} ({way_out})"
        raise PermissionError(errno.EPERM, reason, held.path)


def _check_owner(held: Directory, subject: str) -> None:
    if held.owner in directory.trusted_users():
        return
    way_out = " (chown it, or name another in control.socket)" if subject else ""
    reason = f"{subject}belongs to user {held.owner}{way_out}"
    raise PermissionError(errno.EPERM, reason, held.path)


def _bind_path(sock: _socket.socket, held: Directory, path: str, mode: int) -> None:
    if len(os.fsencode(path)) > 107:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path)
    name = f"{os.path.basename(path)}{_LOCK}"
    try:
        # Two that start at once must not both find the old socket stale.
        lock = _locked(held, name)
    except BlockingIOError:
        raise OSError(errno.EADDRINUSE, "another process is opening a socket", path) from None
    try:
        _clear_the_way(held, path)
        held.bind(sock, os.path.basename(path), mode)
    finally:
        if lock >= 0:
            held.remove(name)
            os.close(lock)


def _locked(held: Directory, name: str) -> int:
    """Return the locked file *name*, which nobody but we and root can lock; -1 if it cannot be had.

    The lock keeps two of ours apart, and is no defence.  So what somebody else put there, in a
    sticky directory, counts for nothing: he could keep us from listening for ever.

    Raises:
        BlockingIOError: another process of ours has it.
    """
    while True:
        try:
            fd = held.open_entry(name, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return -1
        try:
            found = os.fstat(fd)
            private = stat.S_ISREG(found.st_mode) and not found.st_mode & 0o077
            if found.st_uid not in directory.trusted_users() or not private:
                os.close(fd)
                return -1
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise
        if os.fstat(fd).st_nlink:
            return fd
        os.close(fd)  # the one who had it has removed it


def _clear_the_way(held: Directory, path: str) -> None:
    name = os.path.basename(path)
    found = held.look(name)
    if found is None:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise FileExistsError(errno.EEXIST, "is in the way and is no socket", path)
    answer = answer_of(held, name, _STREAM)
    if answer == errno.ECONNREFUSED:
        held.remove(name)  # left behind by one that was killed
    elif answer != errno.ENOENT:
        raise OSError(errno.EADDRINUSE, "another process listens there", path)


def answer_of(held: Directory, name: str, kind: int) -> int:
    """Return the errno of connecting to the socket *name*, 0 when somebody is there."""
    probe = _socket.socket(_socket.AF_UNIX, kind)
    try:
        return held.inside(lambda: probe.connect_ex(name))
    finally:
        probe.close()


def _look(path: str) -> os.stat_result | None:
    """Return what is at *path* for a client; nothing is opened there."""
    try:
        return os.lstat(path)
    except OSError:
        return None


def _identity(found: os.stat_result | None) -> tuple[int, int] | None:
    return None if found is None else (found.st_dev, found.st_ino)
