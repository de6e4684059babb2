"""Carrying out COPY and ADD: a selection goes into an image's root, as BuildKit does it.

Links of the image are followed to the destination and no further: what is written stays in the
root.  No link of a source is followed.  `select` says what, the executor says where.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
import time

from runtime.builder.files import added_archives
from runtime.builder.files import destination as place
from runtime.builder.files.owners import Mode
from runtime.builder.files.selection import (
    CAPABILITIES,
    CopySource,
    Inline,
    Selection,
    capabilities,
    entries,
)
from runtime.builder.files.tree import Found
from runtime.linux import beneath, new_objects
from runtime.model.errors import RuntimeFailure
from runtime.store import files
from supervise.linux import regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20
_AT_ONCE = 1 << 30  # bytes of one copy_file_range
_BLOCK = 512  # bytes: st_blocks' unit
_INLINE_MODE = 0o644
# What copy_file_range(2) says of file systems or kernels that cannot do it.
_NOT_IN_KERNEL = frozenset({
    *(errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM, errno.EIO),
})  # fmt: skip
_NANO = 1_000_000_000


def apply(
    selection: Selection,
    destination: str,
    root_fd: int,
    *,
    working_dir: str = "/",
    owner: tuple[int, int] | None = None,
    mode: Mode | None = None,
    epoch: int | None = None,
) -> None:
    """Copy all of *selection* to *destination*, below the root directory *root_fd*.

    *owner* None: as in the source, which for the build context is root.  *epoch*: what is
    copied gets no later time (seconds); directories that something is put into have the time of
    that, and who packs them into a layer limits it.  Those made above the destination have mode
    0755.

    Raises:
        RuntimeFailure: what is there does not allow it.
        OSError: a file cannot be read or written.
    """
    path = absolute(destination, working_dir)
    copier = _Copier(root_fd, owner, mode, epoch)
    for position, source in enumerate(selection.sources):
        try:
            if selection.link and not position:
                _clear_links(root_fd, path)
            if isinstance(source, Inline):
                copier.inline(source, path, replace=selection.link)
            elif not (source.unpack and copier.archive(source, path)):
                copier.source(source, path, replace=selection.link)
        except OSError as error:
            raise _explain(source, path, error) from error


def absolute(destination: str, working_dir: str) -> str:
    """Return *destination* below *working_dir*, without ``.`` and ``..``.

    A slash at the end stays: it says "into the directory".
    """
    whole = posixpath.join("/", working_dir, destination)
    path = "/" + posixpath.normpath(whole).lstrip("/")
    return path + "/" if place.is_directory(destination) and path != "/" else path


def _clear_links(root_fd: int, path: str) -> None:
    """Remove what is no directory on the way to *path*: `--link` does not look at what is there."""
    done = b""
    for name in os.fsencode(path).strip(b"/").split(b"/"):
        done = done + b"/" + name if done else name
        found = place.state(root_fd, done)
        if found is None:
            return
        if not stat.S_ISDIR(found.st_mode):
            os.unlink(done, dir_fd=root_fd)
            return


class _Copier:
    """Writes below one root."""

    def __init__(
        self,
        root_fd: int,
        owner: tuple[int, int] | None,
        mode: Mode | None,
        epoch: int | None,
    ) -> None:
        self._root_fd = root_fd
        self._owner = owner
        self._mode = mode
        self._epoch = epoch

    def inline(self, source: Inline, path: str, *, replace: bool) -> None:
        """Write a file whose contents are given."""
        target = self._target(path, source.name, is_directory=False, replace=replace)
        parent_fd, name = self._open_parent(target)
        try:
            place.clear_for_file(parent_fd, name, target)
            fd = os.open(name, _NEW, 0o600, dir_fd=parent_fd)
            try:
                files.write_all(fd, source.content)
                os.fchown(fd, *(self._owner or (0, 0)))
                mode = _INLINE_MODE
                os.fchmod(fd, self._mode.apply(mode, is_directory=False) if self._mode else mode)
                now = time.time_ns()
                os.utime(fd, ns=(self._time(now), self._time(now)))
            finally:
                os.close(fd)
        finally:
            os.close(parent_fd)

    def archive(self, source: CopySource, path: str) -> bool:
        """Unpack *source* into the directory *path*; return whether it was an archive."""
        if source.is_directory or not stat.S_ISREG(source.tree.status(source.path).st_mode):
            return False
        object_fd = beneath.open_in_root(source.tree.root_fd, source.path, os.O_PATH)
        try:
            read_fd = regular.reopen(object_fd, os.O_RDONLY, source.path)
        finally:
            os.close(object_fd)
        try:
            if not added_archives.is_archive(read_fd):
                return False
            resolved = place.resolve(self._root_fd, os.fsencode(path))
            into_fd = place.make_directories(self._root_fd, resolved, self._owner)
            try:
                added_archives.unpack(
                    read_fd,
                    into_fd,
                    name=os.fsdecode(source.name),
                    owner=self._owner,
                    epoch=self._epoch,
                )
            finally:
                os.close(into_fd)
        finally:
            os.close(read_fd)
        return True

    def source(self, source: CopySource, path: str, *, replace: bool) -> None:
        """Copy a file, or the contents of a directory."""
        target = self._target(path, source.name, is_directory=source.is_directory, replace=replace)
        if source.is_directory:
            _Contents(self, source, self._open(target), target).run()
            return
        parent_fd, name = self._open_parent(target)
        try:
            for found in source.tree.walk(source.path):
                place.clear_for_file(parent_fd, name, target)
                self.object(source, found, parent_fd, name)
        finally:
            os.close(parent_fd)

    def _target(self, path: str, name: bytes, *, is_directory: bool, replace: bool) -> bytes:
        """Return where a source goes; the directories above are made."""
        resolved = place.resolve(self._root_fd, os.fsencode(path))
        found = place.state(self._root_fd, resolved)
        into = path.endswith("/") or (found is not None and stat.S_ISDIR(found.st_mode))
        if replace and not path.endswith("/") and found is not None and not is_directory:
            self._remove(resolved)
            into = False
        directory = resolved if is_directory or into else resolved.rpartition(b"/")[0]
        fd = place.make_directories(self._root_fd, directory, self._owner)
        os.close(fd)
        if is_directory or not into:
            return resolved
        # The name may itself be a link in the image: it is replaced, not followed.
        return resolved + b"/" + name if resolved else name

    def _remove(self, resolved: bytes) -> None:
        parent_fd, name = self._open_parent(resolved)
        try:
            files.remove_at(parent_fd, name)
        finally:
            os.close(parent_fd)

    def _open(self, path: bytes) -> int:
        return place.open_directory(self._root_fd, path)

    def _open_parent(self, path: bytes) -> tuple[int, bytes]:
        parent, _, name = path.rpartition(b"/")
        return self._open(parent), name

    def object(self, source: CopySource, found: Found, parent_fd: int, name: bytes) -> None:
        """Make what is no directory, as *name* in *parent_fd*, where nothing is."""
        status = found.status
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFREG:
            self._file(source, found, parent_fd, name)
            return
        if kind == stat.S_IFSOCK:
            return  # nobody listens in a copy, and no layer can hold it
        owner, times = self.owner_of(source, status), self.times(status)
        if kind == stat.S_IFLNK:
            link = os.readlink(found.name, dir_fd=found.parent_fd)
            with new_objects.make_link(parent_fd, name, link) as fd:
                new_objects.decorate(fd, owner, times=times)
            return
        with new_objects.make_node(parent_fd, name, kind, status.st_rdev) as fd:
            new_objects.decorate(fd, owner, self.mode_of(status), times)

    def _file(self, source: CopySource, found: Found, parent_fd: int, name: bytes) -> None:
        read_fd = source.tree.open(found)
        try:
            status = os.fstat(read_fd)
            write_fd = os.open(name, _NEW, 0o600, dir_fd=parent_fd)
            try:
                _pour(read_fd, write_fd, status)
                self.decorate(source, status, write_fd)
                if value := capabilities(source.tree, found):
                    os.setxattr(write_fd, CAPABILITIES, value)
                os.utime(write_fd, ns=self.times(status))
            finally:
                os.close(write_fd)
        finally:
            os.close(read_fd)

    def decorate(self, source: CopySource, status: os.stat_result, fd: int) -> None:
        """Set owner, then mode: chown takes set-user-id away."""
        os.fchown(fd, *self.owner_of(source, status))
        os.fchmod(fd, self.mode_of(status))

    def owner_of(self, source: CopySource, status: os.stat_result) -> tuple[int, int]:
        """Return whom a copy belongs to."""
        if self._owner is not None:
            return self._owner
        return (status.st_uid, status.st_gid) if source.tree.keep_owner else (0, 0)

    def mode_of(self, status: os.stat_result) -> int:
        """Return a copy's permission bits."""
        if self._mode is None:
            return stat.S_IMODE(status.st_mode)
        return self._mode.apply(status.st_mode, is_directory=stat.S_ISDIR(status.st_mode))

    def times(self, status: os.stat_result) -> tuple[int, int]:
        """Return a copy's times of access and of change, nanoseconds."""
        return self._time(status.st_atime_ns), self._time(status.st_mtime_ns)

    def _time(self, when_ns: int) -> int:
        return when_ns if self._epoch is None else min(when_ns, self._epoch * _NANO)


class _Contents:
    """The contents of one directory on their way into another; open from the top to the place."""

    def __init__(self, copier: _Copier, source: CopySource, owned_fd: int, target: bytes) -> None:
        self._copier = copier
        self._source = source
        self._target = target
        # (path in the source, directory to write to, its state in the source), top first
        self._open: list[tuple[bytes, int, os.stat_result]] = []
        self._top_fd = owned_fd
        self._inodes: dict[tuple[int, int], bytes] = {}  # source's inode → its copy below the top

    def run(self) -> None:
        """Copy all that counts."""
        try:
            for found in entries(self._source):
                if not found.path:
                    self._open.append((b"", self._top_fd, found.status))
                    continue
                self._leave(found.path.rpartition(b"/")[0])
                if found.is_directory:
                    self._directory(found)
                else:
                    self._file(found)
            self._leave(None)
        finally:
            for _, fd, _ in self._open:
                os.close(fd)

    def _shown(self, found: Found) -> bytes:
        return self._target + b"/" + found.path if self._target else found.path

    def _leave(self, directory: bytes | None) -> None:
        """Close all below *directory*; None: everything."""
        while self._open and self._open[-1][0] != directory:
            _, fd, status = self._open.pop()
            try:
                # Last of all: what is made in a directory changes its time.
                os.utime(fd, ns=self._copier.times(status))
            finally:
                os.close(fd)

    def _directory(self, found: Found) -> None:
        parent_fd = self._open[-1][1]
        try:
            os.mkdir(found.name, 0o700, dir_fd=parent_fd)
        except FileExistsError:
            there = os.stat(found.name, dir_fd=parent_fd, follow_symlinks=False)
            if not stat.S_ISDIR(there.st_mode):
                shown = os.fsdecode(self._shown(found))
                raise RuntimeFailure(
                    f"cannot copy the directory '{os.fsdecode(found.path)}' to '/{shown}': "
                    f"{_noun(there.st_mode)} is there in the image",
                    "remove it in a step before, or choose another destination",
                ) from None
        fd = os.open(found.name, _DIRECTORY, dir_fd=parent_fd)
        self._open.append((found.path, fd, found.status))
        self._copier.decorate(self._source, found.status, fd)

    def _file(self, found: Found) -> None:
        parent_fd = self._open[-1][1]
        place.clear_for_file(parent_fd, found.name, self._shown(found))
        status = found.status
        if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
            first = self._inodes.setdefault((status.st_dev, status.st_ino), found.path)
            if first != found.path:
                os.link(
                    first,
                    found.name,
                    src_dir_fd=self._top_fd,
                    dst_dir_fd=parent_fd,
                    follow_symlinks=False,
                )
                return
        self._copier.object(self._source, found, parent_fd, found.name)


def _pour(read_fd: int, write_fd: int, status: os.stat_result) -> None:
    """Copy the contents: shared where the file system can, with the holes they have."""
    if status.st_blocks * _BLOCK < status.st_size:
        os.ftruncate(write_fd, status.st_size)
        for start, end in _extents(read_fd, status.st_size):
            _pour_range(read_fd, write_fd, start, end)
    else:
        _pour_range(read_fd, write_fd, 0, status.st_size)


def _extents(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of what is no hole; all of it where the file system cannot tell."""
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
            at = os.lseek(fd, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                return
            raise
        yield start, at


def _pour_range(read_fd: int, write_fd: int, start: int, end: int) -> None:
    at = start
    while at < end:
        try:
            done = os.copy_file_range(read_fd, write_fd, min(end - at, _AT_ONCE), at, at)
        except OSError as error:
            if error.errno not in _NOT_IN_KERNEL:
                raise
            break
        if not done:
            break  # shorter than it was, or a file system that says so when it cannot
        at += done
    while at < end and (data := os.pread(read_fd, min(_CHUNK, end - at), at)):
        at += os.pwrite(write_fd, data, at)


def _noun(mode: int) -> str:
    return "a symbolic link" if stat.S_ISLNK(mode) else "a file"


def _explain(source: CopySource | Inline, path: str, error: OSError) -> RuntimeFailure:
    named = os.fsdecode(source.name) or "."
    hint = ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "runtime system prune frees what nothing uses"
    return RuntimeFailure(f"cannot copy '{named}' to '{path}': {error.strerror}", hint)
