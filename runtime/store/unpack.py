"""A layer's tar stream → a directory that overlayfs can use, whatever the stream contains.

Every parent is opened as if the target were the root directory, and the last component never
followed, so nothing outside is touched.  Whiteouts become overlayfs' own.  What cannot be done is
an error; nothing is left out silently but attributes the file system cannot hold.
"""

from __future__ import annotations

import errno
import os
import stat

from runtime.linux import beneath, new_objects
from runtime.model.errors import RuntimeFailure
from runtime.store import files
from runtime.store.split import SplitWriter
from runtime.wire import tar, whiteout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.store.feed import Feed
    from runtime.wire.tar import Entry

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_OPEN = 32  # directories kept open: archives stay in one branch for long
_IMPLIED_MODE = 0o755  # of a directory that the stream only mentions in a longer path
# Bytes of the paths kept until the end, of directories and of files that the stream itself
# replaces: room for a million directories, and for no stream of megabytes that stands for billions.
_MOST_PATHS = 256 << 20
_ONE_MORE = 128  # bytes that a path kept takes beside its own


class UnpackError(Exception):
    """The stream cannot be unpacked; says which entry and why."""


class Unpacker:
    """Unpacks one stream into ``DIRECTORY/diff``, and writes ``DIRECTORY/split.gz``."""

    def __init__(self, directory: str) -> None:
        """Prepare to unpack into *directory*, which exists and is empty but for what is ours."""
        self._directory = directory
        os.mkdir(f"{directory}/diff", _IMPLIED_MODE)
        self._root = os.open(f"{directory}/diff", _OPEN_DIRECTORY)
        self._split = SplitWriter(f"{directory}/split.gz")
        self._open: dict[bytes, int] = {}  # path → directory, the longest unused first
        # Where a directory really lies: links on the way to it may be replaced later.
        self._real: dict[int, bytes] = {self._root: b""}
        self._prefix = os.fsencode(os.readlink(f"/proc/self/fd/{self._root}")) + b"/"
        self._retired: list[int] = []  # open until the entry in work is done
        self._times: dict[bytes, int] = {}  # directory → mtime: set when all is in it
        self._room = _MOST_PATHS
        self.kept: list[tuple[bytes, int]] = []  # see `split.assemble`
        self.entries = 0
        self.size = 0  # bytes of all files and links, as docker counts an image

    def close(self) -> None:
        """Close the descriptors; the files stay."""
        for fd in (*self._open.values(), *self._retired, self._root):
            os.close(fd)
        self._open.clear()
        self._retired.clear()
        self._split.close()

    def run(self, feed: Feed) -> None:
        """Unpack all that *feed* gives, to its very end.

        Raises:
            UnpackError: an entry cannot be unpacked, or the stream is no tar archive.
            RuntimeFailure: the disk is full.
        """
        reader = tar.TarReader(feed.take)
        name = b""
        try:
            while (entry := reader.next()) is not None:
                name = entry.name
                self._entry(entry, feed, reader.raw)
                reader.raw.clear()
                self.entries += 1
        except OSError as error:
            raise _explain(name, error) from error
        except tar.TarError as error:
            after = f" (after '{os.fsdecode(name)}')" if name and not error.entry else ""
            raise UnpackError(f"{error}{after}") from None
        self._split.raw(reader.raw)
        for piece in feed.rest():
            self._as_it_is(piece)
        try:
            self._split.finish()
            self._set_times()
        except OSError as error:
            raise _explain(b"", error) from error

    def _as_it_is(self, piece: memoryview) -> None:
        """Keep bytes that are in no file for the split."""
        data = bytes(piece)
        if data.count(0) == len(data):
            self._split.zeros(len(data))
        else:
            self._split.raw([data])

    def _entry(self, entry: Entry, feed: Feed, raw: list[bytes]) -> None:
        self._split.raw(raw)
        while self._retired:
            self._close(self._retired.pop())
        path = clean(entry.name)
        parent, _, name = path.rpartition(b"/")
        if not name:
            if entry.kind != tar.DIRECTORY:
                raise UnpackError("the root directory is replaced by something else")
            self._decorate(self._root, entry)
            self._times[b""] = entry.mtime_ns
        elif name.startswith(whiteout.PREFIX):
            self._whiteout(self._parent(parent), name, entry)
            self._discard(entry, feed)
        elif entry.kind == tar.FILE:
            self._file(self._parent(parent), name, entry, feed)
        elif entry.kind == tar.DIRECTORY:
            self._make_directory(self._parent(parent), name, entry)
        elif entry.kind == tar.HARD_LINK:
            self._hard_link(self._parent(parent), name, entry)
        elif entry.kind == tar.SYMLINK:
            self._symlink(self._parent(parent), name, entry)
        elif entry.kind in (tar.CHARACTER, tar.BLOCK_DEVICE, tar.FIFO):
            self._node(self._parent(parent), name, entry)
        else:
            self._discard(entry, feed)  # a volume label and the like

    # One kind each.

    def _file(self, parent: int, name: bytes, entry: Entry, feed: Feed) -> None:
        try:
            fd = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
        except FileExistsError:
            self._clear_the_way(parent, name)
            fd = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
        try:
            path = self._place(parent, name)
            if entry.sparse is not None:
                self._sparse_contents(fd, path, entry, feed)
            elif entry.size:
                self._contents(fd, path, entry.size, feed)
            self._padding(entry, feed)
            self._decorate(fd, entry)
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(fd)
        self.size += entry.real_size

    def _contents(self, fd: int, path: bytes, size: int, feed: Feed, offset: int = 0) -> None:
        left = size
        for piece in feed.pieces(size):
            left -= len(piece)
            written = os.write(fd, piece)
            if written < len(piece):
                files.write_all(fd, piece[written:])
        if left:
            done = f"{size - left} of {size} bytes"
            raise UnpackError(f"it ends in the middle of '{os.fsdecode(path)}' ({done})")
        self._split.file(path, offset, size)

    def _sparse_contents(self, fd: int, path: bytes, entry: Entry, feed: Feed) -> None:
        os.ftruncate(fd, entry.real_size)
        for offset, length in entry.sparse or ():
            if length:
                os.lseek(fd, offset, os.SEEK_SET)
                self._contents(fd, path, length, feed, offset)

    def _padding(self, entry: Entry, feed: Feed) -> None:
        if padding := -entry.size % tar.BLOCK:
            found = feed.take(padding)
            if len(found) < padding:
                raise UnpackError("it ends too early, in the padding of a file")
            if found.count(0) == padding:
                self._split.zeros(padding)
            else:
                self._split.raw([found])

    def _discard(self, entry: Entry, feed: Feed) -> None:
        """Take what follows an entry that becomes no file, and keep it for the split."""
        padded = entry.size + -entry.size % tar.BLOCK
        left = padded
        for piece in feed.pieces(padded):
            left -= len(piece)
            self._as_it_is(piece)
        if left:
            raise UnpackError(f"it ends in the middle of '{os.fsdecode(entry.name)}'")

    def _make_directory(self, parent: int, name: bytes, entry: Entry) -> None:
        opaque = False
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                # A directory in place of a whiteout of the same stream: only hiding what the
                # layers below have there gives what the stream says.
                opaque = whiteout.is_overlay_whiteout(found.st_mode, found.st_rdev)
                self._clear_the_way(parent, name)
                os.mkdir(name, 0o700, dir_fd=parent)
        path = self._place(parent, name)
        fd = self._open_directory(parent, name)
        self._decorate(fd, entry)
        if opaque:
            self._make_opaque(fd)
        self._count(path, 0 if path in self._times else 1)
        self._times[path] = entry.mtime_ns

    def _hard_link(self, parent: int, name: bytes, entry: Entry) -> None:
        target = clean(entry.link)
        directory, _, base = target.rpartition(b"/")
        try:
            source = self._parent(directory, make=False)
            self._link(source, base, parent, name)
        except FileNotFoundError:
            raise UnpackError(
                f"'{os.fsdecode(entry.name)}' is a hard link to '{os.fsdecode(entry.link)}', "
                "which is not in the same layer"
            ) from None

    def _link(self, source: int, base: bytes, parent: int, name: bytes) -> None:
        how = {"src_dir_fd": source, "dst_dir_fd": parent, "follow_symlinks": False}
        try:
            os.link(base, name, **how)  # type: ignore[arg-type]
        except FileExistsError:
            there = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if os.path.samestat(there, os.stat(base, dir_fd=source, follow_symlinks=False)):
                return  # a link to itself, or the same link twice
            self._clear_the_way(parent, name)
            os.link(base, name, **how)  # type: ignore[arg-type]

    def _symlink(self, parent: int, name: bytes, entry: Entry) -> None:
        try:
            self._make_symlink(parent, name, entry)
        except FileExistsError:
            self._clear_the_way(parent, name)
            self._make_symlink(parent, name, entry)
        self.size += len(entry.link)

    def _make_symlink(self, parent: int, name: bytes, entry: Entry) -> None:
        with new_objects.make_link(parent, name, entry.link) as fd:
            self._decorate_held(fd, entry)

    def _node(self, parent: int, name: bytes, entry: Entry) -> None:
        kind = {
            tar.CHARACTER: stat.S_IFCHR,
            tar.BLOCK_DEVICE: stat.S_IFBLK,
            tar.FIFO: stat.S_IFIFO,
        }[entry.kind]
        device = os.makedev(entry.major, entry.minor) if entry.kind != tar.FIFO else 0
        try:
            self._make_node(parent, name, entry, kind, device)
        except FileExistsError:
            self._clear_the_way(parent, name)
            self._make_node(parent, name, entry, kind, device)

    def _make_node(self, parent: int, name: bytes, entry: Entry, kind: int, device: int) -> None:
        with new_objects.make_node(parent, name, kind, device) as fd:
            self._decorate_held(fd, entry)

    def _whiteout(self, directory: int, name: bytes, entry: Entry) -> None:
        if name == whiteout.OPAQUE:
            self._make_opaque(directory)
            return
        hidden = whiteout.hidden_by(name)
        if hidden is None:
            return  # aufs' own
        if hidden in (b"", b".", b".."):
            raise UnpackError(f"'{os.fsdecode(entry.name)}' hides no name")
        try:
            self._make_node(directory, hidden, entry, stat.S_IFCHR, 0)
        except FileExistsError:
            # What this very layer has under the name stays, what is below it must not show.
            found = os.stat(hidden, dir_fd=directory, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                self._make_opaque(self._open_directory(directory, hidden))

    # What they share.

    def _parent(self, path: bytes, *, make: bool = True) -> int:
        """Return the open directory *path*, made with those above it where it is missing.

        The caller must not close it.  It stays open until the next entry, and for 31 more calls.
        """
        if not path:
            return self._root
        fd = self._open.pop(path, None)
        if fd is None:
            try:
                fd = beneath.open_in_root(self._root, path, os.O_RDONLY | os.O_DIRECTORY)
            except FileNotFoundError:
                if not make:
                    raise
                fd = self._make_parents(path)
        self._remember(path, fd)
        return fd

    def _make_parents(self, path: bytes) -> int:
        """Make the directory *path* and all that are missing above it, and return it open."""
        try:
            return beneath.make_directories(self._root, path, _IMPLIED_MODE)
        except FileExistsError as error:  # a symbolic link that leads nowhere
            raise UnpackError(f"'{os.fsdecode(error.filename)}' is not a directory") from None

    def _place(self, parent: int, name: bytes) -> bytes:
        """Return where *name* in the open directory *parent* really lies below the root."""
        above = self._real[parent]
        return above + b"/" + name if above else name

    def _open_directory(self, parent: int, name: bytes) -> int:
        path = self._place(parent, name)
        fd = self._open.pop(path, None)
        if fd is None:
            fd = os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
        self._remember(path, fd)
        return fd

    def _remember(self, path: bytes, fd: int) -> None:
        if len(self._open) >= _MOST_OPEN:
            self._close(self._open.pop(next(iter(self._open))))
        self._open[path] = fd
        if fd not in self._real:
            real = os.fsencode(os.readlink(f"/proc/self/fd/{fd}"))
            self._real[fd] = real[len(self._prefix) :]

    def _close(self, fd: int) -> None:
        del self._real[fd]
        os.close(fd)

    def _clear_the_way(self, parent: int, name: bytes) -> None:
        """Move what has the name out of the layer; its contents are part of the stream."""
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if found.st_nlink == 1 and not stat.S_ISDIR(found.st_mode):
            self.size -= found.st_size
        kept = f"{self._directory}/kept"
        files.make_directories(kept)
        os.rename(name, f"{kept}/{len(self.kept)}", src_dir_fd=parent)
        path = self._place(parent, name)
        self._count(path, 1)
        self.kept.append((path, self._split.files))
        if stat.S_ISDIR(found.st_mode) or stat.S_ISLNK(found.st_mode):
            # Any path may have led through it.  The callers still work with some of these.
            self._retired += self._open.values()
            self._open.clear()

    def _count(self, path: bytes, more: int) -> None:
        """Take the room that *path*, kept until the end, needs."""
        self._room -= (len(path) + _ONE_MORE) * more
        if self._room < 0:
            raise UnpackError(f"its directories' names have more than {_MOST_PATHS >> 20} MiB")

    def _decorate(self, fd: int, entry: Entry) -> None:
        """Set owner, then mode (chown clears set-user-id), then attributes (both clear some)."""
        os.fchown(fd, entry.uid, entry.gid)
        os.fchmod(fd, entry.mode)
        for name, value in entry.xattrs.items():
            self._set_xattr(fd, name, value)

    def _decorate_held(self, fd: int, entry: Entry) -> None:
        """Decorate what cannot be opened, and is held."""
        mode = None if entry.kind == tar.SYMLINK else entry.mode
        new_objects.decorate(fd, (entry.uid, entry.gid), mode, (entry.mtime_ns, entry.mtime_ns))
        for key, value in entry.xattrs.items():
            self._set_xattr(new_objects.held(fd), key, value)

    def _set_xattr(self, place: int | str, name: str, value: bytes) -> None:
        if whiteout.is_own_xattr(name):
            return  # overlayfs would obey it: it could show files of other layers
        try:
            os.setxattr(place, name, value)
        except OSError as error:
            # As docker: file systems without these attributes still get the files.
            if error.errno not in (errno.EOPNOTSUPP, errno.EPERM):
                raise

    def _make_opaque(self, fd: int) -> None:
        os.setxattr(fd, whiteout.OPAQUE_XATTR, whiteout.OPAQUE_VALUE)

    def _set_times(self) -> None:
        # Those deepest in the tree last or first is the same: utime changes no parent.
        for path, mtime in self._times.items():
            try:
                fd = beneath.open_in_root(self._root, path, _OPEN_DIRECTORY | os.O_NOFOLLOW)
            except (FileNotFoundError, NotADirectoryError):
                continue  # replaced by a later entry
            except OSError as error:
                if error.errno == errno.ELOOP:
                    continue  # replaced by a symbolic link
                raise
            try:
                os.utime(fd, ns=(mtime, mtime))
            finally:
                os.close(fd)


def clean(name: bytes) -> bytes:
    """Return *name* as a path below the root, without ``.``, ``..`` and double slashes.

    Raises:
        UnpackError: it leaves the root.
    """
    if name.startswith(b"./"):
        name = name[2:]
    if name.endswith(b"/"):
        name = name[:-1]
    # The common case costs five searches in C.
    if not (
        name.startswith((b"/", b"."))
        or b"//" in name
        or b"/./" in name
        or b"/.." in name
        or name.endswith((b"/", b"/."))
    ):
        return name
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise UnpackError(f"'{os.fsdecode(name)}' would leave the root directory")
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts)


def _explain(name: bytes, error: OSError) -> UnpackError | RuntimeFailure:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RuntimeFailure(
            f"cannot unpack '{os.fsdecode(name)}': {error.strerror}",
            "runtime system prune frees what nothing uses",
        )
    return UnpackError(f"'{os.fsdecode(name)}': {error.strerror}")
