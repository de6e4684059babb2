"""An overlay's upper directory → a layer's tar stream.  No look at the layers below.

Entries come in the order of their names, times in whole seconds, nothing names a user or a
machine: the same files give the same bytes.  Whiteouts and opaque directories become the tar's
own (`runtime.wire.whiteout`).
"""

from __future__ import annotations

import errno
import os
import stat

from runtime.linux import new_objects
from runtime.linux.descent import Descent
from runtime.model.container import idmap
from runtime.wire import tar, tarwrite, whiteout
from runtime.wire.tar import Entry
from supervise.linux import regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from runtime.store.split import SplitWriter

_OBJECT = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = 1 << 18  # bytes of a file at once
_LEFT_OUT = frozenset({"security.selinux"})  # the machine's own, never an image's
_KINDS = {
    stat.S_IFREG: tar.FILE,
    stat.S_IFDIR: tar.DIRECTORY,
    stat.S_IFLNK: tar.SYMLINK,
    stat.S_IFCHR: tar.CHARACTER,
    stat.S_IFBLK: tar.BLOCK_DEVICE,
    stat.S_IFIFO: tar.FIFO,
}


class Packer:
    """Packs one directory, once."""

    def __init__(
        self,
        directory: str,
        *,
        skip: Callable[[bytes], bool] = lambda path: False,  # noqa: ARG005 - what it is called with
        latest: int | None = None,
        split: SplitWriter | None = None,
        id_shift: int = 0,
    ) -> None:
        """Prepare to pack what lies in *directory*, the upper one of an overlay.

        *skip* tells of a path below it, without a leading slash, to leave out with all below it.
        *latest* is SOURCE_DATE_EPOCH: no time in the stream is later.  *split* gets what
        `runtime.store.split` needs to write the stream again from the files.  Ids from *id_shift*
        on are those of a container with its own user namespace: see
        `runtime.model.container.idmap`.
        """
        self._root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._skip = skip
        self._latest = latest
        self._split = split
        self._id_shift = id_shift
        self._seen: dict[tuple[int, int], bytes] = {}  # (device, inode) → first name
        self.left_out: list[bytes] = []  # what is in the directory and not in the stream
        self.unnameable: list[bytes] = []  # of it, what begins with ".wh.": no layer can hold it
        self.entries = 0
        self.size = 0  # bytes of all files and links, as docker counts

    def stream(self) -> Iterator[bytes]:
        """Yield the tar stream.

        Raises:
            OSError: a file cannot be read, or changes while it is.
        """
        try:
            yield from self._tree()
            self._raw(tarwrite.END)
            yield tarwrite.END
        finally:
            self.close()

    def close(self) -> None:
        """Close the directory. Idempotent."""
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def _raw(self, data: bytes) -> None:
        if self._split is not None:
            self._split.raw([data])

    def _tree(self) -> Iterator[bytes]:
        """Yield all entries, depth first, without recursion."""
        walk = Descent(self._root)
        waiting = [walk.names()]
        try:
            while waiting:
                if waiting[-1]:
                    name = waiting[-1].pop()
                    if (yield from self._named(walk, name)) and walk.enter(name):
                        waiting.append(walk.names())
                    continue
                waiting.pop()
                if waiting and not walk.leave():
                    waiting[-1].clear()
        finally:
            walk.close()

    def _named(self, walk: Descent, name: bytes) -> Generator[bytes, None, bool]:
        """Yield the entry of *name*; the generator's value returns whether it is a directory."""
        path = walk.inner(name)
        if self._skip(path):
            self.left_out.append(path)
            return False
        try:
            fd = os.open(name, _OBJECT, dir_fd=walk.fd)
        except FileNotFoundError:
            return False  # removed meanwhile, by a container that goes on
        try:
            return (yield from self._entry(fd, name, path))
        finally:
            os.close(fd)

    def _entry(self, object_fd: int, name: bytes, path: bytes) -> Generator[bytes, None, bool]:
        """Yield the entry of what is held; the generator's value is that of `_named`."""
        found = os.fstat(object_fd)
        entry = self._describe(found, path)
        if whiteout.is_overlay_whiteout(found.st_mode, found.st_rdev):
            if not name.startswith(whiteout.PREFIX):  # a name that no layer can have
                mark = path[: len(path) - len(name)] + whiteout.PREFIX + name
                yield self._mark(entry, mark, 0o600)
            return False
        kind = _KINDS.get(stat.S_IFMT(found.st_mode))
        if kind is None:
            self.left_out.append(path)
            return False  # a socket: an image has no listener
        if name.startswith(whiteout.PREFIX):
            # In a layer it would hide another file, or all of its directory.
            self.left_out.append(path)
            self.unnameable.append(path)
            return False
        entry.kind = kind
        if kind != tar.DIRECTORY and found.st_nlink > 1:
            first = self._seen.setdefault((found.st_dev, found.st_ino), path)
            if first != path:
                entry.kind, entry.link = tar.HARD_LINK, first
                yield self._header(entry)
                return False
        opaque = self._take_xattrs(entry, object_fd)
        self.size += found.st_size if kind != tar.DIRECTORY else 0
        if kind == tar.FILE:
            entry.size = found.st_size
            yield self._header(entry)
            yield from self._contents(object_fd, path, found.st_size)
            return False
        if kind == tar.SYMLINK:
            entry.link = os.readlink(b"", dir_fd=object_fd)
        elif kind in (tar.CHARACTER, tar.BLOCK_DEVICE):
            entry.major, entry.minor = os.major(found.st_rdev), os.minor(found.st_rdev)
        yield self._header(entry)
        if opaque:
            yield self._mark(entry, path + b"/" + whiteout.OPAQUE, entry.mode & 0o777)
        return kind == tar.DIRECTORY

    def _describe(self, found: os.stat_result, path: bytes) -> Entry:
        entry = Entry()
        entry.name = path
        entry.mode = stat.S_IMODE(found.st_mode)
        entry.uid = idmap.inside(found.st_uid, self._id_shift)
        entry.gid = idmap.inside(found.st_gid, self._id_shift)
        entry.mtime_ns = found.st_mtime_ns
        if self._latest is not None:
            entry.mtime_ns = min(entry.mtime_ns, self._latest * 1_000_000_000)
        return entry

    def _mark(self, entry: Entry, name: bytes, mode: int) -> bytes:
        """Return the header of an empty file that means something."""
        mark = Entry()
        mark.name, mark.mode = name, mode
        mark.uid, mark.gid, mark.mtime_ns = entry.uid, entry.gid, entry.mtime_ns
        return self._header(mark)

    def _header(self, entry: Entry) -> bytes:
        self.entries += 1
        data = tarwrite.header(entry)
        self._raw(data)
        return data

    def _take_xattrs(self, entry: Entry, object_fd: int) -> bool:
        """Put the attributes into *entry*, and return whether they make it an opaque directory."""
        place = new_objects.held(object_fd)
        try:
            names = os.listxattr(place)
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                return False
            raise
        opaque = False
        for key in names:
            if key in _LEFT_OUT:
                continue
            value = os.getxattr(place, key)
            if key == "security.capability":
                value = idmap.capabilities_inside(value, self._id_shift)
            if not whiteout.is_own_xattr(key):
                entry.xattrs[key] = value
            elif key == whiteout.OPAQUE_XATTR:
                opaque = value == whiteout.OPAQUE_VALUE
        return opaque

    def _contents(self, object_fd: int, path: bytes, size: int) -> Iterator[bytes]:
        if not size:
            return
        fd = regular.reopen(object_fd, os.O_RDONLY, path)
        try:
            left = size
            while left:
                data = os.read(fd, min(_READ, left))
                if not data:
                    raise OSError(errno.EIO, "it became shorter while it was read", path)
                left -= len(data)
                yield data
        finally:
            os.close(fd)
        padding = tarwrite.padding(size)
        if self._split is not None:
            self._split.file(path, 0, size)
            if padding:
                self._split.zeros(len(padding))
        yield padding
