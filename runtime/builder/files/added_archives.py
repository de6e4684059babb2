"""Archives: what ADD unpacks into an image's root, and build contexts that come as one.

The directory it goes into is the archive's root: no name and no link in it leads further up.
Compared with the unpacking of layers (`runtime.store.unpack`), whiteouts mean nothing here and
what is in the way is replaced, as docker does it.
"""

from __future__ import annotations

import os
import posixpath
import stat

from runtime.builder.files.selection import CAPABILITIES
from runtime.linux import beneath, new_objects
from runtime.model.errors import RuntimeFailure
from runtime.store import files
from runtime.store.compression import CompressionError
from runtime.store.feed import Feed, Slice
from runtime.wire import tar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.store.feed import ReadableStream
    from runtime.wire.tar import Entry

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_IMPLIED_MODE = 0o755  # of a directory that the archive only mentions in a longer path
_NANO = 1_000_000_000
_NODES = {
    tar.CHARACTER: stat.S_IFCHR,
    tar.BLOCK_DEVICE: stat.S_IFBLK,
    tar.FIFO: stat.S_IFIFO,
}


def is_archive(fd: int) -> bool:
    """Return whether the open file begins as a tar archive does, compressed or not."""
    with Feed(_all_of(fd)) as feed:
        try:
            return tar.TarReader(feed.take).next() is not None
        except (tar.TarError, CompressionError):
            return False


def unpack(
    fd: int,
    into_fd: int,
    *,
    name: str,
    owner: tuple[int, int] | None = None,
    epoch: int | None = None,
) -> None:
    """Unpack the archive *fd*, called *name* in messages, into the directory *into_fd*.

    Owners, modes and times are the archive's.  *owner*, if given, has all that is in it; *epoch*
    is the latest time, in seconds.

    Raises:
        RuntimeFailure: it is damaged, or something in it cannot be made.
    """
    unpack_stream(_all_of(fd), into_fd, name=name, owner=owner, epoch=epoch)


def unpack_stream(
    source: ReadableStream,
    into_fd: int,
    *,
    name: str,
    owner: tuple[int, int] | None = None,
    epoch: int | None = None,
) -> None:
    """Do what `unpack` does, with what *source* gives."""
    extractor = _Extractor(into_fd, owner, epoch)
    with Feed(source) as feed:
        try:
            extractor.run(feed)
        except (tar.TarError, CompressionError) as error:
            entry = os.fsdecode(extractor.entry)
            is_named = not entry or str(error).startswith("'")
            after = "" if is_named else f" (after '{entry}')"
            raise RuntimeFailure(f"cannot unpack '{name}': {error}{after}") from None
        except OSError as error:
            entry = os.fsdecode(extractor.entry)
            raise RuntimeFailure(
                f"cannot unpack '{entry}' of '{name}': {error.strerror}"
            ) from error
        finally:
            extractor.close()


def _all_of(fd: int) -> Slice:
    return Slice(fd, 0, os.fstat(fd).st_size)


class _Extractor:
    """Unpacks one stream below one directory."""

    def __init__(self, root_fd: int, owner: tuple[int, int] | None, epoch: int | None) -> None:
        self._root_fd = root_fd
        self._given_owner = owner
        self._epoch = epoch
        self.entry = b""  # the name of the one in work
        self._parent = (b"", os.dup(root_fd))  # the directory of the last one, open
        self._times: dict[bytes, int] = {}  # directory → mtime: set when all is in it

    def close(self) -> None:
        """Close what is open."""
        os.close(self._parent[1])

    def run(self, feed: Feed) -> None:
        """Unpack all that *feed* gives."""
        reader = tar.TarReader(feed.take)
        while (entry := reader.next()) is not None:
            reader.raw.clear()
            self.entry = entry.name
            # Go's Clean: what would lead above the root stays in it.
            path = posixpath.normpath(b"/" + entry.name.lstrip(b"/")).lstrip(b"/")
            if path:
                self._make(entry, path, feed)
            else:
                _skip(feed, entry.size)  # "./": the directory is there, and keeps what it has
        for path, when_ns in self._times.items():
            self._set_time(path, when_ns)

    def _make(self, entry: Entry, path: bytes, feed: Feed) -> None:
        above, _, name = path.rpartition(b"/")
        parent_fd = self._open_parent(above)
        if entry.kind == tar.DIRECTORY:
            self._directory(entry, parent_fd, name, path)
            return
        if entry.kind not in (tar.FILE, tar.SYMLINK, tar.HARD_LINK, *_NODES):
            _skip(feed, entry.size)  # a volume label and the like
            return
        if entry.kind == tar.HARD_LINK:
            self._hard_link(entry, parent_fd, name)
            return
        files.remove_at(parent_fd, name)
        if entry.kind == tar.FILE:
            self._file(entry, parent_fd, name, feed)
            return
        self._unopened(entry, parent_fd, name)

    def _unopened(self, entry: Entry, parent_fd: int, name: bytes) -> None:
        """Make what cannot be opened: a link, a device, a FIFO."""
        when_ns = self._time(entry.mtime_ns)
        owner, times = self._owner(entry), (when_ns, when_ns)
        if entry.kind == tar.SYMLINK:
            with new_objects.make_link(parent_fd, name, entry.link) as fd:
                new_objects.decorate(fd, owner, times=times)
            return
        number = 0 if entry.kind == tar.FIFO else os.makedev(entry.major, entry.minor)
        with new_objects.make_node(parent_fd, name, _NODES[entry.kind], number) as fd:
            new_objects.decorate(fd, owner, entry.mode, times)

    def _open_parent(self, path: bytes) -> int:
        """Return the directory *path*, made where it is missing; it stays ours.

        That of the entry before serves again: nothing was put in its place since.
        """
        if self._parent[0] != path:
            fd = self._open_made(path)
            os.close(self._parent[1])
            self._parent = (path, fd)
        return self._parent[1]

    def _open_made(self, path: bytes) -> int:
        try:
            return beneath.make_directories(self._root_fd, path, _IMPLIED_MODE)
        except FileExistsError as error:
            where = os.fsdecode(error.filename)
            raise tar.TarError(f"'{where}' is a link that leads nowhere") from None

    def _directory(self, entry: Entry, parent_fd: int, name: bytes, path: bytes) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=parent_fd)
        except FileExistsError:
            there = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
            if not stat.S_ISDIR(there.st_mode):
                os.unlink(name, dir_fd=parent_fd)
                os.mkdir(name, 0o700, dir_fd=parent_fd)
        fd = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent_fd)
        try:
            os.fchown(fd, *self._owner(entry))
            os.fchmod(fd, entry.mode)
        finally:
            os.close(fd)
        self._times[path] = entry.mtime_ns

    def _file(self, entry: Entry, parent_fd: int, name: bytes, feed: Feed) -> None:
        fd = os.open(name, _NEW, 0o600, dir_fd=parent_fd)
        try:
            os.ftruncate(fd, entry.real_size)
            for offset, length in entry.sparse or [(0, entry.size)]:
                os.lseek(fd, offset, os.SEEK_SET)
                done = 0
                for piece in feed.pieces(length):
                    files.write_all(fd, piece)
                    done += len(piece)
                if done < length:
                    raise tar.TarError("it ends in the middle of a file")
            feed.take(-entry.size % tar.BLOCK)
            os.fchown(fd, *self._owner(entry))
            os.fchmod(fd, entry.mode)
            if CAPABILITIES in entry.xattrs:
                os.setxattr(fd, CAPABILITIES, entry.xattrs[CAPABILITIES])
            when_ns = self._time(entry.mtime_ns)
            os.utime(fd, ns=(when_ns, when_ns))
        finally:
            os.close(fd)

    def _hard_link(self, entry: Entry, parent_fd: int, name: bytes) -> None:
        target = posixpath.normpath(b"/" + entry.link.lstrip(b"/")).lstrip(b"/")
        try:
            fd = beneath.open_in_root(self._root_fd, target, os.O_PATH | os.O_NOFOLLOW)
        except FileNotFoundError:
            link = os.fsdecode(entry.link)
            named = f"'{os.fsdecode(entry.name)}' is a hard link to '{link}'"
            raise tar.TarError(f"{named}, which is not there") from None
        try:
            there = _state(parent_fd, name)
            if there is None or not os.path.samestat(os.fstat(fd), there):
                files.remove_at(parent_fd, name)
                link = f"/proc/self/fd/{fd}"
                os.link(link, name, dst_dir_fd=parent_fd, follow_symlinks=True)
        finally:
            os.close(fd)

    def _owner(self, entry: Entry) -> tuple[int, int]:
        return self._given_owner or (entry.uid, entry.gid)

    def _time(self, when_ns: int) -> int:
        return when_ns if self._epoch is None else min(when_ns, self._epoch * _NANO)

    def _set_time(self, path: bytes, when_ns: int) -> None:
        try:
            fd = beneath.open_in_root(self._root_fd, path, _DIRECTORY | os.O_NOFOLLOW)
        except (FileNotFoundError, NotADirectoryError):
            return  # replaced by a later entry
        try:
            os.utime(fd, ns=(self._time(when_ns), self._time(when_ns)))
        finally:
            os.close(fd)


def _state(parent_fd: int, name: bytes) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _skip(feed: Feed, size: int) -> None:
    for _ in feed.pieces(size + -size % tar.BLOCK):
        pass
