"""An image archive as a set of named files: a tar, packed or not, from a pipe or not; a directory.

Members are found by name and read in any order; a stream that cannot be sought is put into an
unnamed file first, so that a killed process leaves no file.  What is in the members is
`runtime.store.manifests`' business.
"""

from __future__ import annotations

import errno
import os
import stat

from runtime.linux import beneath
from runtime.model.errors import RuntimeFailure
from runtime.store import compression, files
from runtime.store.compression import CompressionError
from runtime.store.feed import Feed, Slice
from runtime.store.unpack import UnpackError, clean
from runtime.wire import tar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Protocol, Self

    class ArchiveFile(Protocol):
        """What archives can do.  Names are without a leading ``./``."""

        what: str  # for messages

        def find(self, name: str) -> Slice | None:
            """Return the contents of one member, None when there is none."""

        def close(self) -> None:
            """Close the open files."""


_LARGEST_DOCUMENT = 4 << 20  # bytes: containerd's limit for manifests and configurations
_MOST_DOCUMENTS = 4096  # read for one load: two or three an image
_MOST_IN_ALL = 64 << 20  # bytes of them
_MOST_NAMES = (
    64 << 20
)  # bytes of the members' names, each with what it takes beside: half a million
_ONE_MORE = 128
_MOST_LINKS = 8  # of links to links in an archive
_MAGIC_SIZE = 8


def open_archive(path: str, directory: str) -> TarArchive | DirectoryArchive:
    """Open the archive at *path*; what must be unpacked to be read goes to *directory*.

    Raises:
        RuntimeFailure: it is not there, or no archive.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise RuntimeFailure(f"cannot open '{path}': {error.strerror}") from error
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        return DirectoryArchive(fd, f"'{path}'")
    return open_stream(fd, directory, f"'{path}'")


def open_stream(owned_fd: int, directory: str, what: str) -> TarArchive:
    """Open the archive that can be read from *owned_fd*; raises as `open_archive`."""
    try:
        found = os.fstat(owned_fd)
        if stat.S_ISREG(found.st_mode):
            start = os.pread(owned_fd, _MAGIC_SIZE, 0)
            if not compression.detect(start):
                return TarArchive(os.dup(owned_fd), what)
        return TarArchive(_spool(owned_fd, directory, what), what)
    finally:
        os.close(owned_fd)


class Documents:
    """The small members of one archive, bounded in size, and in number and size in all.

    An index may name the same manifest forty thousand times, and an index again in each of them.
    """

    def __init__(self, archive: ArchiveFile) -> None:
        self.what = archive.what
        self._archive = archive
        self._number, self._room = _MOST_DOCUMENTS, _MOST_IN_ALL

    def has(self, name: str) -> bool:
        """Return whether there is a member *name*."""
        return self._archive.find(name) is not None

    def read(self, name: str) -> bytes:
        """Return the contents of the member *name*.

        Raises:
            RuntimeFailure: it is missing, or too large to be what it should be, or all that were
                read are.
        """
        found = self._archive.find(name)
        if found is None:
            raise RuntimeFailure(f"cannot load {self.what}: '{name}' is missing from it")
        parts, size = [], 0
        while part := found.read(1 << 20):
            parts.append(part)
            size += len(part)
            if size > _LARGEST_DOCUMENT:
                raise RuntimeFailure(f"cannot load {self.what}: '{name}' is too large")
        self._number, self._room = self._number - 1, self._room - size
        if self._number < 0 or self._room < 0:
            raise RuntimeFailure(
                f"cannot load {self.what}: it has more than {_MOST_DOCUMENTS} documents, "
                f"or {_MOST_IN_ALL >> 20} MiB of them"
            )
        return b"".join(parts)


class TarArchive:
    """The members of an uncompressed tar in a file that can be sought."""

    def __init__(self, owned_fd: int, what: str) -> None:
        self.what = what
        self._fd = owned_fd
        self._size = os.fstat(owned_fd).st_size
        self._members: dict[bytes, tuple[int, int]] = {}  # name → (offset, size)
        self._links: dict[bytes, bytes] = {}  # name → name
        self._room = _MOST_NAMES
        try:
            self._index()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def find(self, name: str) -> Slice | None:
        """Return the contents of one member, None when there is none; follows its links."""
        key = name.removeprefix("./").encode(errors="surrogateescape")
        for _ in range(_MOST_LINKS):
            if key in self._members:
                offset, size = self._members[key]
                return Slice(self._fd, offset, size)
            if key not in self._links:
                return None
            key = self._links[key]
        return None

    def _index(self) -> None:
        """Walk over the headers; contents are skipped."""
        position = 0

        def take(count: int) -> bytes:
            nonlocal position
            data = os.pread(self._fd, count, position)
            position += len(data)
            return data

        reader = tar.TarReader(take)
        try:
            while (entry := reader.next()) is not None:
                reader.raw.clear()
                self._note(entry, position)
                position += entry.size + -entry.size % tar.BLOCK
                if position - (-entry.size % tar.BLOCK) > self._size:
                    missing = position - self._size
                    name = os.fsdecode(entry.name)
                    raise RuntimeFailure(
                        f"cannot load {self.what}: it is cut off in the middle of '{name}'",
                        f"at least {missing} bytes are missing; get it again",
                    )
        except (tar.TarError, UnpackError) as error:
            raise RuntimeFailure(f"cannot load {self.what}: {error}") from error

    def _note(self, entry: tar.Entry, position: int) -> None:
        name = clean(entry.name)
        self._room -= len(name) + len(entry.link) + _ONE_MORE
        if self._room < 0:
            raise RuntimeFailure(f"cannot load {self.what}: it has too many members")
        if entry.kind == tar.FILE:
            self._links.pop(name, None)
            self._members[name] = (position, entry.size)
        elif entry.kind == tar.HARD_LINK:
            self._links[name] = clean(entry.link)
        elif entry.kind == tar.SYMLINK:  # docker 1.10 to 24: a layer that two images share
            directory, slash, _ = name.rpartition(b"/")
            self._links[name] = clean(directory + slash + entry.link)


class DirectoryArchive:
    """The files below one directory; links that lead out of it lead nowhere."""

    def __init__(self, owned_fd: int, what: str) -> None:
        self.what = what
        self._root = owned_fd
        self._opened: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the directory and all members."""
        while self._opened:
            os.close(self._opened.pop())
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def find(self, name: str) -> Slice | None:
        """Return the contents of one member, None when there is none."""
        if "\0" in name:
            return None
        try:
            # Not blocking: a FIFO would have us wait for its writer.
            flags = os.O_RDONLY | os.O_NONBLOCK
            fd = beneath.open_in_root(self._root, os.fsencode(name), flags)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise RuntimeFailure(f"cannot load {self.what}: '{name}': {error.strerror}") from error
        self._opened.append(fd)
        found = os.fstat(fd)
        return Slice(fd, 0, found.st_size) if stat.S_ISREG(found.st_mode) else None


class _Stream:
    """A descriptor to read from, whatever it leads to."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, size: int, /) -> bytes:
        return os.read(self._fd, size)


def _spool(fd: int, directory: str, what: str) -> int:
    """Return an unnamed file with all that *fd* gives, decompressed."""
    files.make_directories(directory)
    spool = unnamed_file(directory)
    try:
        with Feed(_Stream(fd)) as feed:
            for piece in feed.rest():
                files.write_all(spool, piece)
    except CompressionError as error:
        os.close(spool)
        raise RuntimeFailure(f"cannot load {what}: {error}") from error
    except OSError as error:
        os.close(spool)
        raise RuntimeFailure(f"cannot load {what}: {error.strerror}") from error
    except BaseException:
        os.close(spool)
        raise
    return spool


def unnamed_file(directory: str) -> int:
    """Return a file to write and read in *directory* that goes with its descriptor."""
    try:
        return os.open(directory, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            raise
    path = f"{directory}/{files.TEMPORARY}{os.getpid()}-{os.urandom(6).hex()}"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.unlink(path)
    return fd
