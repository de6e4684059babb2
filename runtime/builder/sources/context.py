"""The build context and its Dockerfile: a directory, an archive, a URL, a git repository.

What comes over standard input or a network is unpacked into a directory that goes with the
context.  The command line opens it, the executor copies from its tree.
"""

from __future__ import annotations

import errno
import hashlib
import os

from runtime.builder.files import added_archives
from runtime.builder.files.content_digests import DigestCache
from runtime.builder.files.copy_patterns import PatternError, Patterns
from runtime.builder.files.tree import Tree
from runtime.builder.sources import git, remote, scratch
from runtime.linux import beneath
from runtime.model.errors import RuntimeFailure
from runtime.store.compression import CompressionError
from runtime.store.feed import Chunks, Feed
from runtime.wire import tar
from supervise.linux import regular
from supervise.model.suggest import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import BinaryIO, Self

STANDARD_INPUT = "-"
_STANDARD_INPUT_SHOWN = "standard input"
DOCKERFILE = "Dockerfile"
IGNORE_FILE = ".dockerignore"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_CHUNK = 1 << 18
_LARGEST_TEXT = 4 << 20  # bytes of a Dockerfile; docker reads no larger one over HTTP


class Context:
    """What a build may copy from, and the text of its Dockerfile."""

    def __init__(
        self,
        tree: Tree,
        dockerfile: bytes,
        dockerfile_name: str,
        undo: list[Callable[[], None]],
        *,
        is_foreign: bool = False,
    ) -> None:
        self.tree = tree
        self.dockerfile = dockerfile
        self.dockerfile_name = dockerfile_name  # as messages show it
        self.is_foreign = is_foreign  # it came from elsewhere: a URL, git, an archive
        self._undo = undo

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
        """Remove what was unpacked for it."""
        self.tree.close()
        while self._undo:
            self._undo.pop()()


def open_context(
    where: str, dockerfile_option: str | None, stdin: BinaryIO, *, store: str = ""
) -> Context:
    """Open the context *where* with the Dockerfile that *dockerfile_option* (`-f`) names.

    *where* is a directory, ``-`` (standard input is an archive or a Dockerfile), the URL of an
    archive or of a Dockerfile, or a git repository.  *store* is a directory for what must be
    kept: digests, downloads; empty: nothing is kept, the system's temporary directory serves.

    Raises:
        RuntimeFailure: there is no such context, or no Dockerfile in it.
    """
    undo: list[Callable[[], None]] = []
    if store:
        scratch.sweep(store)
    try:
        return _open(where, dockerfile_option, stdin, store, undo)
    except BaseException:
        while undo:
            undo.pop()()
        raise


def _open(
    where: str,
    option: str | None,
    stdin: BinaryIO,
    store: str,
    undo: list[Callable[[], None]],
) -> Context:
    url = git.parse(where)
    if where == STANDARD_INPUT:
        if option == STANDARD_INPUT:
            raise RuntimeFailure(
                "cannot build '-': standard input cannot be the context and the Dockerfile",
                "give one of them as a file",
            )
        return _from_stream(_chunks(stdin), _STANDARD_INPUT_SHOWN, option, store, undo)
    if url is not None:
        place = scratch.directory(store, undo)
        git.checkout(url, f"{place}/git")
        return _from_directory(git.open_directory(url, f"{place}/git"), where, option, undo)
    if remote.is_url(where):
        directory = f"{store}/{scratch.DOWNLOADS}" if store else scratch.directory(store, undo)
        download = remote.fetch(where, directory)
        with open(f"{download.directory}/{download.name}", "rb") as file:
            return _from_stream(_chunks(file), f"'{where}'", option, store, undo)
    return _local(where, option, stdin, store, undo)


def _local(
    where: str,
    option: str | None,
    stdin: BinaryIO,
    store: str,
    undo: list[Callable[[], None]],
) -> Context:
    try:
        root_fd = os.open(where, _DIRECTORY)
    except OSError as error:
        raise _no_context(where, error) from None
    undo.append(lambda: os.close(root_fd))
    if option == STANDARD_INPUT:
        text, name, ignored = _read_stream(stdin), "the Dockerfile on standard input", None
    elif option is not None and _within(where, option) is None:
        text, name, ignored = _read_file(option), option, _read_beside(option + IGNORE_FILE)
    else:
        inner = _within(where, option) if option is not None else None
        inner = inner or _default_name(root_fd, f"'{where}'")
        name = option or os.path.normpath(f"{where}/{inner}")
        found = _read_in(root_fd, inner)
        if found is None:
            raise _no_dockerfile(name, os.strerror(errno.ENOENT))
        text, ignored = found, _read_in(root_fd, inner + IGNORE_FILE)
    ignored_name = os.path.basename(name) + IGNORE_FILE
    if ignored is None:
        ignored, ignored_name = _read_in(root_fd, IGNORE_FILE), IGNORE_FILE
    undo.pop()
    real = os.path.realpath(where)
    known = f"{store}/digests/{hashlib.sha256(os.fsencode(real)).hexdigest()}" if store else ""
    tree = Tree(
        root_fd,
        _ignore(ignored, ignored_name),
        name=f"the build context '{where}'",
        digests=DigestCache(known),
    )
    return Context(tree, text, name, undo)


def _from_directory(
    root_fd: int, where: str, option: str | None, undo: list[Callable[[], None]]
) -> Context:
    """Return the context that was unpacked into *root_fd*: `-f` names a file in it."""
    undo.append(lambda: os.close(root_fd))
    name = option or _default_name(root_fd, where)
    text = _read_in(root_fd, name)
    if text is None:
        raise RuntimeFailure(f"cannot build {where}: there is no '{name}' in it")
    ignored = _read_in(root_fd, name + IGNORE_FILE)
    ignored_name = name + IGNORE_FILE
    if ignored is None:
        ignored, ignored_name = _read_in(root_fd, IGNORE_FILE), IGNORE_FILE
    undo.pop()
    tree = Tree(root_fd, _ignore(ignored, ignored_name), name=f"the build context, {where},")
    return Context(tree, text, name, undo, is_foreign=True)


def _from_stream(
    chunks: Iterator[bytes],
    where: str,
    option: str | None,
    store: str,
    undo: list[Callable[[], None]],
) -> Context:
    """Return the context of an archive, or the Dockerfile with an empty context."""
    start = b""
    while len(start) < _CHUNK and (chunk := next(chunks, b"")):
        start += chunk
    place = scratch.directory(store, undo)
    root = f"{place}/context"
    os.mkdir(root, 0o755)
    root_fd = os.open(root, _DIRECTORY)
    undo.append(lambda: os.close(root_fd))
    if _begins_an_archive(start):
        source = Chunks(_after(start, chunks))
        added_archives.unpack_stream(source, root_fd, name=where, owner=(0, 0))
        undo.pop()
        return _from_directory(root_fd, where, option, undo)
    if not start.strip():
        raise RuntimeFailure(
            f"cannot build from {where}: it is empty",
            "send a Dockerfile, or an archive of a directory with one",
        )
    if option is not None:
        raise RuntimeFailure(
            f"cannot use --file={option}: {where} is a Dockerfile itself",
            "give the directory of the context instead of '-'",
        )
    text = start
    while chunk := next(chunks, b""):
        text += chunk
        if len(text) > _LARGEST_TEXT:
            raise RuntimeFailure(f"cannot build from {where}: it is no archive, and no Dockerfile")
    undo.pop()
    tree = Tree(root_fd, name="the build context, which is empty,")
    is_foreign = where != _STANDARD_INPUT_SHOWN
    return Context(tree, text, f"the Dockerfile on {where}", undo, is_foreign=is_foreign)


def _begins_an_archive(start: bytes) -> bool:
    with Feed(Chunks(iter([start]))) as feed:
        try:
            return tar.TarReader(feed.take).next() is not None
        except (tar.TarError, CompressionError):
            return False


def _after(start: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield start
    yield from chunks


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while data := file.read(_CHUNK):
        yield data


def _ignore(text: bytes | None, name: str) -> Patterns | None:
    """Return the rules of a .dockerignore file, None when there is none or it says nothing."""
    if text is None:
        return None
    lines = text.decode("utf-8-sig", "surrogateescape").splitlines()
    try:
        patterns = Patterns(line for line in lines if not line.startswith("#"))
    except PatternError as error:
        raise RuntimeFailure(f"cannot read {name}: {error}") from None
    return patterns or None


def _default_name(root_fd: int, where: str) -> str:
    names = os.listdir(root_fd)
    for name in (DOCKERFILE, DOCKERFILE.lower()):
        if name in names:
            return name
    near = closest(DOCKERFILE, names)
    hint = f"did you mean -f {near}?" if near else "name another file with -f"
    raise RuntimeFailure(f"cannot build {where}: there is no Dockerfile in it", hint)


def _read_in(root_fd: int, path: str) -> bytes | None:
    """Return the contents of a file of the context, links resolved in it; None: there is none."""
    try:
        object_fd = beneath.open_in_root(root_fd, os.fsencode(path), os.O_PATH)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RuntimeFailure(f"cannot read '{path}': {error.strerror}") from None
    try:
        with open(regular.reopen(object_fd, os.O_RDONLY), "rb") as file:
            return regular.read(file.fileno(), _LARGEST_TEXT)
    except (regular.NotRegularError, regular.TooLargeError) as error:
        raise RuntimeFailure(f"cannot read '{path}': {error.strerror}") from None
    finally:
        os.close(object_fd)


def _within(where: str, path: str) -> str | None:
    """Return what the context *where* calls the file *path*, None for one outside of it.

    What lies in the context is its author's, links included: those resolve in the context.  A
    path of the caller's own leads where it leads.
    """
    parent, name = os.path.split(os.path.abspath(path))
    for root, directory in (
        (os.path.abspath(where), parent),
        (os.path.realpath(where), os.path.realpath(parent)),
    ):
        if os.path.commonpath((root, directory)) == root:
            return os.path.relpath(f"{directory}/{name}", root)
    return None


def _read_stream(stdin: BinaryIO) -> bytes:
    try:
        return regular.read_stream(stdin, _LARGEST_TEXT)
    except regular.TooLargeError as error:
        raise RuntimeFailure(
            f"cannot read the Dockerfile on standard input: {error.strerror}"
        ) from None


def _read_beside(path: str) -> bytes | None:
    """Return the contents of the ignore file *path*, outside of the context; None: none."""
    try:
        return regular.read_path(path, _LARGEST_TEXT)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RuntimeFailure(f"cannot read '{path}': {error.strerror}") from None


def _read_file(path: str) -> bytes:
    try:
        return regular.read_given(path, _LARGEST_TEXT)
    except OSError as error:
        raise _no_dockerfile(path, error.strerror or str(error)) from None


def _no_dockerfile(path: str, reason: str) -> RuntimeFailure:
    directory, name = os.path.split(path)
    names = os.listdir(directory or ".") if os.path.isdir(directory or ".") else []
    near = closest(name, [each for each in names if each != name])
    hint = f"did you mean '{os.path.join(directory, near)}'?" if near else ""
    if not hint and not os.path.isabs(path):
        hint = "-f is relative to the current directory, not to the context"
    return RuntimeFailure(f"cannot read the Dockerfile '{path}': {reason}", hint)


def _no_context(where: str, error: OSError) -> RuntimeFailure:
    if isinstance(error, NotADirectoryError):
        return RuntimeFailure(
            f"cannot build '{where}': the context must be a directory, this is a file",
            f"name the Dockerfile with -f: runtime build -f {where} DIRECTORY",
        )
    return RuntimeFailure(
        f"cannot build '{where}': {error.strerror}",
        "the context is a directory, '-' for standard input, or a URL",
    )
