"""What one COPY or ADD is to copy, and the digest that stands for it in the build cache.

Nothing is copied here: `copy.apply` does that.  What is a URL or a git repository `add` fetches
first.  Words are expanded already, heredocs too.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat

from runtime.builder.files import destination, missing_source
from runtime.builder.files.copy_patterns import (
    PatternError,
    Patterns,
    is_wild,
    literal,
)
from runtime.builder.files.tree import Found, Tree
from runtime.dockerfile.commands import Copy, Heredoc
from runtime.model.errors import RuntimeFailure
from runtime.model.image import digest as model
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

CAPABILITIES = "security.capability"  # the one attribute that docker's layers carry


class CopySource(Record):
    """One thing in a tree: a file, or a directory whose contents are copied."""

    tree: Tree
    path: bytes  # where it really lies in the tree
    name: bytes  # what it is called when it goes into a directory
    is_directory: bool
    unpack: bool = False  # if it is an archive, its contents go into the destination
    include: tuple[str, ...] = ()  # --parents: what of the directory, by paths relative to it
    exclude: tuple[str, ...] = ()


class Inline(Record):
    """A file whose contents stand in the Dockerfile."""

    name: bytes
    content: bytes


class Selection:
    """All that one instruction copies, in order."""

    def __init__(
        self,
        sources: Sequence[CopySource | Inline],
        *,
        with_owner: bool,
        link: bool = False,
        warnings: Sequence[str] = (),
        owned: Iterable[Callable[[], None]] = (),
    ) -> None:
        """*with_owner*: the sources' owners count, for no --chown was given.

        *owned* is called, last first, when it is closed.
        """
        self.sources = tuple(sources)
        self.link = link
        self.warnings = tuple(warnings)
        self._with_owner = with_owner
        self._owned = list(owned)
        self._digest = ""

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
        """Let go of what was fetched for it."""
        while self._owned:
            self._owned.pop()()

    @property
    def digest(self) -> str:
        """Return what the copy depends on, as ``sha256:…``: all but times.

        The first call reads every file whose contents are not known.

        Raises:
            RuntimeFailure: a file cannot be read.
        """
        if not self._digest:
            content = hashlib.sha256()
            for source in self.sources:
                if isinstance(source, Inline):
                    content.update(_words(b"inline", source.name, source.content))
                else:
                    self._take_in(source, content.update)
            self._digest = model.PREFIX + content.hexdigest()
        return self._digest

    def _take_in(self, source: CopySource, update: Callable[[bytes], None]) -> None:
        try:
            _digest_source(source, update, with_owner=self._with_owner)
            source.tree.digests.save()
        except OSError as error:
            named = os.fsdecode(error.filename or source.path or b".")
            raise RuntimeFailure(
                f"cannot read '{named}' of {source.tree.name}: {error.strerror}"
            ) from error


def select(
    copy: Copy,
    tree: Tree | None,
    *,
    fetched: Mapping[str, CopySource] | None = None,
    owned: Iterable[Callable[[], None]] = (),
) -> Selection:
    """Return what *copy* copies out of *tree*.

    *tree* may be None when no source needs it.  *fetched* has what stands for the sources that
    are URLs, *owned* what undoes the fetching: see `add.select_added`, which any instruction can
    be given to.

    Raises:
        RuntimeFailure: a source is not there, or a pattern is malformed; says what is there.
    """
    _check_words(copy)
    _check_several(copy)
    sources: list[CopySource | Inline] = []
    warnings: list[str] = []
    exclude = _checked(copy.exclude, "--exclude")
    for written in copy.sources:
        if fetched and written in fetched:
            sources.append(fetched[written])
            continue
        if tree is None:
            raise RuntimeFailure(f"cannot copy '{written}': there is nothing to copy from")
        try:
            found = _find(copy, tree, written, exclude)
        except PatternError as error:
            raise RuntimeFailure(
                f"cannot copy '{written}': {error}",
                "a backslash takes a letter's special meaning away",
            ) from None
        if not found:
            warnings.append(missing_source.unmatched(written, tree))
        elif len(found) > 1 and not destination.is_directory(copy.destination):
            warnings.append(_overwritten(copy, written, found))
        sources += found
    sources += [_inline(heredoc) for heredoc in copy.heredocs]
    keep = tree is not None and tree.keep_owner
    return Selection(
        sources,
        with_owner=keep and not copy.chown,
        link=copy.link,
        warnings=warnings,
        owned=owned,
    )


def entries(source: CopySource) -> Iterable[Found]:
    """Return all of *source* that is to be copied, itself first; see `Tree.walk`."""
    include = Patterns(source.include) if source.include else None
    exclude = Patterns(source.exclude) if source.exclude else None
    return source.tree.walk(source.path, include, exclude)


def _check_words(copy: Copy) -> None:
    """Refuse what no file can be called: JSON can say more than a path may hold."""
    for word in (*copy.sources, copy.destination):
        try:
            is_path = b"\0" not in os.fsencode(word)
        except UnicodeEncodeError:
            is_path = False
        if not is_path:
            raise RuntimeFailure(f"cannot copy {word!a}: no file can have that name")


def _check_several(copy: Copy) -> None:
    """Refuse several sources for one name: the last would be all that is left."""
    count = len(copy.sources) + len(copy.heredocs)
    if count > 1 and not destination.is_directory(copy.destination):
        raise RuntimeFailure(
            f"cannot copy {count} sources to '{copy.destination}': it must be a directory",
            f"end it with a slash: '{copy.destination}/'",
        )


def _overwritten(copy: Copy, written: str, found: list[CopySource]) -> str:
    return (
        f"'{written}' matches {len(found)} names; unless '{copy.destination}' is a directory, "
        f"only '{os.fsdecode(found[-1].path)}' stays: end it with a slash"
    )


def _inline(heredoc: Heredoc) -> Inline:
    return Inline(os.fsencode(heredoc.name), heredoc.content.encode(errors="surrogateescape"))


def _checked(patterns: tuple[str, ...], option: str) -> tuple[str, ...]:
    try:
        Patterns(patterns)
    except PatternError as error:
        raise RuntimeFailure(
            f"cannot use {option}: {error}", "its patterns are those of .dockerignore"
        ) from None
    return patterns


def _find(copy: Copy, tree: Tree, written: str, exclude: tuple[str, ...]) -> list[CopySource]:
    if copy.parents:
        return [_with_parents(tree, written, exclude)]
    unpack = copy.is_add and copy.unpack is not False
    # Go's path.Join with "/" in front: ".." cannot leave the tree.
    path = posixpath.normpath("/" + written.lstrip("/"))
    if not is_wild(path):
        return [_exact(tree, written, literal(path), exclude, unpack=unpack)]
    try:
        base, matched = tree.glob(path)
    except FileNotFoundError as error:
        raise missing_source.failure(error.filename, tree) from None
    rules = Patterns(exclude)
    sources = []
    for match in matched:
        if rules.excludes(os.fsdecode(match[len(base) :].lstrip(b"/"))):
            continue
        real = tree.find(os.fsdecode(match))
        if real is None:
            raise missing_source.failure(os.fsdecode(match), tree)  # a link to nowhere
        is_directory = stat.S_ISDIR(tree.status(real).st_mode)
        name = match.rpartition(b"/")[2]
        sources.append(CopySource(tree, real, name, is_directory, unpack, exclude=exclude))
    return sources


def _exact(
    tree: Tree, written: str, path: str, exclude: tuple[str, ...], *, unpack: bool
) -> CopySource:
    real = tree.find(path)
    if real is None:
        raise missing_source.failure(written, tree)
    is_directory = stat.S_ISDIR(tree.status(real).st_mode)
    name = os.fsencode(path).rpartition(b"/")[2]
    return CopySource(tree, real, name, is_directory, unpack, exclude=exclude)


def _with_parents(tree: Tree, written: str, exclude: tuple[str, ...]) -> CopySource:
    """Return the directory before ``/./``, of which only the rest counts, with its parents."""
    above, pivot, pattern = written.partition("/./")
    if not pivot:
        above, pattern = "/", written
    pattern = posixpath.normpath("/" + pattern).lstrip("/")
    real = tree.find(literal(above))
    if real is None:
        raise missing_source.failure(above, tree)
    if pattern and not is_wild(pattern) and tree.find(f"{above}/{literal(pattern)}") is None:
        raise missing_source.failure(written, tree)
    include = (pattern,) if pattern else ()
    return CopySource(tree, real, b"", is_directory=True, include=include, exclude=exclude)


def _digest_source(
    source: CopySource, update: Callable[[bytes], None], *, with_owner: bool
) -> None:
    update(_words(b"source", source.name, b"%d%d" % (source.is_directory, source.unpack)))
    first: dict[tuple[int, int], bytes] = {}  # inode → the first of its names
    for found in entries(source):
        status = found.status
        words = [found.path, b"%o" % status.st_mode]
        if with_owner:
            words.append(b"%d:%d" % (status.st_uid, status.st_gid))
        if stat.S_ISREG(status.st_mode):
            twin = found.path
            if status.st_nlink > 1:
                twin = first.setdefault((status.st_dev, status.st_ino), found.path)
            words += [twin, source.tree.digest(found), capabilities(source.tree, found)]
        elif stat.S_ISLNK(status.st_mode):
            words.append(os.readlink(found.name, dir_fd=found.parent_fd))
        elif not found.is_directory:
            words.append(b"%d" % status.st_rdev)
        update(_words(*words))


def capabilities(tree: Tree, found: Found) -> bytes:
    """Return the file capabilities of a regular file, nothing when it has none.

    Those of the build context do not count: no docker brings them into an image, and they would
    be rights that this machine's administrator gave to a file for this machine.
    """
    if not tree.keep_owner:
        return b""
    path = b"/proc/self/fd/%d/%s" % (found.parent_fd, found.name)
    try:
        return os.getxattr(path, CAPABILITIES, follow_symlinks=False)
    except OSError:  # ENODATA, or a file system without attributes
        return b""


def _words(*words: bytes) -> bytes:
    """Return the words with their lengths: no two lists give the same bytes."""
    return b"".join(b"%d:%s," % (len(word), word) for word in words) + b"\n"
