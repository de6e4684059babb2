"""Copying trees in and out of containers, where names may be links and change under our hands.

Everything is named by a descriptor and one component, never followed; what a link in a container
says is never resolved on this machine.  Trees go to trees, to tar streams, and back.
"""

from __future__ import annotations

import errno
import os
import stat

from runtime.linux import beneath, new_objects
from runtime.model.container import idmap
from runtime.model.contexts import suppress
from runtime.model.errors import RuntimeFailure
from runtime.wire import tar, tarwrite
from runtime.wire.tar import Entry
from supervise.linux import regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runtime.store.feed import Feed

OBJECT = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 18
_PRIVILEGES = stat.S_ISUID | stat.S_ISGID
_KINDS = {
    stat.S_IFREG: tar.FILE,
    stat.S_IFDIR: tar.DIRECTORY,
    stat.S_IFLNK: tar.SYMLINK,
    stat.S_IFCHR: tar.CHARACTER,
    stat.S_IFBLK: tar.BLOCK_DEVICE,
    stat.S_IFIFO: tar.FIFO,
}


class Copier:
    """Copies objects into directories."""

    def __init__(
        self,
        *,
        keep_owner: bool,
        from_shift: int = 0,
        to_shift: int = 0,
        is_out: bool = False,
    ) -> None:
        """Prepare to copy; without *keep_owner* everything belongs to 0:0.

        *is_out*: out of a container, whose root is not this machine's.  *from_shift* and *to_shift* are those of `runtime.model.container.idmap`, of either side.
        """
        self._keep_owner = keep_owner
        self._from_shift, self._to_shift = from_shift, to_shift
        self._is_out = is_out
        self.left_out: list[str] = []  # sockets: nobody listens in a copy

    def copy(self, source_fd: int, target_fd: int, name: bytes) -> None:
        """Copy the object *source_fd* (O_PATH) into the directory *target_fd*, as *name*.

        Raises:
            OSError: a file cannot be read or written.
            RuntimeFailure: a directory is in the way of a file, or the other way round.
        """
        status = os.fstat(source_fd)
        if stat.S_ISDIR(status.st_mode):
            made_fd = _make_directory(target_fd, name)
            try:
                self.copy_contents(source_fd, made_fd)
                self._decorate(made_fd, status)
            finally:
                os.close(made_fd)
        elif stat.S_ISREG(status.st_mode):
            self._file(source_fd, target_fd, name, status)
        elif stat.S_ISSOCK(status.st_mode):
            self.left_out.append(os.fsdecode(name))
        else:
            _clear(target_fd, name)
            self._unopened(source_fd, target_fd, name, status)

    def copy_contents(self, source_fd: int, target_fd: int) -> None:
        """Copy all that is in one directory into another; raises as `copy`."""
        for name, fd in objects(source_fd):
            try:
                self.copy(fd, target_fd, name)
            finally:
                os.close(fd)

    def overwrite(self, source_fd: int, target_fd: int) -> None:
        """Replace the contents of a regular file with another's, both O_PATH; raises as `copy`.

        Raises:
            RuntimeFailure: either is something else, such as the device a link leads to.
        """
        read_fd = _open_file(source_fd, os.O_RDONLY, "cannot copy")
        try:
            write_fd = _open_file(target_fd, os.O_WRONLY | os.O_TRUNC, "cannot write in place")
            try:
                _pour(read_fd, write_fd)
            finally:
                os.close(write_fd)
        finally:
            os.close(read_fd)

    def _file(self, source_fd: int, target_fd: int, name: bytes, status: os.stat_result) -> None:
        read_fd = regular.reopen(source_fd, os.O_RDONLY, name)
        try:
            write_fd, fresh = _create(target_fd, name)
            try:
                _pour(read_fd, write_fd)
                if fresh:
                    _copy_xattrs(read_fd, write_fd, capabilities=self._keeps_privileges(status))
                    self._decorate(write_fd, status)
            finally:
                os.close(write_fd)
        finally:
            os.close(read_fd)

    def _decorate(self, fd: int, status: os.stat_result) -> None:
        os.fchown(fd, *self._owner(status))
        os.fchmod(fd, self._mode(status))  # after chown, which takes set-uid away
        os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))

    def _unopened(
        self, source_fd: int, target_fd: int, name: bytes, status: os.stat_result
    ) -> None:
        """Copy what cannot be opened: a link, a device, a FIFO."""
        owner, times = self._owner(status), (status.st_atime_ns, status.st_mtime_ns)
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(b"", dir_fd=source_fd)
            with new_objects.make_link(target_fd, name, target) as fd:
                new_objects.decorate(fd, owner, times=times)
            return
        kind = stat.S_IFMT(status.st_mode)
        with new_objects.make_node(target_fd, name, kind, status.st_rdev) as fd:
            new_objects.decorate(fd, owner, self._mode(status), times)

    def _mode(self, status: os.stat_result) -> int:
        mode = stat.S_IMODE(status.st_mode)
        return mode if self._keeps_privileges(status) else mode & ~_PRIVILEGES

    def _keeps_privileges(self, status: os.stat_result) -> bool:
        """Return whether set-user-id, set-group-id and capabilities mean in the copy what they did.

        They would lend its new owner's rights to whoever runs what a container's user wrote.
        """
        if self._is_out:
            return self._keep_owner and not self._from_shift
        return self._owner(status) == (
            status.st_uid + self._to_shift,
            status.st_gid + self._to_shift,
        )

    def _owner(self, status: os.stat_result) -> tuple[int, int]:
        if not self._keep_owner:
            return self._to_shift, self._to_shift
        uid = idmap.inside(status.st_uid, self._from_shift) + self._to_shift
        return uid, idmap.inside(status.st_gid, self._from_shift) + self._to_shift


def objects(directory_fd: int) -> Iterator[tuple[bytes, int]]:
    """Yield (name, object) of all that is in a directory (O_PATH), by name; the caller closes."""
    fd = os.open(f"/proc/self/fd/{directory_fd}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in sorted(os.fsencode(name) for name in os.listdir(fd)):
            with suppress(FileNotFoundError):  # removed meanwhile
                yield name, os.open(name, OBJECT, dir_fd=fd)
    finally:
        os.close(fd)


def pack(source_fd: int, name: bytes, write: Callable[[bytes], None], *, id_shift: int = 0) -> None:
    """Write the object *source_fd* (O_PATH) as a tar stream in which it is called *name*.

    *id_shift*: see `runtime.model.container.idmap`.

    Raises:
        OSError: a file cannot be read, or *write* raises it.
    """
    _pack(source_fd, name, write, id_shift)
    write(tarwrite.END)


def _pack(source_fd: int, name: bytes, write: Callable[[bytes], None], shift: int) -> None:
    status = os.fstat(source_fd)
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        return  # a socket
    entry = Entry()
    entry.name, entry.kind = name, kind
    entry.mode = stat.S_IMODE(status.st_mode)
    entry.uid = idmap.inside(status.st_uid, shift)
    entry.gid = idmap.inside(status.st_gid, shift)
    entry.mtime_ns = status.st_mtime_ns
    if kind == tar.SYMLINK:
        entry.link = os.readlink(b"", dir_fd=source_fd)
    elif kind in (tar.CHARACTER, tar.BLOCK_DEVICE):
        entry.major, entry.minor = os.major(status.st_rdev), os.minor(status.st_rdev)
    if kind == tar.FILE:
        entry.size = status.st_size
        write(tarwrite.header(entry))
        _pack_contents(source_fd, status.st_size, write)
        return
    write(tarwrite.header(entry))
    if kind == tar.DIRECTORY:
        for inner, fd in objects(source_fd):
            try:
                _pack(fd, name + b"/" + inner, write, shift)
            finally:
                os.close(fd)


def _pack_contents(source_fd: int, size: int, write: Callable[[bytes], None]) -> None:
    """Write just as many bytes as the header says, whatever becomes of the file meanwhile."""
    fd = regular.reopen(source_fd, os.O_RDONLY)
    try:
        left = size
        while left:
            data = os.read(fd, min(_CHUNK, left)) or bytes(min(_CHUNK, left))
            left -= len(data)
            write(data)
    finally:
        os.close(fd)
    write(tarwrite.padding(size))


def make_directories(root_fd: int, path: bytes) -> int:
    """Return the directory *path* of a root; what is missing of it is made, links stay inside.

    Raises:
        OSError: something on the way is no directory.
    """
    return beneath.make_directories(root_fd, path, 0o755)


class Extractor:
    """Unpacks a tar stream below a directory of a root; links in it are the root's own."""

    def __init__(
        self, root_fd: int, directory: bytes, *, keep_owner: bool, id_shift: int = 0
    ) -> None:
        """Prepare to unpack below *directory*, a path in the root *root_fd*.

        *id_shift*: see `runtime.model.container.idmap`.
        """
        self._id_shift = id_shift
        self._root_fd = root_fd
        self._directory = directory.strip(b"/")
        self._keep_owner = keep_owner

    def run(self, feed: Feed) -> None:
        """Unpack all that *feed* gives.

        Raises:
            OSError, RuntimeFailure: an entry cannot be made.
            ValueError: it is no tar archive.
        """
        reader = tar.TarReader(feed.take)
        while (entry := reader.next()) is not None:
            reader.raw.clear()
            self._entry(entry, feed)

    def _entry(self, entry: Entry, feed: Feed) -> None:
        parts = [part for part in entry.name.split(b"/") if part not in (b"", b".")]
        if b".." in parts:
            raise RuntimeFailure(
                f"cannot unpack '{os.fsdecode(entry.name)}': it leaves the directory", code=1
            )
        if entry.sparse is not None:
            raise RuntimeFailure(
                f"cannot unpack '{os.fsdecode(entry.name)}': it is a sparse file", code=1
            )
        if not parts:
            return  # the directory itself
        place = b"/".join(part for part in (self._directory, *parts[:-1]) if part)
        parent_fd = make_directories(self._root_fd, place)
        try:
            self._make(entry, parent_fd, parts[-1], feed)
        finally:
            os.close(parent_fd)

    def _make(self, entry: Entry, parent_fd: int, name: bytes, feed: Feed) -> None:
        if entry.kind == tar.DIRECTORY:
            fd = _make_directory(parent_fd, name)
            self._decorate(fd, entry)
            os.close(fd)
        elif entry.kind == tar.FILE:
            fd, _ = _create(parent_fd, name)
            try:
                for piece in feed.pieces(entry.size):
                    _write_all(fd, piece)
                self._decorate(fd, entry)
            finally:
                os.close(fd)
            feed.take(-entry.size % tar.BLOCK)
        elif entry.kind == tar.HARD_LINK:
            _clear(parent_fd, name)
            self._link(entry, parent_fd, name)
        elif entry.kind == tar.SYMLINK:
            _clear(parent_fd, name)
            with new_objects.make_link(parent_fd, name, entry.link) as fd:
                new_objects.decorate(fd, self._owner(entry))
        elif entry.kind in (tar.CHARACTER, tar.BLOCK_DEVICE, tar.FIFO):
            _clear(parent_fd, name)
            kind = next(mode for mode, letter in _KINDS.items() if letter == entry.kind)
            number = os.makedev(entry.major, entry.minor)
            with new_objects.make_node(parent_fd, name, kind, number) as fd:
                new_objects.decorate(fd, self._owner(entry), self._mode(entry))

    def _link(self, entry: Entry, parent_fd: int, name: bytes) -> None:
        """Make a hard link to another file of the archive."""
        target = b"/".join(part for part in (self._directory, entry.link.strip(b"/")) if part)
        fd = beneath.open_in_root(self._root_fd, target, os.O_PATH | os.O_NOFOLLOW)
        try:
            os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=parent_fd, follow_symlinks=True)
        finally:
            os.close(fd)

    def _decorate(self, fd: int, entry: Entry) -> None:
        os.fchown(fd, *self._owner(entry))
        os.fchmod(fd, self._mode(entry))
        os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))

    def _mode(self, entry: Entry) -> int:
        """Return the mode; set-user-id does not survive a change of owner."""
        kept = self._keep_owner or (entry.uid, entry.gid) == (0, 0)
        return entry.mode if kept else entry.mode & ~_PRIVILEGES

    def _owner(self, entry: Entry) -> tuple[int, int]:
        uid, gid = (entry.uid, entry.gid) if self._keep_owner else (0, 0)
        return uid + self._id_shift, gid + self._id_shift


def _make_directory(parent_fd: int, name: bytes) -> int:
    """Return the directory *name*, made when it is not there."""
    with suppress(FileExistsError):
        os.mkdir(name, 0o755, dir_fd=parent_fd)
    try:
        return os.open(name, _DIRECTORY, dir_fd=parent_fd)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        raise RuntimeFailure(
            f"cannot overwrite '{os.fsdecode(name)}', which is no directory, with one", code=1
        ) from error


def _clear(parent_fd: int, name: bytes) -> None:
    """Remove what is in the way, but no directory."""
    try:
        os.unlink(name, dir_fd=parent_fd)
    except FileNotFoundError:
        return
    except IsADirectoryError as error:
        raise RuntimeFailure(
            f"cannot overwrite directory '{os.fsdecode(name)}' with what is none", code=1
        ) from error


def _create(parent_fd: int, name: bytes) -> tuple[int, bool]:
    """Return (file to write, whether it is new); where something is mounted it is the old one."""
    try:
        _clear(parent_fd, name)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return _open_in_place(parent_fd, name), False
    return os.open(name, _NEW, 0o600, dir_fd=parent_fd), True


def _open_in_place(parent_fd: int, name: bytes) -> int:
    object_fd = os.open(name, OBJECT, dir_fd=parent_fd)
    try:
        return _open_file(
            object_fd, os.O_WRONLY | os.O_TRUNC, f"cannot overwrite '{os.fsdecode(name)}'"
        )
    finally:
        os.close(object_fd)


def _open_file(object_fd: int, flags: int, what: str) -> int:
    """Open a regular file (O_PATH); a device, a FIFO or a socket is the container's, not a place."""
    try:
        return regular.reopen(object_fd, flags)
    except regular.NotRegularError as error:
        raise RuntimeFailure(f"{what}: {error.strerror}", code=1) from None


def _copy_xattrs(read_fd: int, write_fd: int, *, capabilities: bool) -> None:
    """Copy file capabilities and the user's attributes, as far as both sides have them."""
    with suppress(OSError):  # a file system without attributes
        for name in os.listxattr(read_fd):
            if (capabilities and name == "security.capability") or name.startswith("user."):
                os.setxattr(write_fd, name, os.getxattr(read_fd, name))


def _pour(read_fd: int, write_fd: int) -> None:
    while True:
        data = os.read(read_fd, _CHUNK)
        if not data:
            return
        _write_all(write_fd, data)


def _write_all(fd: int, data: bytes | memoryview) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
