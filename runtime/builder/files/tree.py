"""A directory that COPY reads from: the build context, the root of a stage or of an image.

Nothing outside of it is ever reached: links lead where they would for a process whose root
directory it is.  What .dockerignore hides is not there.  `select` looks for sources in it, and
`copy` walks them.
"""

from __future__ import annotations

import errno
import os
import stat

from runtime.builder.files import destination
from runtime.builder.files.content_digests import DigestCache
from runtime.builder.files.copy_patterns import (
    Patterns,
    component,
    is_wild,
    literal,
)
from runtime.linux import beneath
from supervise.linux import regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    class Ignoring(Protocol):
        """What .dockerignore says."""

        @property
        def has_exceptions(self) -> bool:
            """Return whether something below an excluded directory may be taken back in."""

        def excludes(self, path: str, /) -> bool:
            """Return whether *path*, relative to the context, is left out."""


_OBJECT = os.O_PATH | os.O_NOFOLLOW
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


class Found:
    """One object below a source, while the walk stands on it: its descriptors close after."""

    __slots__ = ("name", "parent_fd", "path", "status")

    def __init__(self, path: bytes, parent_fd: int, name: bytes, status: os.stat_result) -> None:
        self.path = path  # relative to the source; empty: the source itself
        self.parent_fd = parent_fd
        self.name = name  # in the directory *parent_fd*
        self.status = status

    @property
    def is_directory(self) -> bool:
        """Return whether it is a directory; a link to one is none."""
        return stat.S_ISDIR(self.status.st_mode)


class Tree:
    """One directory to copy from; closes its descriptor itself."""

    def __init__(
        self,
        root_fd: int,
        ignore: Ignoring | None = None,
        *,
        name: str = "the build context",
        keep_owner: bool = False,
        digests: DigestCache | None = None,
    ) -> None:
        """Take over *root_fd*.

        *name* stands in messages.  *keep_owner*: files belong to whom they belong there, as in a
        stage or an image; else to 0:0.
        """
        self.root_fd = root_fd
        self.ignore = ignore
        self.name = name
        self.keep_owner = keep_owner
        self.digests = digests or DigestCache()
        self._prefix = os.fsencode(os.readlink(f"/proc/self/fd/{root_fd}")).rstrip(b"/") + b"/"

    def close(self) -> None:
        """Close the directory."""
        os.close(self.root_fd)

    def find(self, path: str) -> bytes | None:
        """Return where *path* really lies, links on the way and at its end followed.

        None when nothing is there, or it is ignored.  The root is the empty path.
        """
        real = self.locate(path)
        if real is None or self.ignore is None:
            return real
        links: list[bytes] = []
        destination.resolve(self.root_fd, os.fsencode(path), links)
        if any(self.ignore.excludes(os.fsdecode(link)) for link in links):
            return None
        return real if self.is_visible(real) else None

    def locate(self, path: str) -> bytes | None:
        """Return what `find` does, ignored or not."""
        try:
            fd = beneath.open_in_root(self.root_fd, os.fsencode(path).lstrip(b"/"), os.O_PATH)
        except OSError as error:
            if error.errno in _GONE:
                return None
            raise
        try:
            real = os.fsencode(os.readlink(f"/proc/self/fd/{fd}"))
        finally:
            os.close(fd)
        return real[len(self._prefix) :] if real + b"/" != self._prefix else b""

    def is_visible(self, path: bytes) -> bool:
        """Return whether what really lies at *path* is not ignored, or has something that is not."""
        if self.ignore is None or not path or not self.ignore.excludes(os.fsdecode(path)):
            return True
        if not self.ignore.has_exceptions or not stat.S_ISDIR(self.status(path).st_mode):
            return False
        # The walk names a directory before what is in it: all but the start count.
        return any(found.path for found in self.walk(path))

    def status(self, path: bytes) -> os.stat_result:
        """Return the state of what really lies at *path*."""
        fd = beneath.open_in_root(self.root_fd, path, _OBJECT)
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)

    def names(self, path: bytes) -> list[bytes]:
        """Return what the directory *path* (a real place) has, sorted; nothing when it is none."""
        try:
            fd = beneath.open_in_root(self.root_fd, path, _DIRECTORY)
        except OSError as error:
            if error.errno in _GONE:
                return []
            raise
        try:
            return sorted(os.fsencode(name) for name in os.listdir(fd))
        finally:
            os.close(fd)

    def glob(self, pattern: str) -> tuple[bytes, list[bytes]]:
        """Return (the directory where the wildcards begin, what matches), the latter sorted.

        Wildcards match names that begin with a dot, and follow no links.

        Raises:
            FileNotFoundError: there is no such directory; names it.
            PatternError: the pattern is malformed.
        """
        parts = [part for part in pattern.split("/") if part not in ("", ".")]
        first = next(at for at, part in enumerate(parts) if is_wild(part))
        rules = [component(part) for part in parts[first:]]
        where = literal("/".join(parts[:first]))
        base = self.find(where)
        if base is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), where)
        matched = [base]
        for rule in rules:
            matched = [
                above + b"/" + name if above else name
                for above in matched
                for name in self.names(above)
                if rule.match(os.fsdecode(name))
            ]
        return base, [path for path in matched if self.is_visible(path)]

    def walk(
        self, path: bytes, include: Patterns | None = None, exclude: Patterns | None = None
    ) -> Iterator[Found]:
        """Yield what is at *path* (a real place) and, when it is a directory, all below it.

        A directory comes before what is in it, names in order.  Below *path*, *include* and
        *exclude* say what counts, by paths relative to it; a directory that does not count comes
        all the same when something in it does.
        """
        parent, _, name = path.rpartition(b"/")
        parent_fd = beneath.open_in_root(self.root_fd, parent, _DIRECTORY)
        try:
            name = name or b"."
            status = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
            start = Found(b"", parent_fd, name, status)
            yield start
            if start.is_directory:
                yield from _Walk(self, path, include, exclude).run(start)
        finally:
            os.close(parent_fd)

    def open(self, found: Found) -> int:
        """Return the regular file *found*, opened to be read.

        Raises:
            OSError: it is none any more, or may not be read.
        """
        return regular.open_at(found.parent_fd, found.name)

    def digest(self, found: Found) -> bytes:
        """Return the digits of the SHA-256 of a regular file's contents."""
        known = self.digests.known(found.status)
        if known:
            return known
        fd = self.open(found)
        try:
            return self.digests.of(fd, os.fstat(fd))
        finally:
            os.close(fd)


class _Level:
    """One open directory of a walk."""

    __slots__ = ("exclude", "fd", "include", "names", "path", "pending")

    def __init__(self, fd: int, path: bytes, pending: Found | None) -> None:
        self.fd = fd
        self.path = path
        self.pending = pending  # the directory itself, while it has not been told
        self.include: tuple[bool, ...] = ()
        self.exclude: tuple[bool, ...] = ()
        self.names = iter(sorted(os.fsencode(name) for name in os.listdir(fd)))


class _Walk:
    """The directories between the start and where the walk stands, each open; no recursion."""

    def __init__(
        self, tree: Tree, start: bytes, include: Patterns | None, exclude: Patterns | None
    ) -> None:
        self._ignore = tree.ignore
        self._start = start
        self._include = include
        self._exclude = exclude
        self._levels: list[_Level] = []

    def run(self, start: Found) -> Iterator[Found]:
        """Yield what counts below *start*, which has been told."""
        try:
            self._enter(start, told=True)
            while self._levels:
                level = self._levels[-1]
                name = next(level.names, None)
                if name is None:
                    os.close(self._levels.pop().fd)
                    continue
                yield from self._object(level, name)
        finally:
            for level in self._levels:
                os.close(level.fd)

    def _object(self, level: _Level, name: bytes) -> Iterator[Found]:
        path = level.path + b"/" + name if level.path else name
        try:
            status = os.stat(name, dir_fd=level.fd, follow_symlinks=False)
        except FileNotFoundError:  # removed meanwhile
            return
        found = Found(path, level.fd, name, status)
        text = os.fsdecode(path)
        included = self._include.step(text, level.include) if self._include else ()
        excluded = self._exclude.step(text, level.exclude) if self._exclude else ()
        ignored = self._is_ignored(path)
        counts = (
            not ignored
            and (self._include is None or self._include.decide(included))
            and not (self._exclude is not None and self._exclude.decide(excluded))
        )
        if counts:
            for above in self._levels:
                if above.pending is not None:
                    yield above.pending
                    above.pending = None
            yield found
        if not found.is_directory or not (
            counts or self._may_count_below(excluded, ignored=ignored)
        ):
            return
        self._enter(found, told=counts)
        self._levels[-1].include, self._levels[-1].exclude = included, excluded

    def _enter(self, found: Found, *, told: bool) -> None:
        fd = os.open(found.name, _DIRECTORY | os.O_CLOEXEC, dir_fd=found.parent_fd)
        self._levels.append(_Level(fd, found.path, None if told else found))

    def _is_ignored(self, path: bytes) -> bool:
        if self._ignore is None:
            return False
        whole = self._start + b"/" + path if self._start else path
        return self._ignore.excludes(os.fsdecode(whole))

    def _may_count_below(self, excluded: tuple[bool, ...], *, ignored: bool) -> bool:
        """Return whether a directory that does not count must be looked into."""
        if ignored and not (self._ignore is not None and self._ignore.has_exceptions):
            return False
        return not (
            self._exclude is not None
            and not self._exclude.has_exceptions
            and self._exclude.decide(excluded)
        )
