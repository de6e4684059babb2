"""Directories held by descriptor: PID 1 trusts no name in one that somebody else may write to.

`find` walks a path and follows symbolic links only where nobody but root and we can have put them;
what it returns works by openat(2), renameat(2) and unlinkat(2) in the directory that was looked at,
whatever its names lead to a moment later.  Everything in PID 1 that opens, makes, renames or
removes a file comes through here; see docs/security.md.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol, TypeVar

    Result = TypeVar("Result")

    class BindableSocket(Protocol):
        """As much of a socket as `Directory.bind` needs."""

        def fileno(self) -> int:
            """Return the descriptor."""

        def bind(self, address: str) -> None:
            """Give it an address."""


_MOST_LINKS = 40  # path_resolution(7)
_HOLD = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_ALWAYS = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_SHARED = stat.S_IWGRP | stat.S_IWOTH
_LONGEST_ADDRESS = 107  # bytes of a path, unix(7)
_UNMAPPED = 65534  # how an id outside our user namespace looks, user_namespaces(7)

_somebody: bool | None = None  # whether _UNMAPPED is a user's number here, once that is known


class UnsafeFileError(PermissionError):
    """A name may lead elsewhere than it says, and somebody else than root or we decides where."""

    def __init__(self, reason: str, path: str) -> None:
        super().__init__(errno.EPERM, reason, path)


class Directory:
    """One directory, held open; relative to it names cannot be led elsewhere."""

    def __init__(self, owned_fd: int, path: str, *, safe_way: bool, kept_way: bool) -> None:
        """Take *owned_fd* over; *safe_way*: nobody else could put another directory at *path*.

        *kept_way*: nobody else could but our own group and root's.
        """
        self.fd = owned_fd
        self.path = path  # without symbolic links
        found = os.fstat(owned_fd)
        self.owner = found.st_uid
        self.group = found.st_gid
        self.mode = stat.S_IMODE(found.st_mode)
        self._device = found.st_dev
        self._safe_way = safe_way
        self.kept_way = kept_way

    @property
    def is_ours(self) -> bool:
        """Return whether nobody but root and we can make, rename or remove a name here."""
        return self._safe_way and self._has_trusted_owner() and not self.mode & _SHARED

    @property
    def is_sticky(self) -> bool:
        """Return whether others may make names here, but not touch those of root and ours."""
        sticky = self._safe_way and self._has_trusted_owner() and self.mode & stat.S_ISVTX
        return bool(sticky)

    def may_hold_links_to(self, user: int) -> bool:
        """Return whether somebody else than *user* and we may have linked a file of *user* here.

        Its owner may link his own file in his own directory, but not if others write there too.
        """
        alone = user == self.owner and not self.mode & _SHARED
        return not (self.is_ours or alone)

    @property
    def keeps_names(self) -> bool:
        """Return whether nobody but root, we, and our groups can exchange a name of theirs here.

        What our own group may write to is as an image for any user id wants it: root's group.
        """
        by_group = self.mode & stat.S_IWGRP and self.group not in (0, os.getegid())
        shared = self.mode & stat.S_IWOTH or by_group
        held = self._has_trusted_owner() and (self.mode & stat.S_ISVTX or not shared)
        return bool(self.kept_way and held)

    def who_else(self) -> str:
        """Return who else may write here, as the subject of a sentence."""
        if not self._has_trusted_owner():
            return f"user {self.owner}"
        if self.mode & stat.S_IWOTH:
            return "everybody"
        if self.mode & stat.S_IWGRP:
            return f"group {self.group}"
        return "whoever may write to a directory above it"

    def _has_trusted_owner(self) -> bool:
        # The root directory leads everywhere; of an owner without a number it can only be on the way.
        is_root = self.path == "/" and self.owner == _UNMAPPED
        return is_root or self.owner in trusted_users()

    def close(self) -> None:
        """Let go of it.  Idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    # -- names in it

    def enter(self, name: str, *, make: bool = False) -> Directory:
        """Return the directory *name*; *make* it with mode 0755 where it is missing.

        Raises:
            OSError: ENOTDIR: it is a symbolic link, or no directory; and as openat(2) says.
        """
        try:
            return self._enter(name)
        except FileNotFoundError:
            if not make:
                raise
        try:
            os.mkdir(name, 0o755, dir_fd=self.fd)
        except FileExistsError:
            return self._enter(name)  # another one made it
        return self._enter(name)

    def make(self, name: str) -> bool:
        """Make the directory *name* with mode 0755 exactly; return False where it is there."""
        before = os.umask(0)
        try:
            os.mkdir(name, 0o755, dir_fd=self.fd)
        except FileExistsError:
            return False
        finally:
            os.umask(before)
        return True

    def _enter(self, name: str) -> Directory:
        follow = 0 if self._is_kernels() else os.O_NOFOLLOW
        fd = os.open(name, _HOLD | follow, dir_fd=self.fd)
        owned = os.fstat(fd).st_uid in trusted_users()
        safe = self.is_ours or (self.is_sticky and owned)
        kept = self.keeps_names and (owned or not self.mode & stat.S_ISVTX)
        path = os.path.normpath(os.path.join(self.path, name))  # which has no links
        return Directory(fd, path, safe_way=safe, kept_way=kept)

    def open_file(self, name: str, flags: int, mode: int = 0o640) -> int:
        """Open *name*, never through a link; with O_CREAT in *flags* make it where it is missing.

        Where others may write, an existing file is taken only if it is a regular file or a FIFO
        with this one name, of root's, ours or the directory's owner.  A file that is made in a
        directory of another user belongs to him: what others have us write is never root's word.

        Raises:
            UnsafeFileError: it is none of these.
            OSError: ELOOP: it is a symbolic link; and as openat(2) says.
        """
        for _ in range(2):
            try:
                fd = self.open_entry(name, flags & ~os.O_CREAT)
            except FileNotFoundError:
                if not flags & os.O_CREAT:
                    raise
            else:
                return self._checked(fd, name)
            try:
                return self._given(self.open_entry(name, flags | os.O_EXCL, mode))
            except FileExistsError:
                continue  # another one made it: look at it
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self._full(name))

    def open_regular_file(self, name: str, flags: int) -> int:
        """Open *name* as `open_file` does, but no FIFO and no device; raises OSError too then."""
        fd = self.open_file(name, flags)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, "it is no regular file", self._full(name))
        return fd

    def open_entry(self, name: str, flags: int, mode: int = 0) -> int:
        """Open whatever is *name*, never through a link; the caller looks at what it is."""
        follow = 0 if self._is_kernels() else os.O_NOFOLLOW
        return os.open(name, flags | follow | _ALWAYS, mode, dir_fd=self.fd)

    def make_file(self, name: str, mode: int) -> int:
        """Make the file *name* for writing; what had that name loses it, whatever it was.

        It belongs to the directory's owner, as what `open_file` makes.

        Raises:
            OSError: EEXIST: somebody made it in this very moment; EISDIR; as openat(2) says.
        """
        self.remove(name)
        return self._given(self.open_entry(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))

    def rename(self, name: str, new_name: str) -> None:
        """Rename within the directory; raises OSError."""
        os.rename(name, new_name, src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def remove(self, name: str) -> bool:
        """Remove *name*; return whether it was there and could be."""
        try:
            os.unlink(name, dir_fd=self.fd)
        except OSError:
            return False
        return True

    def look(self, name: str) -> os.stat_result | None:
        """Return what *name* is, a link itself; None where it is missing or cannot be seen."""
        try:
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except OSError:
            return None

    def link_text(self, name: str) -> str | None:
        """Return where the symbolic link *name* points, None when it is no link or not there."""
        if self._is_kernels():
            return None  # what those of /proc say is no path; the kernel follows them itself
        try:
            return os.readlink(name, dir_fd=self.fd)
        except OSError:
            return None

    def bind(self, sock: BindableSocket, name: str, mode: int) -> None:
        """Make *name* the address of *sock*, with *mode* from its first moment on.

        bind(2) makes the file with the mode of the socket's own inode, less the umask.  Where nobody
        else can change what the path means it is bound by that, as ss(8) and /proc/net/unix show it.
        """
        path = self._full(name)
        by_path = (self.is_ours or self.is_sticky) and len(os.fsencode(path)) <= _LONGEST_ADDRESS
        os.fchmod(sock.fileno(), mode)
        before = os.umask(0)
        try:
            self.inside(lambda: sock.bind(path if by_path else name))
        finally:
            os.umask(before)

    def inside(self, action: Callable[[], Result]) -> Result:
        """Return what *action* returns with this as the working directory.

        For bind(2) and connect(2), which have no form that takes a directory; /proc may be missing.
        """
        before = os.open(".", _HOLD)
        try:
            os.fchdir(self.fd)
            return action()
        finally:
            os.fchdir(before)
            os.close(before)

    def readable(self) -> int:
        """Return a descriptor for what a held one cannot do: flock(2), F_NOTIFY, listing."""
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)

    def _given(self, fd: int) -> int:
        """Give the file that was just made to the owner of this directory, another user; return it.

        He can move it to wherever he may write, and there it must not pass for one of root's.
        """
        if os.geteuid() == 0 and self.owner not in trusted_users():
            with suppress(OSError):  # no CAP_CHOWN, or he has no number here: we can give nothing
                os.fchown(fd, self.owner, self.group)
        return fd

    def _full(self, name: str) -> str:
        return os.path.join(self.path, name)

    def _is_kernels(self) -> bool:
        """Return whether this is /proc, whose links are the kernel's own and no texts."""
        return self.is_ours and self._device == _proc_device()

    def _checked(self, fd: int, name: str) -> int:
        reason = "" if self.is_ours else self._why_not(os.fstat(fd))
        if reason:
            os.close(fd)
            text = f"it {reason}, in a directory that {self.who_else()} may write to"
            raise UnsafeFileError(text, self._full(name))
        return fd

    def _why_not(self, found: os.stat_result) -> str:
        """Return why a file is not taken where others may write; empty when it is."""
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISFIFO(found.st_mode)):
            return "is no regular file"
        if found.st_nlink != 1:
            return f"has {found.st_nlink} names"
        if found.st_uid not in {*trusted_users(), self.owner}:
            return f"belongs to user {found.st_uid}"
        return ""


def find(
    path: str, *, make: bool = False, link_owners: set[int] | None = None
) -> tuple[Directory, str]:
    """Return the directory that the file at *path* is in, and the file's name there.

    The name is no symbolic link, or is not there, when this returns.  Missing directories are made
    if *make* says so.  With *link_owners*, links that others may have put there are followed too,
    and their owners added: the caller takes only what belongs to one of them.

    Raises:
        UnsafeFileError: somebody else than root or we may have put a link into the way.
        OSError: ENOENT, ENOTDIR, EACCES: the way ends; ELOOP: too many links.
    """
    held = _start(path)
    todo = _steps(path)
    links = 0
    try:
        while todo:
            name = todo.pop()
            text = None if name == ".." else held.link_text(name)
            if text is not None:
                links += 1
                _check_link(held, name, links, link_owners)
                todo += _steps(text)
                after = _start(text) if text.startswith("/") else None
            elif not todo and name != "..":
                return held, name
            else:
                after = held.enter(name, make=make)
            if after is not None:
                held.close()
                held = after
    except BaseException:
        held.close()
        raise
    return held, "."


def hold(path: str) -> Directory:
    """Return the directory at *path*; raises as `find` does."""
    above, name = find(path)
    try:
        return above.enter(name)
    finally:
        above.close()


def real_path(path: str) -> str:
    """Return *path* without the links that `find` follows, as far as the way goes."""
    try:
        held, name = find(path)
    except FileNotFoundError:
        above, name = os.path.split(path.rstrip("/"))
        return os.path.join(real_path(above), name) if above else path
    except OSError:
        return os.path.normpath(path)
    held.close()
    return os.path.join(held.path, name)


def read_file(path: str, limit: int) -> bytes:
    """Return the regular file at *path*, *limit* bytes of it at most; never waits.

    See `open_for_reading`, and raises as that does.
    """
    fd = open_for_reading(path)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", path)
        with open(fd, "rb", closefd=False) as file:
            return file.read(limit)
    finally:
        os.close(fd)


def open_for_reading(path: str) -> int:
    """Open *path* for reading; links that others may have put there lead to their own files alone.

    Non-blocking, so that no FIFO holds us up.

    Raises:
        UnsafeFileError: such a link, or such a second name, leads to somebody else's file.
        OSError: as openat(2) says.
    """
    owners: set[int] = set()
    held, name = find(path, link_owners=owners)
    try:
        fd = held.open_entry(name, os.O_RDONLY)
        found = os.fstat(fd)
        reason = ""
        if owners and owners != {found.st_uid}:
            others = ", ".join(map(str, sorted(owners)))
            reason = f"a link of user {others} leads to a file of user {found.st_uid}"
        elif found.st_nlink > 1 and held.may_hold_links_to(found.st_uid):
            reason = f"{held.who_else()} may have linked it there, a file of user {found.st_uid}"
        if reason:
            os.close(fd)
            raise UnsafeFileError(reason, path)
        return fd
    finally:
        held.close()


def trusted_users() -> frozenset[int]:
    """Return whose directories we trust: root's and ours.

    In a user namespace root of the machine, who made the root directory, may have no number.  He
    looks like 65534 then, and is trusted by that unless a real user has this number there.
    """
    users = {0, os.geteuid()}
    if os.stat("/").st_uid == _UNMAPPED and not _unmapped_is_somebody():
        users.add(_UNMAPPED)
    return frozenset(users)


def is_mapped(uid_map: bytes, user: int) -> bool:
    """Return whether *user* has a number in *uid_map*, the text of user_namespaces(7)."""
    for line in uid_map.splitlines():
        first, _outside, length = map(int, line.split())
        if first <= user < first + length:
            return True
    return False


def _unmapped_is_somebody() -> bool:
    """Return whether a real user may have the number of those without one; read once."""
    global _somebody
    if _somebody is None:
        try:
            with open("/proc/self/uid_map", "rb", buffering=0) as file:
                _somebody = is_mapped(file.read() or b"", _UNMAPPED)
        except OSError:
            return True  # nobody knows: look again when /proc is there
    return _somebody


def _start(path: str) -> Directory:
    start = "/" if path.startswith("/") else "."
    path = "/" if start == "/" else os.getcwd()
    return Directory(os.open(start, _HOLD), path, safe_way=True, kept_way=True)


def _steps(path: str) -> list[str]:
    """Return the names of *path*, the last first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _check_link(held: Directory, name: str, number: int, owners: set[int] | None) -> None:
    """Refuse to follow the link *name*, the *number*th on the way, where that is not safe."""
    if number > _MOST_LINKS:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.path.join(held.path, name))
    if held.is_ours:
        return
    found = held.look(name)
    owner = found.st_uid if found is not None else held.owner
    if held.is_sticky and owner in trusted_users():
        return
    if owners is None:
        path = os.path.join(held.path, name)
        reason = f"'{path}' is a link in a directory that {held.who_else()} may write to"
        raise UnsafeFileError(reason, path)
    owners.add(owner)


def _proc_device() -> int:
    """Return the device number of /proc, -1 where it is not mounted."""
    try:
        found, root = os.lstat("/proc"), os.lstat("/")
    except OSError:
        return -1
    return found.st_dev if found.st_dev != root.st_dev and found.st_ino == 1 else -1
